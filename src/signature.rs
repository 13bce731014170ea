//! Signatures and the keys that verify them. Public values only: nothing here
//! ever sees a share, so it stands outside the trust boundary. The enclave asks
//! it about every signature before one leaves.
#![forbid(unsafe_code)]

mod ecdsa;
mod ed25519;
mod schnorr;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::{
    envelope::Identity,
    key::{AccountAddress, Algorithm, PublicKey, RecordVersion},
    payload::{Payload, Unfit},
    policy::{Permit, Sign},
};

/// A signature: 64 bytes as the algorithm says (R ‖ S, r ‖ s, or BIP-340).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The 64 bytes.
    pub bytes: [u8; 64],
    /// ECDSA secp256k1 only: SEC 1 §4.1.6, 0 to 3.
    pub recovery_id: Option<u8>,
}

impl Signature {
    /// None yet.
    pub(crate) const NONE: Self = Self { bytes: [0; 64], recovery_id: None };

    /// Becomes another one, field by field.
    pub(crate) fn set(&mut self, other: &Self) {
        self.bytes = other.bytes;
        self.recovery_id = None;
        if let Some(recovery_id) = other.recovery_id {
            self.recovery_id = Some(recovery_id);
        }
    }
}

/// A signature that verified before it left the enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The signature.
    pub signature: Signature,
    /// The algorithm that made it.
    pub algorithm: Algorithm,
    /// The version of the record that was opened.
    pub version: RecordVersion,
    /// The account address that the record is bound to.
    pub address: Option<AccountAddress>,
    /// Ethereum's v, where the payload's kind has one.
    pub v: Option<u64>,
}

/// A public key that is ready to verify.
#[derive(Clone, Debug, PartialEq)]
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

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not valid, or not the one canonical form of a valid one.
    #[error("the signature is not a valid one of this key over this payload")]
    Invalid,
    /// The algorithm signs no such payload.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// Checks a signature as the enclave does before it releases one.
///
/// # Errors
/// `Invalid` when the signature is not valid, canonical and (for secp256k1)
/// low-s; `Unfit` when the algorithm does not sign such a payload.
pub fn verify(
    public_key: &PublicKey,
    payload: &Payload,
    signature: &[u8; 64],
) -> Result<(), VerifyError> {
    VerifyingKey::parse(public_key)?.verify(payload, signature)
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

impl Signed {
    /// What was signed under a permit.
    pub fn under(permit: &Permit<Sign>, signature: Signature) -> Self {
        let Identity { algorithm, version, address, .. } = &permit.share().identity;
        let payload = &permit.action().payload;
        let v = signature.recovery_id.and_then(|recovery_id| payload.v(recovery_id));
        Self { signature, algorithm: *algorithm, version: *version, address: address.clone(), v }
    }
}

impl VerifyingKey {
    /// Parses the contract's encoding.
    ///
    /// # Errors
    /// `Invalid` when a library refuses the point; a [`PublicKey`] was checked
    /// with the same libraries when it was made.
    pub fn parse(public_key: &PublicKey) -> Result<Self, VerifyError> {
        let key = public_key.as_bytes();
        let parsed = match public_key.algorithm() {
            Algorithm::Ed25519 => key.try_into().map(Self::Ed25519).ok(),
            Algorithm::EcdsaSecp256k1 => {
                k256::ecdsa::VerifyingKey::from_sec1_bytes(key).map(Self::EcdsaSecp256k1).ok()
            }
            Algorithm::EcdsaP256 => {
                p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map(Self::EcdsaP256).ok()
            }
            Algorithm::SchnorrSecp256k1 => {
                k256::schnorr::VerifyingKey::from_slice(key).map(Self::SchnorrSecp256k1).ok()
            }
        };
        parsed.ok_or(VerifyError::Invalid)
    }

    /// The algorithm that the key belongs to.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::EcdsaSecp256k1(_) => Algorithm::EcdsaSecp256k1,
            Self::EcdsaP256(_) => Algorithm::EcdsaP256,
            Self::SchnorrSecp256k1(_) => Algorithm::SchnorrSecp256k1,
        }
    }

    /// The contract's encoding.
    pub fn public_key(&self) -> PublicKey {
        let of_point = |encoded: &[u8]| PublicKey::of_point(self.algorithm(), encoded);
        match self {
            Self::Ed25519(key) => of_point(key.as_bytes()),
            Self::EcdsaSecp256k1(key) => of_point(key.to_sec1_point(true).as_bytes()),
            Self::EcdsaP256(key) => of_point(key.to_sec1_point(true).as_bytes()),
            Self::SchnorrSecp256k1(key) => of_point(&key.to_bytes()),
        }
    }

    /// What the algorithm signs of a payload: 32 bytes for ECDSA (a digest) and
    /// BIP-340 (a message), a message of any length for Ed25519. A message for
    /// P-256 is hashed with SHA-256, as ES256 does (RFC 7518 §3.4).
    ///
    /// # Errors
    /// The algorithm signs no such payload.
    pub fn input<'a>(&self, payload: &'a Payload) -> Result<Cow<'a, [u8]>, Unfit> {
        payload.fits(self.algorithm())?;
        Ok(match (self, payload) {
            (Self::EcdsaP256(_), Payload::Message(message)) => {
                Cow::Owned(Sha256::digest(message).to_vec())
            }
            (_, payload) => Cow::Borrowed(payload.signed_bytes()),
        })
    }

    /// [`verify`], with a key that was parsed or derived before.
    ///
    /// # Errors
    /// Those of [`verify`].
    pub fn verify(&self, payload: &Payload, signature: &[u8; 64]) -> Result<(), VerifyError> {
        let input = self.input(payload)?;
        let verified = match self {
            Self::Ed25519(key) => ed25519::verify(key, &input, signature),
            Self::EcdsaSecp256k1(key) => ecdsa::verify(key, &input, signature),
            Self::EcdsaP256(key) => ecdsa::verify(key, &input, signature),
            Self::SchnorrSecp256k1(key) => schnorr::verify(key, &input, signature),
        };
        verified.ok_or(VerifyError::Invalid)
    }
}
