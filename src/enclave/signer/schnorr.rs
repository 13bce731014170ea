//! BIP-340 Schnorr over secp256k1. The share is the 32-byte big-endian scalar.

#[cfg(test)]
mod tests;

use k256::schnorr::{SigningKey, VerifyingKey};

use crate::enclave::EnclaveError;

fn signing_key(share: &[u8]) -> Result<SigningKey, EnclaveError> {
    SigningKey::from_slice(share).map_err(|_| EnclaveError::Share)
}

pub(super) fn derive(share: &[u8]) -> Result<VerifyingKey, EnclaveError> {
    Ok(*signing_key(share)?.verifying_key())
}

/// BIP-340 default signing with 32 bytes of auxiliary randomness from the
/// operating system.
pub(super) fn sign(share: &[u8], message: &[u8]) -> Result<[u8; 64], EnclaveError> {
    let mut aux_rand = [0; 32];
    getrandom::fill(&mut aux_rand).map_err(|_| EnclaveError::Randomness)?;
    sign_with(share, message, &aux_rand)
}

fn sign_with(share: &[u8], message: &[u8], aux_rand: &[u8; 32]) -> Result<[u8; 64], EnclaveError> {
    let signature = signing_key(share)?.sign_raw(message, aux_rand);
    Ok(signature.map_err(|_| EnclaveError::Unverified)?.to_bytes())
}
