//! Sealing and opening: the envelope's cryptography, as [`crate::envelope`]
//! defines it. Everything here runs inside a section.
#![forbid(unsafe_code)]

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use hkdf::Hkdf;
use sha2::Sha512;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Dek, EnclaveError, Slot};
use crate::envelope::{Commitment, Header, SUITE, SealedShare};

const SALT: &[u8] = b"countersign/v1/envelope";
const ENCRYPT: &[u8] = b"countersign/v1/encrypt";
const COMMIT: &[u8] = b"countersign/v1/commit";

/// Opens a sealed share into the slot of its DEK, which is consumed and
/// overwritten. The commitment is compared first, in constant time: AES-GCM
/// alone would let one ciphertext open under two keys.
pub(super) fn open(dek: Dek, header: &Header, sealed: &SealedShare) -> Result<Slot, EnclaveError> {
    let mut slot = dek.0;
    let (cipher, commitment) = slot.reveal(derive);
    if !bool::from(commitment.0.ct_eq(&header.commitment.0)) {
        return Err(EnclaveError::Commitment);
    }
    let (ciphertext, tag) = sealed.parts();
    slot.fill(|place| {
        let length = ciphertext.len();
        let (share, rest) = place.split_at_mut_checked(length).ok_or(EnclaveError::TooLong)?;
        share.copy_from_slice(ciphertext);
        cipher
            .decrypt_inout_detached(
                (&header.nonce.0).into(),
                &header.aad(),
                share.into(),
                tag.into(),
            )
            .map_err(|_| EnclaveError::Tag)?;
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
    let (cipher, commitment) = dek.0.reveal(derive);
    header.commitment = commitment;
    let length = share.reveal(<[u8]>::len);
    share.fill(|place| {
        let share = place.get_mut(..length).ok_or(EnclaveError::TooLong)?;
        let tag = cipher
            .encrypt_inout_detached((&header.nonce.0).into(), &header.aad(), (&mut *share).into())
            .map_err(|_| EnclaveError::TooLong)?;
        sealed.extend_from_slice(share);
        sealed.extend_from_slice(&tag);
        Ok(0)
    })
}

/// RFC 5869 with SHA-512: the cipher under the encryption key, and the commitment.
pub(super) fn derive(dek: &[u8]) -> (Aes256Gcm, Commitment) {
    let hkdf = Hkdf::<Sha512>::new(Some(SALT), dek);
    let mut key = Zeroizing::new([0; 32]);
    let mut commitment = [0; 32];
    hkdf.expand_multi_info(&[ENCRYPT, &[SUITE]], &mut *key)
        .and_then(|()| hkdf.expand_multi_info(&[COMMIT, &[SUITE]], &mut commitment))
        .expect("32 bytes are far below the 255 blocks that HKDF expands to");
    (Aes256Gcm::new((&*key).into()), Commitment(commitment))
}
