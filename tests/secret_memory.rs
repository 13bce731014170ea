//! Secret memory at its limits: what no caller can make the shipped program do is
//! done in children of this binary.

use std::{
    hint::black_box, os::unix::process::ExitStatusExt, process::Output, sync::atomic::Ordering,
};

use countersign::{
    enclave::{
        Dek, Enclave, EnclaveError, LARGE_SLOT_LEN, LEAKS, SECTION, SLOT_LEN, secret_thread,
    },
    envelope::{Envelope, SealedShare, TAG_LEN},
    key::Algorithm,
    memory::{Budget, Level},
};
use futures_util::StreamExt;
use rustix::process::Signal;
use tonic::Code;

use crate::support::{child, enclave::Enclave as Served, refused::assert_refused};

fn enclave() -> Enclave {
    let budget = Budget { slots: 4, large_slots: 0, sections: 1, threads: 0 };
    Enclave::start(budget, Level::Mlock).unwrap()
}

fn dek() -> Dek {
    Dek::generate(enclave().reserve(32).unwrap()).unwrap()
}

fn ended(test: &str) -> (Output, String) {
    let output = child::command(&format!("secret_memory::{test}")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

// === a section cannot outgrow its room ===

#[test]
fn a_full_heap_ends_the_process() {
    let (output, said) = ended("fills_the_heap_of_a_section");
    assert!(said.contains("a secret heap is full"), "{said}");
    assert_eq!(output.status.signal(), Some(Signal::ABORT.as_raw()), "{said}");
    let (output, said) = ended("fills_the_heap_of_a_thread");
    assert!(said.contains("a secret heap is full"), "{said}");
    assert_eq!(output.status.signal(), Some(Signal::ABORT.as_raw()), "{said}");
}

#[test]
#[ignore = "a child of other tests"]
fn fills_the_heap_of_a_section() {
    if child::is_one() {
        let _ = dek().reveal(|_| {
            black_box(vec![1u8; SECTION.length()]);
            Ok(())
        });
    }
}

#[test]
#[ignore = "a child of other tests"]
fn fills_the_heap_of_a_thread() {
    if child::is_one() {
        let fill = || drop(black_box(vec![1u8; 8 * 1024 * 1024]));
        let _ = secret_thread("fills", fill).unwrap().join();
    }
}

#[test]
fn a_stack_that_is_used_up_ends_the_process() {
    let (output, said) = ended("uses_up_the_stack");
    assert_eq!(output.status.signal(), Some(Signal::SEGV.as_raw()), "{said}");
}

#[test]
#[ignore = "a child of other tests"]
fn uses_up_the_stack() {
    fn deeper(depth: u64) -> u64 {
        let frame = black_box([depth; 128]);
        if depth == 0 { 0 } else { deeper(depth - 1) + frame[0] }
    }
    if child::is_one() {
        let _ = dek().reveal(|_| {
            black_box(deeper(black_box(1_000_000)));
            Ok(())
        });
    }
}

// === large slots ===

/// Few keys are longer than a page; those that are have slots of their own.
#[test]
fn large_slots_are_apart_from_small_ones() {
    let budget = Budget { slots: 2, large_slots: 2, sections: 1, threads: 0 };
    let enclave = Enclave::start(budget, Level::Mlock).unwrap();
    let exhausted = |length| enclave.reserve(length).err() == Some(EnclaveError::Exhausted);
    let large = [SLOT_LEN + 1, LARGE_SLOT_LEN].map(|length| enclave.reserve(length).unwrap());
    assert!(exhausted(5000));
    let small = [0, SLOT_LEN].map(|length| enclave.reserve(length).unwrap());
    assert!(exhausted(32));
    drop(large);
    assert!(exhausted(32), "a DEK does not take a large slot");
    assert!(exhausted(LARGE_SLOT_LEN + 1), "no share is so long");
    let again = [5000, 5000].map(|length| enclave.reserve(length).unwrap());
    assert_eq!(enclave.pool().free(), 0);
    drop((small, again));
    assert_eq!(enclave.pool().free(), 4);
}

/// A record with a long share is refused while all large slots are in use, before
/// the KMS is asked; what needs a small one is signed meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_large_slot_a_long_share_waits() {
    let served = Served::start().await;
    let (short, long) =
        (served.share(Algorithm::Ed25519).await, served.share(Algorithm::Ed25519).await);
    let id: uuid::Uuid = long.id.parse().unwrap();
    let database = served.database();
    let select = "SELECT encrypted_key_shares FROM server_wallet_key_shares WHERE id = ?1";
    let envelope: Vec<u8> = database.query_row(select, [id.as_bytes()], |row| row.get(0)).unwrap();
    let envelope = Envelope::decode(&envelope).unwrap();
    let sealed = SealedShare::new(vec![7; 5000 + TAG_LEN]).unwrap();
    let header = envelope.header().clone();
    let envelope = Envelope::new(header, envelope.wrapped_dek().clone(), sealed);
    let update = "UPDATE server_wallet_key_shares SET encrypted_key_shares = ?1 WHERE id = ?2";
    database.execute(update, (envelope.encode(), id.as_bytes())).unwrap();

    let mut client = served.client().await;
    let enclave = &served.signing.enclave;
    let taken: Vec<_> = std::iter::from_fn(|| enclave.reserve(5000).ok()).collect();
    assert_eq!(taken.len(), 2);
    let before = served.counts.uses()[1];
    let status = client.sign(long.sign_request(0)).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "OVERLOADED");
    assert_eq!(served.counts.uses()[1], before, "nothing was unwrapped");
    client.sign(short.sign_request(0)).await.unwrap();
    drop(taken);
    // There is room, and what was sealed by nobody does not open.
    let status = client.sign(long.sign_request(0)).await.unwrap_err();
    assert_refused(&status, Code::DataLoss, "ENVELOPE_UNOPENED");
    assert_eq!(enclave.pool().free(), served.slots);
}

