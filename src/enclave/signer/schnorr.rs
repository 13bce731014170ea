//! BIP-340 Schnorr over secp256k1, 32-byte messages. The share is the 32-byte
//! big-endian scalar.

#[cfg(test)]
mod tests;

use k256::schnorr::{Signature as SchnorrSignature, SigningKey, VerifyingKey};

use super::Signature;
use crate::enclave::EnclaveError;

fn signing_key(share: &[u8]) -> Result<SigningKey, EnclaveError> {
    if share.len() != 32 {
        return Err(EnclaveError::Share);
    }
    SigningKey::from_slice(share).map_err(|_| EnclaveError::Share)
}

fn thirty_two(message: &[u8]) -> Result<&[u8; 32], EnclaveError> {
    message.try_into().map_err(|_| EnclaveError::Payload)
}

pub(super) fn derive(share: &[u8]) -> Result<VerifyingKey, EnclaveError> {
    Ok(*signing_key(share)?.verifying_key())
}

/// BIP-340 default signing with 32 bytes of auxiliary randomness from the
/// operating system.
pub(super) fn sign(share: &[u8], message: &[u8]) -> Result<Signature, EnclaveError> {
    let mut aux_rand = [0; 32];
    getrandom::fill(&mut aux_rand).map_err(|_| EnclaveError::Randomness)?;
    sign_with(share, message, &aux_rand)
}

fn sign_with(share: &[u8], message: &[u8], aux_rand: &[u8; 32]) -> Result<Signature, EnclaveError> {
    let signature = signing_key(share)?
        .sign_raw(thirty_two(message)?, aux_rand)
        .map_err(|_| EnclaveError::Unverified)?;
    Ok(Signature { bytes: signature.to_bytes(), recovery_id: None })
}

pub(super) fn verify(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), EnclaveError> {
    let parsed =
        SchnorrSignature::try_from(signature.as_slice()).map_err(|_| EnclaveError::Unverified)?;
    key.verify_raw(thirty_two(message)?, &parsed).map_err(|_| EnclaveError::Unverified)
}
