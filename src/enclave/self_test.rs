//! What a broken build or machine fails before it is asked to sign in earnest.
#![forbid(unsafe_code)]

use bytes::Bytes;

use super::{EnclaveError, seal, signer};
use crate::{envelope::Nonce, key::Algorithm, payload::Payload};

/// A scalar and a seed that protect nothing.
const NO_KEY: [u8; 32] = [0x5a; 32];

/// Derives, signs and verifies with every algorithm; derives, encrypts and
/// decrypts as an envelope does.
pub(super) fn self_test() -> Result<(), EnclaveError> {
    for algorithm in Algorithm::ALL {
        let payload = match algorithm {
            Algorithm::EcdsaSecp256k1 => Payload::Digest(NO_KEY),
            Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::SchnorrSecp256k1 => {
                Payload::Message(Bytes::from_static(&NO_KEY))
            }
        };
        signer::derive(algorithm, &NO_KEY)?.sign(&NO_KEY, &payload)?;
    }
    let (key, _) = seal::derive(&NO_KEY);
    let (nonce, mut buffer) = (Nonce([0; 12]), NO_KEY);
    let tag = seal::encrypt(&key, &nonce, b"", &mut buffer)?;
    seal::decrypt(&key, &nonce, b"", &mut buffer, &tag)?;
    if buffer == NO_KEY {
        Ok(())
    } else {
        Err(EnclaveError::Tag)
    }
}
