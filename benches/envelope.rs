//! The envelope: read, opened, sealed.
//!
//! `open` and `seal` are the enclave's whole sections, which also derive or make
//! an Ed25519 key; the derivation alone stands beside them.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/sealed.rs"]
mod sealed;

use std::hint::black_box;

use countersign::{envelope::Envelope, key::Algorithm, policy::UseShare};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sealed::{BATCH, Sealed, identity, kek};

fn envelope(criterion: &mut Criterion) {
    let sealed = Sealed::new(Algorithm::Ed25519);
    let mut group = criterion.benchmark_group("envelope");
    let bytes = &sealed.record.envelope;
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Envelope::decode(black_box(bytes)).unwrap());
    });
    group.bench_function("open", |bencher| {
        bencher.iter_batched(
            || sealed.permitted(UseShare),
            |(envelope, dek)| sealed.enclave.open(envelope, dek).ok().unwrap(),
            BatchSize::NumIterations(BATCH),
        );
    });
    let permit = sealed.permit_to_generate();
    group.bench_function("seal", |bencher| {
        bencher.iter(|| {
            sealed.enclave.generate(&permit, kek(), |_| identity(permit.subject())).ok().unwrap()
        });
    });
    group.bench_function("derive an Ed25519 public key", |bencher| {
        bencher.iter(|| ed25519_dalek::SigningKey::from_bytes(black_box(&[7; 32])).verifying_key());
    });
    group.finish();
}

criterion_group!(benches, envelope);
criterion_main!(benches);
