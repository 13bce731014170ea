//! ECDSA over secp256k1 and P-256 with RFC 6979 nonces. The share is the 32-byte
//! big-endian scalar.

#[cfg(test)]
mod tests;

use ::ecdsa::{EcdsaCurve, VerifyingKey, hazmat::sign_prehashed_rfc6979};
use k256::elliptic_curve::{CurveArithmetic, NonZeroScalar, PublicKey, SecretKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::enclave::EnclaveError;

/// A scalar of zero or at least the group's order is no share.
fn scalar<C: CurveArithmetic>(share: &[u8]) -> Result<Zeroizing<NonZeroScalar<C>>, EnclaveError> {
    // The library would pad a shorter one.
    if share.len() != 32 {
        return Err(EnclaveError::Share);
    }
    let secret = SecretKey::from_slice(share).map_err(|_| EnclaveError::Share)?;
    Ok(Zeroizing::new(secret.to_nonzero_scalar()))
}

pub(super) fn derive<C: EcdsaCurve + CurveArithmetic>(
    share: &[u8],
) -> Result<VerifyingKey<C>, EnclaveError> {
    Ok(PublicKey::from_secret_scalar(&*scalar(share)?).into())
}

/// r ‖ s, and the recovery id that goes with it. On secp256k1 s is low (BIP-62
/// rule 5): the library normalises it for this curve.
pub(super) fn sign<C: EcdsaCurve + CurveArithmetic>(
    share: &[u8],
    digest: &[u8],
) -> Result<([u8; 64], u8), EnclaveError> {
    let (signature, recovery_id) =
        sign_prehashed_rfc6979::<C, Sha256>(&*scalar(share)?, digest, b"");
    let bytes = signature.to_bytes().as_slice().try_into();
    Ok((bytes.map_err(|_| EnclaveError::Unverified)?, recovery_id.to_byte()))
}
