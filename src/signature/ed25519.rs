//! Ed25519, pure (RFC 8032 §5.1).

#[cfg(test)]
mod tests;

use ed25519_dalek::{Signature, VerifyingKey};

/// Nothing unless the signature is valid; strict, so that no key of small order
/// and no second encoding passes.
pub(super) fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> Option<()> {
    key.verify_strict(message, &Signature::from_bytes(signature)).ok()
}
