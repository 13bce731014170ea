//! The signers: a closed list, so that adding an algorithm touches reviewed code.
//! Every signature is verified before it leaves, outside in [`crate::signature`]: a
//! fault during signing (a flipped bit, a broken library) could publish the key.
#![forbid(unsafe_code)]

mod ecdsa;
mod ed25519;
mod schnorr;
#[cfg(test)]
mod tests;

use super::{EnclaveError, Slot};
use crate::{
    key::{Algorithm, PublicKey},
    payload::Payload,
    signature::{Signature, VerifyingKey},
};

/// Derives the public key of an opened share.
pub(super) fn derive(algorithm: Algorithm, share: &[u8]) -> Result<VerifyingKey, EnclaveError> {
    match algorithm {
        Algorithm::Ed25519 => ed25519::derive(share).map(VerifyingKey::Ed25519),
        Algorithm::EcdsaSecp256k1 => ecdsa::derive(share).map(VerifyingKey::EcdsaSecp256k1),
        Algorithm::EcdsaP256 => ecdsa::derive(share).map(VerifyingKey::EcdsaP256),
        Algorithm::SchnorrSecp256k1 => schnorr::derive(share).map(VerifyingKey::SchnorrSecp256k1),
    }
}

/// Makes a share in `slot`: 32 uniform bytes, drawn again until they are a key.
pub(super) fn generate(slot: &mut Slot, public: &mut PublicKey) -> Result<(), EnclaveError> {
    loop {
        slot.fill(|place| {
            let share = place.first_chunk_mut::<32>().ok_or(EnclaveError::TooLong)?;
            getrandom::fill(share).map_err(|_| EnclaveError::Randomness)?;
            Ok(share.len())
        })?;
        match slot.reveal(|share| derive(public.algorithm(), share)) {
            Err(EnclaveError::Share) => {}
            derived => return derived.map(|key| *public = key.public_key()),
        }
    }
}

/// Signs with the share from which `key` was derived, and verifies.
pub(super) fn sign(
    key: &VerifyingKey,
    share: &[u8],
    payload: &Payload,
) -> Result<Signature, EnclaveError> {
    let input = key.input(payload).map_err(|_| EnclaveError::Payload)?;
    let (bytes, recovery_id) = match key {
        VerifyingKey::Ed25519(key) => (ed25519::sign(share, key, &input)?, None),
        VerifyingKey::EcdsaSecp256k1(_) => {
            let (bytes, recovery_id) = ecdsa::sign::<k256::Secp256k1>(share, &input)?;
            (bytes, Some(recovery_id))
        }
        VerifyingKey::EcdsaP256(_) => (ecdsa::sign::<p256::NistP256>(share, &input)?.0, None),
        VerifyingKey::SchnorrSecp256k1(_) => (schnorr::sign(share, &input)?, None),
    };
    key.verify(payload, &bytes).map_err(|_| EnclaveError::Unverified)?;
    Ok(Signature { bytes, recovery_id })
}
