//! Solana messages: what @solana/web3.js reads, field by field.

use std::collections::BTreeSet;

use countersign::{
    key::Algorithm,
    payload::{
        Payload, PayloadKind,
        solana::{Address, SolanaMessage},
    },
    policy::{self, amount::AmountLimits},
};

use super::{
    corpus::{self, Account, SolanaView, Transfer},
    decoded::{assert_same, bytes, decoded},
};

#[test]
fn every_solana_message_is_seen_as_web3_sees_it() {
    let solana: corpus::Solana = corpus::read("solana.json");
    for case in solana.cases {
        let Payload::SolanaMessage(message) = decoded(PayloadKind::SolanaMessage, &case) else {
            panic!()
        };
        let mut theirs = case.view;
        let tables = std::mem::take(&mut theirs.lookup_tables);
        // Policy sees the tables, and not which of their accounts.
        let tables: Vec<_> = tables.into_iter().map(|table| table.address).collect();
        let ours: Vec<_> = message.lookup_tables.iter().map(Address::to_string).collect();
        assert_eq!(ours, tables, "{}", case.name);
        assert_same(&case.name, &view(&message), &theirs);
    }
}

/// What policies ask of transfers as a whole, from web3.js's transfers.
#[test]
fn policies_see_every_mint_and_recipient() {
    let solana: corpus::Solana = corpus::read("solana.json");
    let (mut tokens, mut unnamed) = (0, 0);
    for case in solana.cases {
        let payload = decoded(PayloadKind::SolanaMessage, &case);
        let view = policy::view(&payload, &AmountLimits::default());
        let seen = |name: &str| -> BTreeSet<String> {
            serde_json::from_value(view["solana"][name].clone()).unwrap()
        };
        let known = |address: Option<String>| address.unwrap_or_else(|| "unknown".to_owned());
        let (mut mints, mut recipients) = (BTreeSet::new(), BTreeSet::new());
        for transfer in case.view.transfers {
            recipients.insert(known(transfer.destination));
            if transfer.program != "system" {
                tokens += 1;
                unnamed += u32::from(transfer.mint.is_none());
                mints.insert(known(transfer.mint));
            }
        }
        assert_eq!((seen("mints"), seen("recipients")), (mints, recipients), "{}", case.name);
    }
    assert!(tokens > unnamed && unnamed > 0, "{tokens}, {unnamed}");
}

/// As bare bytes it would be a transaction that policy does not see.
#[test]
fn no_solana_message_is_signed_as_raw_bytes() {
    let solana: corpus::Solana = corpus::read("solana.json");
    for case in solana.cases {
        let message = bytes(PayloadKind::Message, &case.payload);
        let message = Payload::decode(PayloadKind::Message, message).unwrap();
        assert!(message.fits(Algorithm::Ed25519).is_err(), "{}", case.name);
    }
}

fn view(message: &SolanaMessage) -> SolanaView {
    let text = |address: &Address| address.to_string();
    SolanaView {
        version: message.version.as_str().to_owned(),
        fee_payer: message.fee_payer.to_string(),
        accounts: message
            .accounts
            .iter()
            .map(|account| Account {
                address: account.address.to_string(),
                signer: account.signer,
                writable: account.writable,
            })
            .collect(),
        programs: message.programs.iter().map(text).collect(),
        lookup_tables: Vec::new(),
        transfers: message
            .transfers
            .iter()
            .map(|transfer| Transfer {
                program: transfer.program.as_str().to_owned(),
                source: transfer.source.as_ref().map(text),
                destination: transfer.destination.as_ref().map(text),
                authority: transfer.authority.as_ref().map(text),
                mint: transfer.mint.as_ref().map(text),
                amount: transfer.amount.to_string(),
            })
            .collect(),
        compute_unit_limit: message.compute_unit_limit.map(|limit| limit.to_string()),
        compute_unit_price: message.compute_unit_price.map(|price| price.to_string()),
        durable_nonce: message.durable_nonce,
    }
}
