//! BIP-340 Schnorr over secp256k1.

#[cfg(test)]
mod tests;

use k256::schnorr::{Signature, VerifyingKey};

/// Nothing unless the signature is valid.
pub(super) fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> Option<()> {
    let parsed = Signature::try_from(signature.as_slice()).ok()?;
    key.verify_raw(message, &parsed).ok()
}
