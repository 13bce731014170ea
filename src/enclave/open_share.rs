//! A share that a stream holds open.
#![forbid(unsafe_code)]

use super::{EnclaveError, Signed, Slot, section, signer};
use crate::{
    policy::{Permit, Sign, UseShare},
    signature::VerifyingKey,
};

/// An open share in its slot, and the permit under which it was opened. Wiped on
/// drop. Operations on one open share may run on several threads at once.
///
/// The share lies in the slot in plaintext rather than being opened again per
/// operation: opening costs a key derivation, an AES-GCM pass and the derivation
/// of the public key, about as much as signing; the slot is the same kind of
/// memory that the section itself uses.
pub struct OpenShare {
    permit: Permit<UseShare>,
    share: Slot,
    key: VerifyingKey,
}

impl OpenShare {
    pub(super) fn new(permit: Permit<UseShare>, share: Slot, key: VerifyingKey) -> Self {
        Self { permit, share, key }
    }

    /// The permit under which the share was opened.
    pub fn permit(&self) -> &Permit<UseShare> {
        &self.permit
    }

    /// Signs one payload: a section that signs and verifies.
    ///
    /// # Errors
    /// `Permit` when the permit is for another share or record version; else
    /// `Payload`, `Unverified`, `Randomness` or `Panicked`.
    pub fn sign(&self, permit: Permit<Sign>) -> Result<Signed, EnclaveError> {
        let share = self.permit.share();
        if permit.share().identity != share.identity {
            return Err(EnclaveError::Permit);
        }
        let payload = &permit.action().payload;
        let signature = section::secure(|| {
            self.share
                .reveal(|bytes| signer::sign(&self.key, bytes, payload))
        })?;
        Ok(Signed::by(&share.identity, signature))
    }
}
