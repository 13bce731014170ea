//! Ed25519, pure (RFC 8032 §5.1). The share is the 32-byte seed.

#[cfg(test)]
mod tests;

use ed25519_dalek::{
    SigningKey, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use sha2::Sha512;

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
) -> Result<[u8; 64], EnclaveError> {
    let expanded = ExpandedSecretKey::from(seed(share)?);
    Ok(raw_sign::<Sha512>(&expanded, message, key).to_bytes())
}
