//! The data-encryption key.
#![forbid(unsafe_code)]

use super::{EnclaveError, Slot, section};

/// Bytes of a DEK.
pub const DEK_LEN: usize = 32;

/// A DEK in its slot: 32 bytes that seal one share, once.
pub struct Dek(Slot);

impl Dek {
    /// A new DEK from the operating system's generator.
    pub(super) fn generate(slot: Slot) -> Result<Self, EnclaveError> {
        Self::unwrapped(slot, |dek| {
            getrandom::fill(dek).map_err(|_| EnclaveError::Randomness)
        })
    }

    /// A DEK that a KMS unwraps straight into the slot: `unwrap` writes the 32
    /// bytes in place, in secret memory.
    ///
    /// # Errors
    /// Those of `unwrap`; the slot is wiped then.
    pub fn unwrapped<E: From<EnclaveError>>(
        mut slot: Slot,
        unwrap: impl FnOnce(&mut [u8; DEK_LEN]) -> Result<(), E>,
    ) -> Result<Self, E> {
        section::secure(|| {
            slot.fill(|place| {
                let dek = place.first_chunk_mut().ok_or(EnclaveError::TooLong)?;
                unwrap(dek)?;
                Ok::<_, E>(DEK_LEN)
            })?;
            Ok(Self(slot))
        })
    }

    /// Lets a KMS read the 32 bytes in order to wrap them, in secret memory.
    ///
    /// # Errors
    /// `Panicked`.
    pub fn reveal<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Result<R, EnclaveError> {
        section::secure(|| Ok(self.0.reveal(read)))
    }

    /// The slot, for the share that takes the DEK's place.
    pub(super) fn into_slot(self) -> Slot {
        self.0
    }
}
