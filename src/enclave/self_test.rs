//! What a broken build or machine fails before it is asked to sign in earnest.
#![forbid(unsafe_code)]

use aes_gcm::aead::AeadInOut;

use super::{EnclaveError, seal, signer};
use crate::{key::Algorithm, payload::Payload};

/// A scalar, a seed and a DEK that protect nothing.
const NO_KEY: [u8; 32] = [0x5a; 32];

/// Signs and verifies with every algorithm; encrypts and decrypts as an envelope does.
pub(super) fn self_test() -> Result<(), EnclaveError> {
    for algorithm in Algorithm::ALL {
        let key = signer::derive(algorithm, &NO_KEY)?;
        signer::sign(&key, &NO_KEY, &Payload::sample(algorithm))?;
    }
    let (cipher, _) = seal::derive(&NO_KEY);
    let (nonce, mut buffer) = ([0; 12], NO_KEY);
    let tag = cipher.encrypt_inout_detached((&nonce).into(), b"", (&mut buffer[..]).into());
    let tag = tag.map_err(|_| EnclaveError::Tag)?;
    let opened =
        cipher.decrypt_inout_detached((&nonce).into(), b"", (&mut buffer[..]).into(), &tag);
    opened.map_err(|_| EnclaveError::Tag)
}
