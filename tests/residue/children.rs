//! What the children do.

use std::{hint::black_box, sync::atomic::Ordering, time::Duration};

use countersign::{
    enclave::{self, Dek, EnclaveError},
    key::Algorithm,
    memory::{Budget, Level},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt;

use super::{child, freed, plain};
use crate::support::enclave::{Enclave, Share};

/// Keeps a copy of what it is told in ordinary memory.
#[test]
#[ignore = "a child of other tests"]
fn plants() {
    if !child::is_one() {
        return;
    }
    let planted = hex::decode(child::told()).unwrap();
    child::ready("");
    child::wait();
    black_box(planted);
}

/// Decrypts and signs with the libraries of the enclave, without the enclave.
#[test]
#[ignore = "a child of other tests"]
fn signs_in_plain_memory() {
    if !child::is_one() {
        return;
    }
    let sealed = plain::Sealed::read(&child::told());
    child::ready("");
    std::thread::spawn(move || {
        loop {
            black_box(sealed.sign());
        }
    });
    child::wait();
}

/// Had the masked bytes of its line in ordinary memory, in blocks that grew.
#[test]
#[ignore = "a child of other tests"]
fn frees_what_it_had() {
    if child::is_one() {
        drop(had());
        child::ready("");
        child::wait();
    }
}

/// Still has them.
#[test]
#[ignore = "a child of other tests"]
fn keeps_what_it_had() {
    if child::is_one() {
        let had = had();
        child::ready("");
        child::wait();
        drop(black_box(had));
    }
}

/// Byte by byte, so that neither a register nor the stack has eight of them.
#[inline(never)]
fn had() -> (Vec<u8>, String) {
    let (mut bytes, mut text) = (Vec::new(), String::new());
    for masked in hex::decode(child::told()).unwrap() {
        let byte = black_box(masked) ^ freed::MASK;
        bytes.push(byte);
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap());
        }
    }
    black_box((bytes, text))
}

/// The whole enclave without any hardening: it dumps core, handles a signal, and
/// keeps a copy of what it is told in ordinary memory. A share of each algorithm
/// is held open, and signs. Says where its database is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a child of other tests"]
async fn holds_shares_open() {
    if !child::is_one() {
        return;
    }
    let planted = hex::decode(child::told()).unwrap();
    let allowed = getrlimit(Resource::Core).maximum;
    let limit = Rlimit { current: allowed, maximum: allowed };
    setrlimit(Resource::Core, limit).unwrap();
    let mut signals = signal(SignalKind::user_defined1()).unwrap();
    tokio::spawn(async move { while signals.recv().await.is_some() {} });
    let enclave = Enclave::start().await;
    for algorithm in Algorithm::ALL {
        let share = enclave.share(algorithm).await;
        let mut client = enclave.client().await;
        tokio::spawn(async move {
            loop {
                let frames = tokio_stream::iter(frames(&share));
                let mut answers = client.use_share(frames).await.unwrap().into_inner();
                while let Some(Ok(_)) = answers.next().await {}
            }
        });
    }
    child::ready(enclave.dir.path().to_str().unwrap());
    tokio::task::spawn_blocking(child::wait).await.unwrap();
    black_box(planted);
}

fn frames(share: &Share) -> Vec<countersign::proto::UseShareRequest> {
    let frames = (0..1000).map(|number| share.frame(number));
    std::iter::once(share.open()).chain(frames).collect()
}

/// Draws keys in secret memory and panics there, with the key in the message. Says
/// their public keys, and first that of a key in ordinary memory.
#[test]
#[ignore = "a child of other tests"]
fn panics_in_the_section() {
    if !child::is_one() {
        return;
    }
    child::told();
    let planted = planted_key();
    let mut keys = vec![hex::encode(planted.verifying_key())];
    let budget = Budget { slots: 4, large_slots: 0, sections: 2, threads: 0 };
    let enclave = enclave::Enclave::start(budget, Level::Mlock).unwrap();
    for _ in 0..8 {
        let mut public = [0; 32];
        let slot = enclave.reserve(32).unwrap();
        let made = Dek::unwrapped(slot, |seed| {
            getrandom::fill(seed).unwrap();
            public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes();
            panic!("a fault with {seed:?}")
        });
        assert_eq!(made.err(), Some(EnclaveError::Panicked));
        keys.push(hex::encode(public));
    }
    assert_eq!(enclave::LEAKS.load(Ordering::SeqCst), 0, "what a panic leaves behind");
    child::ready(&keys.join(" "));
    child::wait();
    black_box(planted);
}

#[inline(never)]
fn planted_key() -> Box<ed25519_dalek::SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))
}

/// Threads sleep that long at most where there is nothing to wait for.
pub const BEAT: Duration = Duration::from_millis(5);
