//! The signers: a closed list, matched exhaustively, so that adding an algorithm
//! touches this reviewed code.
//!
//! Every signature is verified with the derived public key before it leaves: a
//! fault during signing (a flipped bit, a broken library) could otherwise
//! publish the key.
#![forbid(unsafe_code)]

mod ecdsa;
mod ed25519;
mod schnorr;

use super::{EnclaveError, Slot};
use crate::{
    key::{Algorithm, PublicKey},
    payload::Payload,
};

/// A signature: 64 bytes as the algorithm says (R ‖ S, r ‖ s, or BIP-340).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The 64 bytes.
    pub bytes: [u8; 64],
    /// ECDSA secp256k1 only: SEC 1 §4.1.6, 0 to 3.
    pub recovery_id: Option<u8>,
}

/// A parsed public key. Public, but only this module makes one.
pub enum VerifyingKey {
    /// RFC 8032.
    Ed25519(ed25519_dalek::VerifyingKey),
    /// SEC 2 secp256k1.
    EcdsaSecp256k1(k256::ecdsa::VerifyingKey),
    /// FIPS 186-5 P-256.
    EcdsaP256(p256::ecdsa::VerifyingKey),
    /// BIP-340.
    SchnorrSecp256k1(k256::schnorr::VerifyingKey),
}

/// Derives the public key of an opened share.
pub(super) fn derive(algorithm: Algorithm, share: &[u8]) -> Result<VerifyingKey, EnclaveError> {
    match algorithm {
        Algorithm::Ed25519 => ed25519::derive(share).map(VerifyingKey::Ed25519),
        Algorithm::EcdsaSecp256k1 => ecdsa::derive(share).map(VerifyingKey::EcdsaSecp256k1),
        Algorithm::EcdsaP256 => ecdsa::derive(share).map(VerifyingKey::EcdsaP256),
        Algorithm::SchnorrSecp256k1 => schnorr::derive(share).map(VerifyingKey::SchnorrSecp256k1),
    }
}

/// Makes a share in `slot`: 32 uniform bytes, drawn again until they are a key
/// (a scalar of the group's order; on all curves here the first draw is one but
/// for a chance below 2⁻³²).
pub(super) fn generate(
    algorithm: Algorithm,
    mut slot: Slot,
) -> Result<(Slot, VerifyingKey), EnclaveError> {
    loop {
        slot.fill(|page| {
            let (share, _) = page.split_first_chunk_mut::<32>().ok_or(EnclaveError::TooLong)?;
            getrandom::fill(share).map_err(|_| EnclaveError::Randomness)?;
            Ok(share.len())
        })?;
        match slot.reveal(|share| derive(algorithm, share)) {
            Ok(key) => return Ok((slot, key)),
            Err(EnclaveError::Share) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Checks a signature as the section does before it releases one. Public input
/// only.
///
/// # Errors
/// `Unverified` when the signature is not valid, canonical and (for secp256k1)
/// low-s; `Payload` when the algorithm does not sign such a payload.
pub fn verify(
    public_key: &PublicKey,
    payload: &Payload,
    signature: &[u8; 64],
) -> Result<(), EnclaveError> {
    let invalid = EnclaveError::Unverified;
    let key = public_key.as_bytes();
    let key = match public_key.algorithm() {
        Algorithm::Ed25519 => VerifyingKey::Ed25519(key.try_into().map_err(|_| invalid)?),
        Algorithm::EcdsaSecp256k1 => VerifyingKey::EcdsaSecp256k1(
            k256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| invalid)?,
        ),
        Algorithm::EcdsaP256 => VerifyingKey::EcdsaP256(
            p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| invalid)?,
        ),
        Algorithm::SchnorrSecp256k1 => VerifyingKey::SchnorrSecp256k1(
            k256::schnorr::VerifyingKey::from_slice(key).map_err(|_| invalid)?,
        ),
    };
    key.verify(payload, signature)
}

/// An ECDSA signature as ASN.1 DER (RFC 3279 §2.2.3); none for the algorithms that
/// have no such form.
pub fn der(algorithm: Algorithm, signature: &Signature) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::EcdsaSecp256k1 => ecdsa::der_secp256k1(&signature.bytes),
        Algorithm::EcdsaP256 => ecdsa::der_p256(&signature.bytes),
        Algorithm::Ed25519 | Algorithm::SchnorrSecp256k1 => None,
    }
}

impl VerifyingKey {
    /// The contract's encoding.
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::of_point(Algorithm::Ed25519, key.as_bytes()),
            Self::EcdsaSecp256k1(key) => {
                PublicKey::of_point(Algorithm::EcdsaSecp256k1, key.to_sec1_point(true).as_bytes())
            }
            Self::EcdsaP256(key) => {
                PublicKey::of_point(Algorithm::EcdsaP256, key.to_sec1_point(true).as_bytes())
            }
            Self::SchnorrSecp256k1(key) => {
                PublicKey::of_point(Algorithm::SchnorrSecp256k1, &key.to_bytes())
            }
        }
    }

    /// Signs and verifies.
    pub(super) fn sign(&self, share: &[u8], payload: &Payload) -> Result<Signature, EnclaveError> {
        let signature = match (self, payload) {
            (Self::Ed25519(key), Payload::Message(message)) => ed25519::sign(share, key, message),
            (Self::EcdsaSecp256k1(_), Payload::Digest(digest)) => {
                ecdsa::sign_secp256k1(share, digest)
            }
            (Self::EcdsaP256(_), Payload::Message(message)) => {
                ecdsa::sign_p256(share, &ecdsa::sha256(message))
            }
            (Self::EcdsaP256(_), Payload::Digest(digest)) => ecdsa::sign_p256(share, digest),
            (Self::SchnorrSecp256k1(_), Payload::Message(message)) => schnorr::sign(share, message),
            (Self::Ed25519(_) | Self::SchnorrSecp256k1(_), Payload::Digest(_))
            | (Self::EcdsaSecp256k1(_), Payload::Message(_)) => Err(EnclaveError::Payload),
        }?;
        self.verify(payload, &signature.bytes)?;
        Ok(signature)
    }

    fn verify(&self, payload: &Payload, signature: &[u8; 64]) -> Result<(), EnclaveError> {
        match (self, payload) {
            (Self::Ed25519(key), Payload::Message(message)) => {
                ed25519::verify(key, message, signature)
            }
            (Self::EcdsaSecp256k1(key), Payload::Digest(digest)) => {
                ecdsa::verify_secp256k1(key, digest, signature)
            }
            (Self::EcdsaP256(key), Payload::Message(message)) => {
                ecdsa::verify_p256(key, &ecdsa::sha256(message), signature)
            }
            (Self::EcdsaP256(key), Payload::Digest(digest)) => {
                ecdsa::verify_p256(key, digest, signature)
            }
            (Self::SchnorrSecp256k1(key), Payload::Message(message)) => {
                schnorr::verify(key, message, signature)
            }
            (Self::Ed25519(_) | Self::SchnorrSecp256k1(_), Payload::Digest(_))
            | (Self::EcdsaSecp256k1(_), Payload::Message(_)) => Err(EnclaveError::Payload),
        }
    }
}
