//! Decryption and signature in plain memory, with the libraries that the enclave
//! uses: what a signer without it is like.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, AeadInOut},
};
use ed25519_dalek::Signer;

use super::tool::{
    needle::{Curve, Kind, Needle},
    schedule,
};

const NONCE: [u8; 12] = [0; 12];
/// So that whoever is told a DEK has no copy of it but the one it makes.
const MASK: u8 = 0xa5;

/// A share under its DEK, and the DEK masked.
pub struct Sealed {
    dek: [u8; 32],
    ciphertext: Vec<u8>,
}

impl Sealed {
    /// A new one, and what to search for.
    pub fn new() -> (Self, Vec<Needle>) {
        let [mut share, mut dek] = [[0; 32]; 2];
        getrandom::fill(&mut share).unwrap();
        getrandom::fill(&mut dek).unwrap();
        let cipher = Aes256Gcm::new((&schedule::encryption_key(&dek)).into());
        let ciphertext = cipher.encrypt((&NONCE).into(), share.as_slice()).unwrap();
        let needle = |name: &str, kind, bytes: [u8; 32]| Needle {
            name: name.to_owned(),
            kind,
            bytes: bytes.to_vec(),
        };
        let needles = vec![
            needle("plain/share", Kind::Share(Curve::Ed25519), share),
            needle("plain/dek", Kind::Dek, dek),
        ];
        let dek = dek.map(|byte| byte ^ MASK);
        (Self { dek, ciphertext }, needles)
    }

    /// As one line.
    pub fn write(&self) -> String {
        hex::encode([&self.dek, self.ciphertext.as_slice()].concat())
    }

    /// The line read.
    pub fn read(line: &str) -> Self {
        let bytes = hex::decode(line).unwrap();
        let (dek, ciphertext) = bytes.split_first_chunk().unwrap();
        Self { dek: *dek, ciphertext: ciphertext.to_vec() }
    }

    /// Opens and signs.
    pub fn sign(&self) -> [u8; 64] {
        let dek = self.dek.map(|byte| byte ^ MASK);
        let cipher = Aes256Gcm::new((&schedule::encryption_key(&dek)).into());
        let (ciphertext, tag) = self.ciphertext.split_last_chunk::<16>().unwrap();
        let mut share: [u8; 32] = ciphertext.try_into().unwrap();
        cipher
            .decrypt_inout_detached((&NONCE).into(), b"", share.as_mut_slice().into(), tag.into())
            .unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(&share);
        key.sign(b"message").to_bytes()
    }
}
