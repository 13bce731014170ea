//! What holds for every algorithm.

use super::{derive, sign};
use crate::{enclave::EnclaveError, key::Algorithm, payload::Payload};

/// A share that is not the key's stands for any fault between deriving and
/// verifying: what was signed does not verify, and stays here.
#[test]
fn a_signature_that_does_not_verify_is_withheld() {
    let (share, other) = ([7; 32], [8; 32]);
    for algorithm in Algorithm::ALL {
        let payload = match algorithm {
            Algorithm::EcdsaSecp256k1 => Payload::Digest([1; 32]),
            _ => Payload::Message(vec![1; 32].into()),
        };
        let key = derive(algorithm, &share).unwrap();
        assert!(sign(&key, &share, &payload).is_ok(), "{algorithm}");
        let faulty = sign(&key, &other, &payload);
        assert_eq!(faulty, Err(EnclaveError::Unverified), "{algorithm}");
    }
}

#[test]
fn unfit_payloads_are_not_signed() {
    let share = [7; 32];
    for (algorithm, payload) in [
        (Algorithm::Ed25519, Payload::Digest([1; 32])),
        (Algorithm::EcdsaSecp256k1, Payload::Message("m".into())),
        (Algorithm::SchnorrSecp256k1, Payload::Digest([1; 32])),
        (Algorithm::SchnorrSecp256k1, Payload::Message("m".into())),
    ] {
        let key = derive(algorithm, &share).unwrap();
        let refused = sign(&key, &share, &payload);
        assert_eq!(refused, Err(EnclaveError::Payload), "{algorithm}");
    }
}
