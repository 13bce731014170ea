//! ECDSA over secp256k1 and P-256 with RFC 6979 nonces. The share is the 32-byte
//! big-endian scalar.

#[cfg(test)]
mod tests;

use ::ecdsa::{hazmat::sign_prehashed_rfc6979, signature::hazmat::PrehashVerifier};
use k256::{Secp256k1, elliptic_curve};
use p256::NistP256;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Signature;
use crate::enclave::EnclaveError;

/// SHA-256, the hash of ES256 (RFC 7518 §3.4).
pub(super) fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// The public key of a scalar; a scalar of zero or at least the group's order is
/// no share.
pub(super) fn derive<C>(share: &[u8]) -> Result<::ecdsa::VerifyingKey<C>, EnclaveError>
where
    C: ::ecdsa::EcdsaCurve + elliptic_curve::CurveArithmetic,
    elliptic_curve::FieldBytesSize<C>: elliptic_curve::sec1::ModulusSize,
    elliptic_curve::AffinePoint<C>:
        elliptic_curve::sec1::FromSec1Point<C> + elliptic_curve::sec1::ToSec1Point<C>,
{
    if share.len() != 32 {
        return Err(EnclaveError::Share);
    }
    let secret =
        elliptic_curve::SecretKey::<C>::from_slice(share).map_err(|_| EnclaveError::Share)?;
    Ok(secret.public_key().into())
}

/// Low-s (BIP-62 rule 5) with the recovery id that goes with it: the library
/// normalises s for this curve.
pub(super) fn sign_secp256k1(share: &[u8], digest: &[u8; 32]) -> Result<Signature, EnclaveError> {
    let secret = k256::SecretKey::from_slice(share).map_err(|_| EnclaveError::Share)?;
    let scalar = Zeroizing::new(secret.to_nonzero_scalar());
    let (signature, recovery_id) =
        sign_prehashed_rfc6979::<Secp256k1, Sha256>(&scalar, digest, b"");
    Ok(Signature { bytes: signature.to_bytes().into(), recovery_id: Some(recovery_id.to_byte()) })
}

pub(super) fn sign_p256(share: &[u8], digest: &[u8; 32]) -> Result<Signature, EnclaveError> {
    let secret = p256::SecretKey::from_slice(share).map_err(|_| EnclaveError::Share)?;
    let scalar = Zeroizing::new(secret.to_nonzero_scalar());
    let (signature, _) = sign_prehashed_rfc6979::<NistP256, Sha256>(&scalar, digest, b"");
    Ok(Signature { bytes: signature.to_bytes().into(), recovery_id: None })
}

pub(super) fn verify_secp256k1(
    key: &k256::ecdsa::VerifyingKey,
    digest: &[u8; 32],
    signature: &[u8; 64],
) -> Result<(), EnclaveError> {
    let parsed =
        k256::ecdsa::Signature::from_slice(signature).map_err(|_| EnclaveError::Unverified)?;
    if parsed.normalize_s() != parsed {
        return Err(EnclaveError::Unverified);
    }
    key.verify_prehash(digest, &parsed).map_err(|_| EnclaveError::Unverified)
}

pub(super) fn verify_p256(
    key: &p256::ecdsa::VerifyingKey,
    digest: &[u8; 32],
    signature: &[u8; 64],
) -> Result<(), EnclaveError> {
    let parsed =
        p256::ecdsa::Signature::from_slice(signature).map_err(|_| EnclaveError::Unverified)?;
    key.verify_prehash(digest, &parsed).map_err(|_| EnclaveError::Unverified)
}

pub(super) fn der_secp256k1(signature: &[u8; 64]) -> Option<Vec<u8>> {
    let parsed = k256::ecdsa::Signature::from_slice(signature).ok()?;
    Some(parsed.to_der().as_bytes().to_vec())
}

pub(super) fn der_p256(signature: &[u8; 64]) -> Option<Vec<u8>> {
    let parsed = p256::ecdsa::Signature::from_slice(signature).ok()?;
    Some(parsed.to_der().as_bytes().to_vec())
}
