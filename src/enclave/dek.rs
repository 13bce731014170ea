//! The data-encryption key.
#![forbid(unsafe_code)]

use super::{EnclaveError, Slot, section};

/// Bytes of a DEK.
pub const DEK_LEN: usize = 32;

/// A DEK in its slot: 32 bytes that seal one share, once. A KMS reads and writes
/// it in place, in a section or on its secret thread.
pub struct Dek(pub(super) Slot);

impl Dek {
    /// A new key from the operating system's generator, or `Randomness`.
    pub fn generate(slot: Slot) -> Result<Self, EnclaveError> {
        Self::unwrapped(slot, |dek| getrandom::fill(dek).map_err(|_| EnclaveError::Randomness))
    }

    /// A DEK of which `unwrap` writes the bytes; the slot is wiped if it fails.
    pub fn unwrapped(
        mut slot: Slot,
        unwrap: impl FnOnce(&mut [u8; DEK_LEN]) -> Result<(), EnclaveError>,
    ) -> Result<Self, EnclaveError> {
        section::secure(|| {
            slot.fill(|place| {
                unwrap(place.first_chunk_mut().ok_or(EnclaveError::TooLong)?)?;
                Ok(DEK_LEN)
            })
        })?;
        Ok(Self(slot))
    }

    /// Lets `read` have the bytes, in order to wrap them. What it allocates it frees.
    pub fn reveal(
        &self,
        read: impl FnOnce(&[u8; DEK_LEN]) -> Result<(), EnclaveError>,
    ) -> Result<(), EnclaveError> {
        section::secure(|| {
            self.0.reveal(|bytes| read(bytes.first_chunk().ok_or(EnclaveError::TooLong)?))
        })
    }
}
