//! What policy decides, held against a decision that shares no code with it; and what
//! becomes of policies while the process runs.

mod amounts;
mod matrix;
mod reload;
mod served;
mod streams;

use std::{sync::Arc, time::SystemTime};

use countersign::{
    caller::Caller,
    envelope::{Identity, KekRef},
    key::{Algorithm, Binding, PublicKey, RecordVersion, Revision, ShareId, ShareState},
    policy::ShareSubject,
    record::ShareDescription,
};

fn caller(name: &str, groups: &[&str]) -> Arc<Caller> {
    Arc::new(Caller {
        name: name.into(),
        uid: Some(1000),
        spiffe_id: None,
        rate: None,
        groups: groups.iter().map(|group| (*group).into()).collect(),
    })
}

fn share(wallet: &str, algorithm: Algorithm) -> ShareSubject {
    // The base points of edwards25519 (RFC 8032 §5.1), secp256k1 and P-256.
    let key = match algorithm {
        Algorithm::Ed25519 => format!("58{}", "66".repeat(31)),
        Algorithm::EcdsaSecp256k1 => {
            "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".to_owned()
        }
        Algorithm::EcdsaP256 => {
            "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296".to_owned()
        }
        Algorithm::SchnorrSecp256k1 => {
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".to_owned()
        }
    };
    Arc::new(ShareDescription {
        identity: Identity {
            environment: "test".parse().unwrap(),
            wallet: wallet.parse().unwrap(),
            share: ShareId::random(),
            version: RecordVersion::FIRST,
            address: None,
            algorithm,
            binding: Binding::Derived,
        },
        public_key: PublicKey::parse(algorithm, &hex::decode(key).unwrap()).unwrap(),
        state: ShareState::Enabled,
        kek: KekRef::new("local", "", "countersign-test").unwrap(),
        destroy_after: None,
        created_at: SystemTime::UNIX_EPOCH,
        revision: Revision::FIRST,
    })
}
