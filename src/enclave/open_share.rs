//! A share that a stream holds open.
#![forbid(unsafe_code)]

use super::{EnclaveError, Signed, Slot, section, signer};
use crate::{
    policy::{Permit, Sign, UseShare},
    signature::{Signature, VerifyingKey},
};

/// An open share in its slot, wiped on drop, and the permit under which it was
/// opened. It lies there in plaintext: the section's memory is of the same kind.
pub struct OpenShare {
    pub(super) permit: Permit<UseShare>,
    pub(super) share: Slot,
    pub(super) key: VerifyingKey,
}

impl OpenShare {
    /// The permit under which it was opened.
    pub fn permit(&self) -> &Permit<UseShare> {
        &self.permit
    }

    /// Signs one payload: a section that signs and verifies. Several threads may.
    /// `Permit` when the permit is for another share or record version.
    pub fn sign(&self, permit: Permit<Sign>) -> Result<Signed, EnclaveError> {
        let share = &self.permit.share().identity;
        if permit.share().identity != *share {
            return Err(EnclaveError::Permit);
        }
        let payload = &permit.action().payload;
        let mut signature = Signature::NONE;
        let sign = |bytes: &_| signer::sign(&self.key, bytes, payload);
        section::secure(|| self.share.reveal(sign).map(|made| signature.set(&made)))?;
        Ok(Signed::under(&permit, signature))
    }
}
