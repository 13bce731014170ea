//! Sealing and opening: the envelope's cryptography, as [`crate::envelope`]
//! defines it. Everything here runs inside a section.
#![forbid(unsafe_code)]

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use hkdf::Hkdf;
use sha2::Sha512;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Dek, EnclaveError, Slot};
use crate::envelope::{Commitment, Header, Nonce, SUITE, SealedShare};

/// Bytes of an AES-GCM tag.
pub(super) const TAG_LEN: usize = 16;
const SALT: &[u8] = b"countersign/v1/envelope";
const ENCRYPT: &[u8] = b"countersign/v1/encrypt";
const COMMIT: &[u8] = b"countersign/v1/commit";

/// Opens a sealed share into the slot of its DEK, which is consumed and
/// overwritten. The commitment is compared first, in constant time: AES-GCM
/// alone would let one ciphertext open under two keys.
pub(super) fn open(dek: Dek, header: &Header, sealed: &SealedShare) -> Result<Slot, EnclaveError> {
    let mut slot = dek.into_slot();
    let (key, commitment) = slot.reveal(derive);
    if !bool::from(commitment.0.ct_eq(&header.commitment.0)) {
        return Err(EnclaveError::Commitment);
    }
    let (ciphertext, tag) = sealed
        .as_bytes()
        .split_last_chunk()
        .ok_or(EnclaveError::Tag)?;
    slot.fill(|place| {
        let length = ciphertext.len();
        let (share, rest) = place
            .split_at_mut_checked(length)
            .ok_or(EnclaveError::TooLong)?;
        share.copy_from_slice(ciphertext);
        decrypt(&key, &header.nonce, &header.aad(), share, tag)?;
        // A share shorter than the DEK must not leave the DEK's end behind.
        rest.fill(0);
        Ok(length)
    })?;
    Ok(slot)
}

/// Seals a share under a fresh DEK, in place in its slot, which is consumed, and
/// writes the commitment into the header that it authenticates. `sealed` has
/// room for the share and its tag, so that nothing is allocated here.
pub(super) fn seal(
    dek: &Dek,
    header: &mut Header,
    mut share: Slot,
    sealed: &mut Vec<u8>,
) -> Result<(), EnclaveError> {
    let (key, commitment) = dek.reveal(derive)?;
    header.commitment = commitment;
    let length = share.reveal(<[u8]>::len);
    share.fill(|place| {
        let share = place.get_mut(..length).ok_or(EnclaveError::TooLong)?;
        let tag = encrypt(&key, &header.nonce, &header.aad(), share)?;
        sealed.extend_from_slice(share);
        sealed.extend_from_slice(&tag);
        Ok(0)
    })
}

/// AES-256-GCM in place.
pub(super) fn encrypt(
    key: &[u8; 32],
    nonce: &Nonce,
    aad: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; TAG_LEN], EnclaveError> {
    Aes256Gcm::new(key.into())
        .encrypt_inout_detached((&nonce.0).into(), aad, buffer.into())
        .map(Into::into)
        .map_err(|_| EnclaveError::TooLong)
}

/// Undoes [`encrypt`].
pub(super) fn decrypt(
    key: &[u8; 32],
    nonce: &Nonce,
    aad: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), EnclaveError> {
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached((&nonce.0).into(), aad, buffer.into(), tag.into())
        .map_err(|_| EnclaveError::Tag)
}

/// The commitment of a DEK, for those who check the published vectors.
///
/// # Errors
/// `Panicked`, which is a bug.
pub fn derive_commitment(dek: &Dek) -> Result<Commitment, EnclaveError> {
    dek.reveal(|dek| derive(dek).1)
}

/// RFC 5869 with SHA-512: the encryption key and the commitment.
pub(super) fn derive(dek: &[u8]) -> (Zeroizing<[u8; 32]>, Commitment) {
    let hkdf = Hkdf::<Sha512>::new(Some(SALT), dek);
    let mut key = Zeroizing::new([0; 32]);
    let mut commitment = [0; 32];
    hkdf.expand_multi_info(&[ENCRYPT, &[SUITE]], &mut *key)
        .and_then(|()| hkdf.expand_multi_info(&[COMMIT, &[SUITE]], &mut commitment))
        .expect("32 bytes are far below the 255 blocks that HKDF expands to");
    (key, Commitment(commitment))
}
