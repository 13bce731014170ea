//! What a decision costs: the caller, one share, three policies.

use std::{hint::black_box, sync::Arc, time::SystemTime};

use countersign::{
    caller::Caller,
    envelope::{Identity, KekRef},
    key::{Algorithm, PublicKey, RecordVersion, Revision, ShareId, ShareState},
    payload::Payload,
    policy::{Policy, Sign},
    record::ShareDescription,
};
use criterion::{Criterion, criterion_group, criterion_main};

const POLICY: &str = include_str!("../src/cli/demo/demo.cedar");

fn decision(criterion: &mut Criterion) {
    let policy = Policy::parse([("demo.cedar", POLICY)]).expect("it is valid");
    let caller = Arc::new(Caller {
        name: "demo".into(),
        uid: Some(1000),
        spiffe_id: None,
        groups: Box::new(["applications".into()]),
        rate: None,
    });
    // The base point of edwards25519 (RFC 8032 §5.1).
    let mut key = [0x66; 32];
    key[0] = 0x58;
    let share = Arc::new(ShareDescription {
        identity: Identity {
            environment: "demo".parse().expect("a name"),
            wallet: "wallet".parse().expect("a name"),
            share: ShareId::random(),
            version: RecordVersion::FIRST,
            address: None,
            algorithm: Algorithm::Ed25519,
        },
        public_key: PublicKey::parse(Algorithm::Ed25519, &key).expect("a key"),
        state: ShareState::Enabled,
        kek: KekRef::new("local", "", "countersign-demo").expect("a name"),
        created_at: SystemTime::now(),
        revision: Revision::FIRST,
    });
    criterion.bench_function("policy/authorize Sign", |bencher| {
        bencher.iter(|| {
            let payload = Payload::Message(b"message".to_vec().into());
            let permit = policy.authorize(&caller, Arc::clone(&share), Sign { payload });
            black_box(permit.is_ok())
        });
    });
}

criterion_group!(benches, decision);
criterion_main!(benches);
