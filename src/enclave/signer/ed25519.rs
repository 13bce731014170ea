//! Ed25519, pure (RFC 8032 §5.1). The share is the 32-byte seed.

#[cfg(test)]
mod tests;

use ed25519_dalek::{
    Signature as DalekSignature, SigningKey, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use sha2::Sha512;

use super::Signature;
use crate::enclave::EnclaveError;

fn seed(share: &[u8]) -> Result<&[u8; 32], EnclaveError> {
    share.try_into().map_err(|_| EnclaveError::Share)
}

pub(super) fn derive(share: &[u8]) -> Result<VerifyingKey, EnclaveError> {
    Ok(SigningKey::from_bytes(seed(share)?).verifying_key())
}

/// RFC 8032 §5.1.6. `key` was derived from this very share when it was opened,
/// which is what `raw_sign` asks of its caller; a stream so saves the derivation
/// for each operation.
pub(super) fn sign(
    share: &[u8],
    key: &VerifyingKey,
    message: &[u8],
) -> Result<Signature, EnclaveError> {
    let expanded = ExpandedSecretKey::from(seed(share)?);
    Ok(Signature {
        bytes: raw_sign::<Sha512>(&expanded, message, key).to_bytes(),
        recovery_id: None,
    })
}

pub(super) fn verify(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), EnclaveError> {
    key.verify_strict(message, &DalekSignature::from_bytes(signature))
        .map_err(|_| EnclaveError::Unverified)
}
