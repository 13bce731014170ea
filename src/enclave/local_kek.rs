//! The local KEK: for development, where no KMS is at hand.
#![forbid(unsafe_code)]

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};

use super::{Dek, EnclaveError, SecretPool, Slot, dek::DEK_LEN, section};

/// Bytes of one version of the KEK.
pub const KEK_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// Every version of a local KEK, in one slot: version n is the n-th 32 bytes.
pub struct LocalKek {
    versions: Slot,
    pool: SecretPool,
}

impl LocalKek {
    /// Lets `read` fill a slot of `pool` with the versions, oldest first, and say
    /// how many bytes there are.
    ///
    /// # Errors
    /// Those of `read`, and `Exhausted` when no slot is free; none (as
    /// `Ok(None)`) when the bytes are not one or more whole versions.
    pub fn load<E: From<EnclaveError>>(
        pool: &SecretPool,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Option<Self>, E> {
        let mut versions = pool.take().ok_or(EnclaveError::Exhausted)?;
        versions.fill(|page| read(page))?;
        let length = versions.reveal(<[u8]>::len);
        let whole = length > 0 && length.is_multiple_of(KEK_LEN);
        Ok(whole.then(|| Self { versions, pool: pool.clone() }))
    }

    /// The newest version, from 1.
    pub fn newest(&self) -> usize {
        self.versions.reveal(|versions| versions.len() / KEK_LEN)
    }

    /// AES-256-GCM of the DEK under the newest version, `context` as associated
    /// data: nonce ‖ ciphertext ‖ tag.
    ///
    /// # Errors
    /// `Exhausted`, `Randomness` or `Panicked`.
    pub fn wrap(&self, context: &[u8], dek: &Dek) -> Result<Vec<u8>, EnclaveError> {
        let mut scratch = self.pool.take().ok_or(EnclaveError::Exhausted)?;
        section::secure(|| {
            let cipher = self.cipher(self.newest()).ok_or(EnclaveError::Share)?;
            let mut nonce = [0; NONCE_LEN];
            getrandom::fill(&mut nonce).map_err(|_| EnclaveError::Randomness)?;
            let mut wrapped = nonce.to_vec();
            scratch.fill(|page| {
                let buffer = page.get_mut(..DEK_LEN).ok_or(EnclaveError::TooLong)?;
                dek.reveal(|bytes| buffer.copy_from_slice(bytes));
                let tag = cipher
                    .encrypt_inout_detached((&nonce).into(), context, (&mut *buffer).into())
                    .map_err(|_| EnclaveError::TooLong)?;
                wrapped.extend_from_slice(buffer);
                wrapped.extend_from_slice(&tag);
                Ok(0)
            })?;
            Ok(wrapped)
        })
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
        section::secure(|| {
            let cipher = self.cipher(version).ok_or(EnclaveError::Tag)?;
            let (nonce, rest) =
                wrapped.split_first_chunk::<NONCE_LEN>().ok_or(EnclaveError::Tag)?;
            let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(EnclaveError::Tag)?;
            Dek::unwrapped(slot, |dek| {
                if ciphertext.len() != dek.len() {
                    return Err(EnclaveError::Tag);
                }
                dek.copy_from_slice(ciphertext);
                cipher
                    .decrypt_inout_detached(
                        nonce.into(),
                        context,
                        dek.as_mut_slice().into(),
                        tag.into(),
                    )
                    .map_err(|_| EnclaveError::Tag)
            })
        })
    }

    fn cipher(&self, version: usize) -> Option<Aes256Gcm> {
        let start = version.checked_sub(1)?.checked_mul(KEK_LEN)?;
        self.versions.reveal(|versions| {
            let key = versions.get(start..)?.first_chunk::<KEK_LEN>()?;
            Some(Aes256Gcm::new(key.into()))
        })
    }
}
