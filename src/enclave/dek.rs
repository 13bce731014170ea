//! The data-encryption key.
#![forbid(unsafe_code)]

use super::{EnclaveError, Slot};

/// Bytes of a DEK.
pub const DEK_LEN: usize = 32;

/// A DEK in its slot: 32 bytes that seal one share, once.
pub struct Dek(Slot);

impl Dek {
    /// A new DEK from the operating system's generator.
    pub(super) fn generate(mut slot: Slot) -> Result<Self, EnclaveError> {
        slot.fill(|page| {
            let (dek, _) = page.split_first_chunk_mut::<DEK_LEN>().ok_or(EnclaveError::TooLong)?;
            getrandom::fill(dek).map_err(|_| EnclaveError::Randomness)?;
            Ok(DEK_LEN)
        })?;
        Ok(Self(slot))
    }

    /// A DEK that a KMS unwraps straight into the slot: `unwrap` writes the 32
    /// bytes in place.
    ///
    /// # Errors
    /// Those of `unwrap`; the slot is wiped then.
    pub fn unwrapped<E>(
        mut slot: Slot,
        unwrap: impl FnOnce(&mut [u8; DEK_LEN]) -> Result<(), E>,
    ) -> Result<Self, E> {
        slot.fill(|page| {
            // A slot is longer than a DEK, so the chunk is always there.
            if let Some((dek, _)) = page.split_first_chunk_mut::<DEK_LEN>() {
                unwrap(dek)?;
            }
            Ok(DEK_LEN)
        })?;
        Ok(Self(slot))
    }

    /// Lets a KMS read the 32 bytes in order to wrap them.
    pub fn reveal<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        self.0.reveal(read)
    }

    /// The slot, for the share that takes the DEK's place.
    pub(super) fn into_slot(self) -> Slot {
        self.0
    }
}
