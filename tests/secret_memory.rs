//! Secret memory at its limits: what no caller can make the shipped program do is
//! done in children of this binary.

use std::{
    hint::black_box, os::unix::process::ExitStatusExt, process::Output, sync::atomic::Ordering,
};

use countersign::{
    enclave::{Dek, Enclave, EnclaveError, LEAKS, SECTION, secret_thread},
    key::Algorithm,
    memory::{Budget, Level},
};
use futures_util::StreamExt;
use rustix::process::Signal;

use crate::support::{child, enclave::Enclave as Served};

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

// === a panic ===

#[test]
fn of_a_panic_only_the_place_is_printed() {
    let (output, said) = ended("panics_with_what_it_holds");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("panicked in secret memory at tests/secret_memory.rs:"), "{said}");
    for telling in ["plaintext", "a5a5", "165", "stack backtrace"] {
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
