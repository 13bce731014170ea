//! Who acts, on what, and with which payloads.

use std::{sync::Arc, time::SystemTime};

use alloy_primitives::{Address, U256};

use crate::{
    caller::{Caller, SpiffeId},
    envelope::{Identity, KekRef},
    key::{Algorithm, Binding, PublicKey, RecordVersion, Revision, ShareState},
    payload::{
        Payload,
        eip712::{Domain, Permit, TypedData},
        evm::{Authorization, EvmTransaction, Fees, TokenCall, TransactionKind},
        solana::{self, Account, SolanaMessage, Transfer, TransferProgram, Version},
    },
    policy::ShareSubject,
    record::ShareDescription,
};

pub(super) fn caller(name: &str, groups: &[&str]) -> Arc<Caller> {
    Arc::new(Caller {
        name: name.into(),
        uid: Some(1000),
        spiffe_id: Some("spiffe://example.org/app".parse::<SpiffeId>().unwrap()),
        groups: groups.iter().map(|group| (*group).into()).collect(),
        rate: None,
    })
}

/// The id of a share, by number.
pub(super) fn share_id(number: u8) -> String {
    format!("5f0c1de5-5a11-4bad-8bad-{number:012}")
}

pub(super) fn share(number: u8, environment: &str, wallet: &str) -> ShareSubject {
    // The base point of RFC 8032, which is a key like any other.
    let mut base = [0x66; 32];
    base[0] = 0x58;
    Arc::new(ShareDescription {
        identity: Identity {
            environment: environment.parse().unwrap(),
            wallet: wallet.parse().unwrap(),
            share: share_id(number).parse().unwrap(),
            version: RecordVersion::FIRST,
            address: Some("address".parse().unwrap()),
            algorithm: Algorithm::Ed25519,
            binding: Binding::Derived,
        },
        public_key: PublicKey::parse(Algorithm::Ed25519, &base).unwrap(),
        state: ShareState::Enabled,
        kek: KekRef::new("local", "file", "kek").unwrap(),
        destroy_after: None,
        created_at: SystemTime::UNIX_EPOCH,
        revision: Revision::FIRST,
    })
}

fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

/// A transaction that has everything.
pub(super) fn transaction(kind: TransactionKind) -> Payload {
    Payload::EvmTransaction(Box::new(EvmTransaction {
        digest: [1; 32],
        kind,
        chain_id: 1,
        nonce: 2,
        gas_limit: 3,
        fees: Fees {
            max_fee_per_gas: 4,
            max_priority_fee_per_gas: Some(5),
            max_fee_per_blob_gas: Some(6),
        },
        to: Some(address(7)),
        value: U256::MAX,
        data_length: 68,
        selector: Some([8; 4]),
        call: Some(TokenCall {
            function: "transfer(address,uint256)",
            sender: Some(address(9)),
            recipient: Some(address(10)),
            spender: Some(address(11)),
            amount: Some(U256::from(12)),
            approved: Some(true),
        }),
        access_list: vec![address(13)],
        authorizations: vec![Authorization { chain_id: 1, address: address(14), nonce: 15 }],
        blobs: 1,
    }))
}

/// Typed data with a whole domain, and a permit.
pub(super) fn typed_data() -> Payload {
    Payload::Eip712(Box::new(TypedData {
        digest: [1; 32],
        domain: Domain {
            name: Some("Token".to_owned()),
            version: Some("1".to_owned()),
            chain_id: Some(1),
            verifying_contract: Some(address(2)),
            salt: Some([3; 32]),
        },
        primary_type: "Permit".into(),
        encode_type: "Permit(address owner)".into(),
        fields: vec![("owner".to_owned(), "somebody".to_owned())],
        permit: Some(Permit {
            owner: address(4),
            spender: address(5),
            value: U256::from(6),
            nonce: U256::from(7),
            deadline: U256::from(8),
        }),
    }))
}

/// A message that has everything.
pub(super) fn solana() -> Payload {
    let address = |byte| solana::Address::new_from_array([byte; 32]);
    Payload::SolanaMessage(Box::new(SolanaMessage {
        signed: [1, 2, 3].into(),
        version: Version::V0,
        fee_payer: address(1),
        accounts: vec![Account { address: address(1), signer: true, writable: true }],
        programs: vec![address(2)],
        lookup_tables: vec![address(3)],
        transfers: vec![Transfer {
            program: TransferProgram::Token,
            source: Some(address(4)),
            destination: Some(address(5)),
            authority: Some(address(6)),
            mint: Some(address(7)),
            amount: 8,
        }],
        compute_unit_limit: Some(9),
        compute_unit_price: Some(10),
        durable_nonce: true,
        fully_decoded: true,
    }))
}
