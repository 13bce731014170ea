//! What the enclave does with an envelope, by the same libraries in plain memory.

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use countersign::{
    envelope::{Envelope, SUITE},
    key::{Algorithm, PublicKey},
    payload::Payload,
    signature::VerifyingKey,
};
use ecdsa::hazmat::sign_prehashed_rfc6979;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use hkdf::Hkdf;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// Derives, compares, decrypts, derives the public key, compares, signs, verifies.
pub fn sign(
    envelope: &Envelope,
    dek: &[u8; 32],
    recorded: &PublicKey,
    payload: &Payload,
) -> Option<[u8; 64]> {
    let header = envelope.header();
    let hkdf = Hkdf::<Sha512>::new(Some(b"countersign/v1/envelope"), dek);
    let (mut key, mut commitment) = ([0; 32], [0; 32]);
    hkdf.expand_multi_info(&[b"countersign/v1/encrypt", &[SUITE]], &mut key).ok()?;
    hkdf.expand_multi_info(&[b"countersign/v1/commit", &[SUITE]], &mut commitment).ok()?;
    if !bool::from(commitment.ct_eq(&header.commitment.0)) {
        return None;
    }
    let (ciphertext, tag) = envelope.sealed().parts();
    let mut share: [u8; 32] = ciphertext.try_into().ok()?;
    Aes256Gcm::new((&key).into())
        .decrypt_inout_detached(
            (&header.nonce.0).into(),
            &header.aad(),
            share.as_mut_slice().into(),
            tag.into(),
        )
        .ok()?;
    let (key, made) = sign_with(recorded.algorithm(), &share, payload)?;
    (key.public_key() == *recorded).then_some(())?;
    key.verify(payload, &made).ok()?;
    Some(made)
}

/// Derives the public key, and parses the share again to sign, as the enclave does.
fn sign_with(
    algorithm: Algorithm,
    share: &[u8; 32],
    payload: &Payload,
) -> Option<(VerifyingKey, [u8; 64])> {
    let input = payload.signed_bytes();
    Some(match algorithm {
        Algorithm::Ed25519 => {
            let public = ed25519_dalek::SigningKey::from_bytes(share).verifying_key();
            let expanded = ExpandedSecretKey::from(share);
            let made = raw_sign::<Sha512>(&expanded, input, &public);
            (VerifyingKey::Ed25519(public), made.to_bytes())
        }
        Algorithm::EcdsaSecp256k1 => {
            let public = k256::SecretKey::from_slice(share).ok()?.public_key();
            let scalar = k256::SecretKey::from_slice(share).ok()?.to_nonzero_scalar();
            let (made, _) = sign_prehashed_rfc6979::<k256::Secp256k1, Sha256>(&scalar, input, b"");
            (VerifyingKey::EcdsaSecp256k1(public.into()), made.to_bytes().into())
        }
        Algorithm::EcdsaP256 => {
            let public = p256::SecretKey::from_slice(share).ok()?.public_key();
            let scalar = p256::SecretKey::from_slice(share).ok()?.to_nonzero_scalar();
            let digest = Sha256::digest(input);
            let (made, _) = sign_prehashed_rfc6979::<p256::NistP256, Sha256>(&scalar, &digest, b"");
            (VerifyingKey::EcdsaP256(public.into()), made.to_bytes().into())
        }
        Algorithm::SchnorrSecp256k1 => {
            let public = *k256::schnorr::SigningKey::from_slice(share).ok()?.verifying_key();
            let mut aux_rand = [0; 32];
            getrandom::fill(&mut aux_rand).ok()?;
            let made = k256::schnorr::SigningKey::from_slice(share).ok()?;
            (
                VerifyingKey::SchnorrSecp256k1(public),
                made.sign_raw(input, &aux_rand).ok()?.to_bytes(),
            )
        }
    })
}
