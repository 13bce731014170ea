//! The floor under every signature: the same library's sign and verify, on a
//! key that is parsed already, in plain memory.

use std::{
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use ecdsa::{hazmat::sign_prehashed_rfc6979, signature::hazmat::PrehashVerifier};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::Sha256;
use tokio::task::spawn_blocking;

use super::rounds::{Figures, Measure};
use crate::{cli::failure::Failure, key::Algorithm};

/// What is signed: as long as the requests' payload.
const MESSAGE: [u8; 32] = super::request::MESSAGE;
/// A key of every algorithm. It protects nothing.
const KEY: [u8; 32] = [0x17; 32];

/// One algorithm's sign and verify on some threads at once.
pub(super) struct Library {
    algorithm: Algorithm,
    threads: usize,
}

impl Library {
    pub(super) fn new(algorithm: Algorithm, threads: usize) -> Self {
        Self { algorithm, threads }
    }
}

#[async_trait]
impl Measure for Library {
    async fn measure(&mut self, span: Duration) -> Result<Figures, Failure> {
        let Self { algorithm, threads } = *self;
        let started = Instant::now();
        let until = started + span;
        let done = spawn_blocking(move || {
            thread::scope(|scope| {
                let workers: Vec<_> =
                    (0..threads).map(|_| scope.spawn(move || run(algorithm, until))).collect();
                workers.into_iter().map(|worker| worker.join().ok()?).collect()
            })
        });
        let latencies: Option<Vec<Vec<Duration>>> =
            done.await.map_err(|error| Failure::new(error.to_string()))?;
        let latencies = latencies
            .ok_or_else(|| Failure::new(format!("{algorithm}: the library does not sign")))?;
        Ok(Figures::of(latencies.concat(), started.elapsed()))
    }
}

/// A parsed key.
pub(super) fn ed25519() -> SigningKey {
    SigningKey::from_bytes(&KEY)
}

/// Signs and verifies.
pub(super) fn sign_ed25519(key: &SigningKey) -> Option<()> {
    let signature = key.sign(&MESSAGE);
    let public = key.as_ref();
    VerifyingKey::verify_strict(public, &MESSAGE, &signature).ok()
}

fn run(algorithm: Algorithm, until: Instant) -> Option<Vec<Duration>> {
    match algorithm {
        Algorithm::Ed25519 => {
            let key = ed25519();
            repeat(until, || sign_ed25519(&key))
        }
        Algorithm::EcdsaSecp256k1 => {
            let secret = k256::SecretKey::from_slice(&KEY).ok()?;
            let (scalar, public) = (secret.to_nonzero_scalar(), secret.public_key());
            let public = k256::ecdsa::VerifyingKey::from(public);
            repeat(until, || {
                let (signature, _) =
                    sign_prehashed_rfc6979::<k256::Secp256k1, Sha256>(&scalar, &MESSAGE, b"");
                public.verify_prehash(&MESSAGE, &signature).ok()
            })
        }
        Algorithm::EcdsaP256 => {
            let secret = p256::SecretKey::from_slice(&KEY).ok()?;
            let (scalar, public) = (secret.to_nonzero_scalar(), secret.public_key());
            let public = p256::ecdsa::VerifyingKey::from(public);
            repeat(until, || {
                let (signature, _) =
                    sign_prehashed_rfc6979::<p256::NistP256, Sha256>(&scalar, &MESSAGE, b"");
                public.verify_prehash(&MESSAGE, &signature).ok()
            })
        }
        Algorithm::SchnorrSecp256k1 => {
            let key = k256::schnorr::SigningKey::from_slice(&KEY).ok()?;
            repeat(until, || {
                let signature = key.sign_raw(&MESSAGE, &KEY).ok()?;
                key.verifying_key().verify_raw(&MESSAGE, &signature).ok()
            })
        }
    }
}

fn repeat(until: Instant, mut once: impl FnMut() -> Option<()>) -> Option<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut started = Instant::now();
    while started < until {
        std::hint::black_box(once()?);
        let now = Instant::now();
        latencies.push(now - started);
        started = now;
    }
    Some(latencies)
}
