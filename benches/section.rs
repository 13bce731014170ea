//! The enclave's section of one `Sign`, against the same steps by the same libraries
//! in plain memory; and what secret memory costs by itself. What differs is the room:
//! its stack, its heap, the cleared registers and the wiping.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/plain.rs"]
mod plain;
#[path = "support/sealed.rs"]
#[expect(dead_code, reason = "the bench of the envelope uses the rest")]
mod sealed;

use std::hint::black_box;

use countersign::{
    enclave::{DEK_LEN, Dek, SLOT_LEN},
    envelope::Envelope,
    key::Algorithm,
    payload::Payload,
    policy::Sign,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sealed::{BATCH, Sealed};

fn section(criterion: &mut Criterion) {
    for algorithm in Algorithm::ALL {
        let mut group = criterion.benchmark_group(format!("section/{algorithm}"));
        let sealed = Sealed::new(algorithm);
        let payload = Payload::sample(algorithm);
        group.bench_function("plain memory", |bencher| {
            let envelope = Envelope::decode(&sealed.record.envelope).unwrap();
            let public = sealed.record.description.public_key;
            bencher.iter_batched(
                || (),
                |()| plain::sign(&envelope, &sealed.dek, &public, black_box(&payload)).unwrap(),
                BatchSize::NumIterations(BATCH),
            );
        });
        group.bench_function("secret memory", |bencher| {
            bencher.iter_batched(
                || sealed.permitted(Sign { payload: payload.clone() }),
                |(envelope, dek)| sealed.enclave.sign(envelope, dek).unwrap(),
                BatchSize::NumIterations(BATCH),
            );
        });
        group.finish();
    }
}

/// What a section costs that does nothing, and a slot that holds nothing.
fn memory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("secret memory");
    let sealed = Sealed::new(Algorithm::Ed25519);
    group.bench_function("take and wipe a slot of 4 KiB", |bencher| {
        bencher.iter(|| sealed.enclave.reserve(SLOT_LEN).unwrap());
    });
    let dek = Dek::generate(sealed.enclave.reserve(DEK_LEN).unwrap()).unwrap();
    group.bench_function("enter and leave a room", |bencher| {
        let nothing = |dek: &_| {
            black_box(dek);
            Ok(())
        };
        bencher.iter(|| dek.reveal(nothing).unwrap());
    });
    for size in [64, 4096, 65536] {
        group.bench_function(format!("allocate, free and wipe {size} bytes"), |bencher| {
            bencher.iter(|| black_box(Vec::<u8>::with_capacity(black_box(size))));
        });
    }
    group.finish();
}

criterion_group!(benches, section, memory);
criterion_main!(benches);
