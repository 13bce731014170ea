//! Solana messages: what @solana/web3.js reads, field by field.

use countersign::{
    key::Algorithm,
    payload::{
        Payload, PayloadKind,
        solana::{Address, SolanaMessage},
    },
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
