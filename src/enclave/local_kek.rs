//! The local KEK: for development, where no KMS is at hand.
#![forbid(unsafe_code)]

use zeroize::Zeroizing;

use super::{
    Dek, EnclaveError, SLOT_LEN, SecretPool, Slot,
    dek::DEK_LEN,
    seal::{TAG_LEN, decrypt, encrypt},
    section,
};
use crate::envelope::Nonce;

/// Bytes of one version of the KEK.
pub const KEK_LEN: usize = 32;
/// Bytes of a DEK that a local KEK wrapped: nonce ‖ ciphertext ‖ tag.
pub const LOCAL_WRAPPED_LEN: usize = NONCE_LEN + DEK_LEN + TAG_LEN;
const NONCE_LEN: usize = 12;

/// Every version of a local KEK, in one slot: version n is the n-th 32 bytes.
pub struct LocalKek(Slot);

impl LocalKek {
    /// Draws the first version and lets `write` have its bytes.
    ///
    /// # Errors
    /// Those of `write`; `Exhausted` when no slot is free; `Randomness`.
    pub fn create<E: From<EnclaveError>>(
        pool: &SecretPool,
        write: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let slot = pool.take(KEK_LEN).ok_or(EnclaveError::Exhausted)?;
        Dek::generate(slot)?.reveal(write)?
    }

    /// Lets `read` fill a slot of `pool` with the versions, oldest first, and say
    /// how many bytes there are.
    ///
    /// # Errors
    /// Those of `read`; `Exhausted` when no slot is free; `Share` when the bytes
    /// are not one or more whole versions.
    pub fn load<E: From<EnclaveError>>(
        pool: &SecretPool,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut slot = pool.take(SLOT_LEN).ok_or(EnclaveError::Exhausted)?;
        section::secure(|| {
            slot.fill(read)?;
            let length = slot.reveal(<[u8]>::len);
            if length == 0 || !length.is_multiple_of(KEK_LEN) {
                return Err(EnclaveError::Share.into());
            }
            Ok(Self(slot))
        })
    }

    /// The newest version, from 1.
    pub fn newest(&self) -> usize {
        self.0.filled() / KEK_LEN
    }

    /// AES-256-GCM of the DEK under the newest version, `context` as associated
    /// data.
    ///
    /// # Errors
    /// `Randomness` or `Panicked`.
    pub fn wrap(&self, context: &[u8], dek: &Dek) -> Result<[u8; LOCAL_WRAPPED_LEN], EnclaveError> {
        let mut nonce = Nonce([0; NONCE_LEN]);
        getrandom::fill(&mut nonce.0).map_err(|_| EnclaveError::Randomness)?;
        dek.reveal(|dek| {
            let mut buffer = Zeroizing::new([0; DEK_LEN]);
            buffer.copy_from_slice(dek);
            let tag = self.with(self.newest(), |kek| {
                encrypt(kek, &nonce, context, &mut *buffer)
            })?;
            let mut wrapped = [0; LOCAL_WRAPPED_LEN];
            let parts = nonce.0.iter().chain(&*buffer).chain(&tag);
            wrapped
                .iter_mut()
                .zip(parts)
                .for_each(|(to, from)| *to = *from);
            Ok(wrapped)
        })?
    }

    /// Undoes [`LocalKek::wrap`], into `slot`.
    ///
    /// # Errors
    /// `Tag` when version, context or bytes are not those of the wrapping.
    pub fn unwrap(
        &self,
        version: usize,
        context: &[u8],
        wrapped: &[u8],
        slot: Slot,
    ) -> Result<Dek, EnclaveError> {
        let (nonce, rest) = wrapped.split_first_chunk().ok_or(EnclaveError::Tag)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(EnclaveError::Tag)?;
        let ciphertext: &[u8; DEK_LEN] = ciphertext.try_into().map_err(|_| EnclaveError::Tag)?;
        Dek::unwrapped(slot, |dek| {
            *dek = *ciphertext;
            self.with(version, |kek| {
                decrypt(kek, &Nonce(*nonce), context, dek, tag)
            })
        })
    }

    fn with<R>(
        &self,
        version: usize,
        work: impl FnOnce(&[u8; KEK_LEN]) -> Result<R, EnclaveError>,
    ) -> Result<R, EnclaveError> {
        self.0.reveal(|versions| {
            let (versions, _) = versions.as_chunks();
            let kek = version.checked_sub(1).and_then(|index| versions.get(index));
            work(kek.ok_or(EnclaveError::Tag)?)
        })
    }
}