// === a panic ===

#[test]
fn of_a_panic_only_the_place_is_printed() {
    let (output, said) = ended("panics_with_what_it_holds");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("panicked in secret memory at tests/secret_memory.rs:"), "{said}");
    for telling in ["plaintext", "a5, a5", "165, 165", "stack backtrace"] {
        assert!(!said.contains(telling), "{telling}: {said}");
    }
}

#[test]
#[ignore = "a child of other tests"]
fn panics_with_what_it_holds() {
    if !child::is_one() {
        return;
    }
    let made = Dek::unwrapped(enclave().reserve(32).unwrap(), |dek| {
        dek.fill(0xa5);
        panic!("plaintext: {dek:02x?} {dek:?}")
    });
    assert_eq!(made.err(), Some(EnclaveError::Panicked));
    let thread = secret_thread("panics", || panic!("plaintext: {:?}", [0xa5u8; 32]));
    thread.unwrap().join().unwrap();
    // Not even then does anything stay behind.
    assert_eq!(LEAKS.load(Ordering::SeqCst), 0);
}

// === leaks ===

#[test]
fn what_a_section_leaves_is_counted() {
    let (output, said) = ended("leaves_a_block");
    assert!(output.status.success(), "{said}");
}

#[test]
#[ignore = "a child of other tests"]
fn leaves_a_block() {
    if !child::is_one() {
        return;
    }
    let dek = dek();
    let mut left = Vec::new();
    dek.reveal(|_| {
        left = vec![1u8; 100];
        Ok(())
    })
    .unwrap();
    assert_eq!(LEAKS.load(Ordering::SeqCst), 1);
    // It goes back to where it came from, from outside, and the room is as before.
    drop(left);
    dek.reveal(|_| Ok(())).unwrap();
    assert_eq!(LEAKS.load(Ordering::SeqCst), 1);
}

/// Every operation there is, by every algorithm; and all that the other tests did
/// in this process so far.
#[tokio::test(flavor = "multi_thread")]
async fn no_section_leaves_anything() {
    let served = Served::start().await;
    let mut client = served.client().await;
    for algorithm in Algorithm::ALL {
        let share = served.share(algorithm).await;
        for number in 0..3 {
            client.sign(share.sign_request(number)).await.unwrap();
        }
        let frames = std::iter::once(share.open()).chain((1..4).map(|id| share.frame(id)));
        let answers = client.use_share(tokio_stream::iter(frames.collect::<Vec<_>>())).await;
        let answers = answers.unwrap().into_inner();
        let answers: Vec<_> = answers.collect().await;
        assert_eq!(answers.iter().flatten().count(), 4);
    }
    assert_eq!(LEAKS.load(Ordering::SeqCst), 0);
}
