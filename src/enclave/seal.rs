//! Sealing and opening: the envelope's cryptography, as [`crate::envelope`]
//! defines it.
#![forbid(unsafe_code)]

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use hkdf::Hkdf;
use sha2::Sha512;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Dek, EnclaveError, SLOT_LEN, Slot};
use crate::envelope::{Commitment, Header, Identity, KekRef, Nonce, SUITE, SealedShare};

const SALT: &[u8] = b"countersign/v1/envelope";
const ENCRYPT: &[u8] = b"countersign/v1/encrypt";
const COMMIT: &[u8] = b"countersign/v1/commit";
const TAG_LEN: usize = 16;

/// Opens a sealed share into the slot of its DEK, which is consumed and
/// overwritten. The commitment is compared first, in constant time: AES-GCM
/// alone would let one ciphertext open under two keys.
pub(super) fn open(dek: Dek, header: &Header, sealed: &SealedShare) -> Result<Slot, EnclaveError> {
    let (key, commitment) = dek.reveal(derive);
    if !bool::from(commitment.0.ct_eq(&header.commitment.0)) {
        return Err(EnclaveError::Commitment);
    }
    let (ciphertext, tag) =
        sealed.as_bytes().split_last_chunk::<TAG_LEN>().ok_or(EnclaveError::Tag)?;
    let mut slot = dek.into_slot();
    slot.fill(|page| {
        let length = ciphertext.len();
        let share = page.get_mut(..length).ok_or(EnclaveError::TooLong)?;
        share.copy_from_slice(ciphertext);
        Aes256Gcm::new((&*key).into())
            .decrypt_inout_detached(
                (&header.nonce.0).into(),
                &header.aad(),
                share.into(),
                tag.into(),
            )
            .map_err(|_| EnclaveError::Tag)?;
        // A share shorter than the DEK must not leave the DEK's end behind.
        page.get_mut(length..).unwrap_or_default().fill(0);
        Ok(length)
    })?;
    Ok(slot)
}

/// Seals a share under a fresh DEK, in place in its slot, which is consumed.
pub(super) fn seal(
    dek: &Dek,
    identity: Identity,
    kek: KekRef,
    mut share: Slot,
) -> Result<(Header, SealedShare), EnclaveError> {
    let (key, commitment) = dek.reveal(derive);
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).map_err(|_| EnclaveError::Randomness)?;
    let header = Header { identity, kek, commitment, nonce: Nonce(nonce) };
    let length = share.reveal(<[u8]>::len);
    let mut sealed = Vec::with_capacity(length + TAG_LEN);
    share.fill(|page| {
        let buffer = page.get_mut(..length).ok_or(EnclaveError::TooLong)?;
        let tag = Aes256Gcm::new((&*key).into())
            .encrypt_inout_detached((&header.nonce.0).into(), &header.aad(), (&mut *buffer).into())
            .map_err(|_| EnclaveError::TooLong)?;
        sealed.extend_from_slice(buffer);
        sealed.extend_from_slice(&tag);
        Ok(length)
    })?;
    let sealed = SealedShare::new(sealed).map_err(|_| EnclaveError::TooLong)?;
    Ok((header, sealed))
}

/// The commitment of a DEK, for those who check the published vectors.
pub fn derive_commitment(dek: &Dek) -> Commitment {
    dek.reveal(derive).1
}

/// RFC 5869 with SHA-512: the encryption key and the commitment.
fn derive(dek: &[u8]) -> (Zeroizing<[u8; 32]>, Commitment) {
    let hkdf = Hkdf::<Sha512>::new(Some(SALT), dek);
    let mut key = Zeroizing::new([0; 32]);
    let mut commitment = [0; 32];
    hkdf.expand_multi_info(&[ENCRYPT, &[SUITE]], &mut *key)
        .and_then(|()| hkdf.expand_multi_info(&[COMMIT, &[SUITE]], &mut commitment))
        .expect("32 bytes are far below the 255 blocks that HKDF expands to");
    (key, Commitment(commitment))
}

const _: () = assert!(SLOT_LEN >= 32 + TAG_LEN);
