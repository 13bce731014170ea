//! ECDSA over secp256k1 and P-256.

#[cfg(test)]
mod tests;

use ::ecdsa::{EcdsaCurve, Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use k256::elliptic_curve::CurveArithmetic;

/// Nothing unless the signature is valid and, where the curve's libraries agree
/// on low s (secp256k1: BIP-62 rule 5), low-s: nobody makes a second one from it.
pub(super) fn verify<C>(key: &VerifyingKey<C>, digest: &[u8], signature: &[u8; 64]) -> Option<()>
where
    C: EcdsaCurve + CurveArithmetic,
{
    let parsed = Signature::<C>::from_slice(signature).ok()?;
    if C::NORMALIZE_S && parsed.normalize_s() != parsed {
        return None;
    }
    key.verify_prehash(digest, &parsed).ok()
}

pub(super) fn der_secp256k1(signature: &[u8; 64]) -> Option<Vec<u8>> {
    let parsed = k256::ecdsa::Signature::from_slice(signature).ok()?;
    Some(parsed.to_der().as_bytes().to_vec())
}

pub(super) fn der_p256(signature: &[u8; 64]) -> Option<Vec<u8>> {
    let parsed = p256::ecdsa::Signature::from_slice(signature).ok()?;
    Some(parsed.to_der().as_bytes().to_vec())
}
