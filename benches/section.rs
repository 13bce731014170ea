//! The enclave's section of one `Sign`, against the same libraries in plain
//! memory: AES-256-GCM decryption, signature, verification.
//!
//! The difference is the key commitment (two HKDF-SHA-512 expansions), the
//! derivation of the public key that is compared with the recorded one, and the
//! locked, wiped slot.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/sealed.rs"]
#[expect(dead_code, reason = "the bench of the envelope uses the rest")]
mod sealed;

use std::hint::black_box;

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use bytes::Bytes;
use countersign::{key::Algorithm, payload::Payload, policy::Sign};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ecdsa::{
    hazmat::sign_prehashed_rfc6979,
    signature::{Signer, hazmat::PrehashVerifier},
};
use sealed::{BATCH, Sealed};
use sha2::{Digest, Sha256};

const KEY: [u8; 32] = [0x17; 32];
const NONCE: [u8; 12] = [0; 12];
const MESSAGE: [u8; 32] = [7; 32];
/// As long as the associated data of a record.
const AAD: [u8; 192] = [0; 192];

fn section(criterion: &mut Criterion) {
    for algorithm in Algorithm::ALL {
        let mut group = criterion.benchmark_group(format!("section/{algorithm}"));
        let sealed = Sealed::new(algorithm);
        group.bench_function("enclave", |bencher| {
            bencher.iter_batched(
                || sealed.permitted(payload(algorithm)),
                |(envelope, dek)| sealed.enclave.sign(envelope, dek).unwrap(),
                BatchSize::NumIterations(BATCH),
            );
        });
        let encrypted = encrypt();
        group.bench_function("plain memory", |bencher| {
            bencher.iter(|| sign(algorithm, &decrypt(black_box(&encrypted))).unwrap());
        });
        group.finish();
    }
}

/// 32 bytes in the form that the algorithm signs.
fn payload(algorithm: Algorithm) -> Sign {
    let payload = match algorithm {
        Algorithm::EcdsaSecp256k1 => Payload::Digest([7; 32]),
        _ => Payload::Message(Bytes::from_static(&[7; 32])),
    };
    Sign { payload }
}

struct Encrypted {
    ciphertext: [u8; 32],
    tag: aes_gcm::Tag,
}

fn encrypt() -> Encrypted {
    let mut ciphertext = KEY;
    let tag = Aes256Gcm::new((&KEY).into())
        .encrypt_inout_detached((&NONCE).into(), &AAD, ciphertext.as_mut_slice().into())
        .unwrap();
    Encrypted { ciphertext, tag }
}

fn decrypt(encrypted: &Encrypted) -> [u8; 32] {
    let mut share = encrypted.ciphertext;
    Aes256Gcm::new((&KEY).into())
        .decrypt_inout_detached((&NONCE).into(), &AAD, share.as_mut_slice().into(), &encrypted.tag)
        .unwrap();
    share
}

/// Parses the key, signs and verifies.
fn sign(algorithm: Algorithm, share: &[u8; 32]) -> Option<[u8; 64]> {
    Some(match algorithm {
        Algorithm::Ed25519 => {
            let key = ed25519_dalek::SigningKey::from_bytes(share);
            let signature = key.sign(&MESSAGE);
            key.verifying_key().verify_strict(&MESSAGE, &signature).ok()?;
            signature.to_bytes()
        }
        Algorithm::EcdsaSecp256k1 => {
            let key = k256::SecretKey::from_slice(share).ok()?;
            let scalar = key.to_nonzero_scalar();
            let (signature, _) =
                sign_prehashed_rfc6979::<k256::Secp256k1, Sha256>(&scalar, &MESSAGE, b"");
            k256::ecdsa::VerifyingKey::from(key.public_key())
                .verify_prehash(&MESSAGE, &signature)
                .ok()?;
            signature.to_bytes().into()
        }
        Algorithm::EcdsaP256 => {
            let key = p256::SecretKey::from_slice(share).ok()?;
            let scalar = key.to_nonzero_scalar();
            let digest = Sha256::digest(MESSAGE);
            let (signature, _) =
                sign_prehashed_rfc6979::<p256::NistP256, Sha256>(&scalar, &digest, b"");
            p256::ecdsa::VerifyingKey::from(key.public_key())
                .verify_prehash(&digest, &signature)
                .ok()?;
            signature.to_bytes().into()
        }
        Algorithm::SchnorrSecp256k1 => {
            let key = k256::schnorr::SigningKey::from_slice(share).ok()?;
            let mut aux_rand = [0; 32];
            getrandom::fill(&mut aux_rand).ok()?;
            let signature = key.sign_raw(&MESSAGE, &aux_rand).ok()?;
            key.verifying_key().verify_raw(&MESSAGE, &signature).ok()?;
            signature.to_bytes()
        }
    })
}

criterion_group!(benches, section);
criterion_main!(benches);
