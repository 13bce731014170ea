//! Opening imports: RFC 9180 in mode Base, with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! AES-256-GCM. [`crate::import`] defines what is sealed, and to what.
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

use hpke::{
    Deserializable, Kem, OpModeR, Serializable,
    aead::{AeadTag, AesGcm256},
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    setup_receiver,
};

use super::{Enclave, EnclaveError, Slot, section};
use crate::import::{KEY_LEN, Sealed};

/// A key for one import: its private half in a slot, which is wiped with it.
pub struct ImportKey {
    private: Slot,
    public: [u8; KEY_LEN],
}

impl ImportKey {
    /// The public half, as RFC 9180 §7.1.1 serialises it.
    pub fn public(&self) -> &[u8; KEY_LEN] {
        &self.public
    }

    /// Opens what was sealed to this key and this info, into the slot of another. Called
    /// inside a section.
    pub(super) fn open(
        self,
        sealed: &Sealed,
        info: &[u8],
        share: &mut Slot,
    ) -> Result<(), EnclaveError> {
        let (encapsulated, ciphertext, tag) = sealed.parts();
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated);
        let tag = AeadTag::<AesGcm256>::from_bytes(tag);
        let (Ok(encapsulated), Ok(tag)) = (encapsulated, tag) else {
            return Err(EnclaveError::Import);
        };
        let private = self.private.reveal(<X25519HkdfSha256 as Kem>::PrivateKey::from_bytes);
        let private = private.map_err(|_| EnclaveError::Import)?;
        // Fails for a point of small order (RFC 9180 §7.1.4).
        let receiver = setup_receiver::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &private,
            &encapsulated,
            info,
        );
        let mut receiver = receiver.map_err(|_| EnclaveError::Import)?;
        share.fill(|place| {
            let place = place.get_mut(..ciphertext.len()).ok_or(EnclaveError::TooLong)?;
            place.copy_from_slice(ciphertext);
            let opened = receiver.open_inout_detached((&mut *place).into(), b"", &tag);
            opened.map_err(|_| EnclaveError::Import)?;
            Ok(ciphertext.len())
        })
    }
}

impl Enclave {
    /// Makes a key for one import.
    ///
    /// # Errors
    /// `Exhausted`, `Randomness` or `Panicked`.
    pub fn import_key(&self) -> Result<ImportKey, EnclaveError> {
        let mut private = self.reserve(KEY_LEN)?;
        let mut public = [0; KEY_LEN];
        section::secure(|| {
            private.fill(|place| {
                let key = place.first_chunk_mut::<KEY_LEN>().ok_or(EnclaveError::TooLong)?;
                getrandom::fill(key).map_err(|_| EnclaveError::Randomness)?;
                let key = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(key);
                let key = key.map_err(|_| EnclaveError::Randomness)?;
                X25519HkdfSha256::sk_to_pk(&key).write_exact(&mut public);
                Ok(KEY_LEN)
            })
        })?;
        Ok(ImportKey { private, public })
    }
}
