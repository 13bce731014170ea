//! What decoding and deciding cost: an ERC-20 transfer, a permit by signature and a
//! Solana transfer, under 100 and 1,000 policies of which 5 or all are in scope.

use std::{fmt::Write, hint::black_box, sync::Arc, time::SystemTime};

use countersign::{
    caller::Caller,
    envelope::{Identity, KekRef},
    key::{Algorithm, Binding, PublicKey, RecordVersion, Revision, ShareId, ShareState},
    payload::{Payload, PayloadKind},
    policy::{
        Facts, Policy, ShareSubject, Sign,
        amount::{AmountLimit, Unit},
    },
    record::ShareDescription,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// An EIP-1559 transaction that calls transfer(address,uint256), by viem 2.57.20.
const TRANSFER: &str = "02f86e0180843b9aca008506fc23ac0083015f90947d31bb30a582a559edbb940c21e2c103\
    7197e48e80b844a9059cbb00000000000000000000000090763defbd225df01907a64a6b43b93b96a9c8b0000000000\
    00000000000000000000000000000000000b3ca359f601d901bbc7dc0";
const TOKEN: &str = "0x7d31bB30a582a559EDBB940C21e2C1037197E48e";

/// ERC-2612, by viem's serializeTypedData.
const PERMIT: &str = r#"{"domain":{"name":"USD Coin","version":"2","chainId":"1","verifyingContract":"0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"},"message":{"owner":"0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826","spender":"0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","value":"1000000","nonce":"0","deadline":"1900000000"},"primaryType":"Permit","types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],"Permit":[{"name":"owner","type":"address"},{"name":"spender","type":"address"},{"name":"value","type":"uint256"},{"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}]}}"#;

/// A transfer by the System program, by @solana/web3.js 1.99.0.
const LAMPORTS: &str = "01000103949f3ad2fbdcf303350b0694241c9df91c01e2b0affae33d549cac6defe16a26dd1e\
    e24fd7e49dfb95a940f99bf97ee80632634959237209526ac40e6579fdbf00000000000000000000000000000000000\
    00000000000000000000000000000ab44bf129de538e758002f59c59f0392df2504f351a8c608e84f27eb66fbbb5901\
    020200010c020000000000000000000000";

/// What policies for each ask, as those in `examples/policies` do.
const ERC_20: &str = r#"context has transaction && context.transaction.chain_id == 1 &&
    context.transaction has call &&
    context.transaction.call.token == "0x7d31bB30a582a559EDBB940C21e2C1037197E48e" &&
    context.transaction.call.function == "transfer(address,uint256)" &&
    context.within.contains("large")"#;
const ERC_2612: &str = r#"context has typed_data && context.typed_data has permit &&
    context.typed_data.domain has chain_id && context.typed_data.domain.chain_id == 1 &&
    context.typed_data.permit.spender == "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB""#;
const SOLANA: &str = "context has solana && context.solana.fully_decoded";

/// `count` policies like one that is written by hand; the first `matching` of them
/// are the caller's.
fn policies(count: usize, matching: usize, condition: &str) -> Policy {
    let mut source = String::new();
    for number in 0..count {
        let caller = if number < matching { "bench".to_owned() } else { format!("other-{number}") };
        let _ = write!(
            source,
            r#"@id("policy-{number}")
            permit (principal == Caller::"{caller}", action == Action::"Sign", resource)
            when {{
                resource.wallet == "treasury-{number}" || resource.wallet == "treasury"
            }}
            when {{ {condition} }};"#
        );
    }
    let limit = |name: &str, at_most: u128| AmountLimit {
        name: name.into(),
        unit: Unit::Token { chain_id: 1, token: TOKEN.parse().expect("an address") },
        at_most: alloy_primitives::U256::from(at_most),
    };
    let limits = [limit("small", 1_000_000), limit("large", u128::MAX)];
    Policy::parse([("bench.cedar", &*source)])
        .expect("they are valid")
        .with(Facts { limits: limits.into_iter().collect(), ..Facts::default() })
}

fn share(algorithm: Algorithm) -> ShareSubject {
    // The base point of edwards25519 (RFC 8032 §5.1), of secp256k1 (SEC 2 §2.4.1).
    let key = match algorithm {
        Algorithm::Ed25519 => format!("58{}", "66".repeat(31)),
        _ => "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".to_owned(),
    };
    let key = hex::decode(key).expect("digits");
    Arc::new(ShareDescription {
        identity: Identity {
            environment: "bench".parse().expect("a name"),
            wallet: "treasury".parse().expect("a name"),
            share: ShareId::random(),
            version: RecordVersion::FIRST,
            address: None,
            algorithm,
            binding: Binding::Derived,
        },
        public_key: PublicKey::parse(algorithm, &key).expect("a key"),
        state: ShareState::Enabled,
        kek: KekRef::new("local", "", "countersign-bench").expect("a name"),
        destroy_after: None,
        created_at: SystemTime::now(),
        revision: Revision::FIRST,
    })
}

fn decision(criterion: &mut Criterion) {
    let caller = Arc::new(Caller {
        name: "bench".into(),
        uid: Some(1000),
        spiffe_id: None,
        rate: None,
        groups: Box::new(["applications".into()]),
    });
    let bytes = |digits: &str| bytes::Bytes::from(hex::decode(digits).expect("digits"));
    let cases = [
        (
            "erc-20 transfer",
            PayloadKind::EvmTransaction,
            bytes(TRANSFER),
            Algorithm::EcdsaSecp256k1,
            ERC_20,
        ),
        (
            "erc-2612 permit",
            PayloadKind::Eip712,
            PERMIT.into(),
            Algorithm::EcdsaSecp256k1,
            ERC_2612,
        ),
        (
            "solana transfer",
            PayloadKind::SolanaMessage,
            bytes(LAMPORTS),
            Algorithm::Ed25519,
            SOLANA,
        ),
    ];
    for (name, kind, payload, algorithm, condition) in cases {
        let decode = || Payload::decode(kind, payload.clone()).expect("it decodes");
        criterion.bench_function(&format!("{name}/decode"), |bencher| bencher.iter(decode));
        let share = share(algorithm);
        for (count, matching) in [(100, 5), (100, 100), (1000, 5)] {
            let policy = policies(count, matching, condition);
            let decide = |payload| {
                let permit = policy.authorize(&caller, Arc::clone(&share), Sign { payload });
                assert!(permit.is_ok());
                black_box(permit.is_ok())
            };
            let title = format!("{name}/decode + decide, {matching} of {count} in scope");
            criterion.bench_function(&title, |bencher| bencher.iter(|| decide(decode())));
        }
    }

    // What an application starts with: nothing asks what a payload says.
    let policy = include_str!("../src/cli/demo/demo.cedar").replace("\"demo\"", "\"bench\"");
    let policy = Policy::parse([("demo.cedar", &*policy)]).expect("it is valid");
    let share = share(Algorithm::Ed25519);
    criterion.bench_function("message/decide by kind alone", |bencher| {
        bencher.iter(|| {
            let payload = Payload::Message(b"message".as_slice().into());
            let permit = policy.authorize(&caller, Arc::clone(&share), Sign { payload });
            black_box(permit.is_ok())
        });
    });
}

criterion_group!(benches, decision);
criterion_main!(benches);
