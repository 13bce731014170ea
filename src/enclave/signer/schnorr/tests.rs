//! Known answers from outside: the rows of BIP-340's own test-vectors.csv that
//! have a secret key.

use super::sign_with;
use crate::{
    enclave::{EnclaveError, signer},
    key::Algorithm,
    payload::Payload,
    signature,
};

const BIP_340: &str = include_str!("../../../../tests/vectors/bip340.csv");

#[test]
fn bip_340_signs() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let (mut signed, mut refused) = (Vec::new(), Vec::new());
    for line in BIP_340.lines().skip(1) {
        let columns: Vec<_> = line.splitn(8, ',').collect();
        let [index, secret, public, aux_rand, message, signature, ..] = columns[..] else {
            panic!("{line}");
        };
        if secret.is_empty() {
            continue;
        }
        let (secret, message) = (bytes(secret), bytes(message));
        let key = signer::derive(Algorithm::SchnorrSecp256k1, &secret).unwrap();
        assert_eq!(key.public_key().as_bytes(), bytes(public), "{index}");
        let aux_rand = bytes(aux_rand).try_into().unwrap();
        let answer = sign_with(&secret, &message, &aux_rand).unwrap();
        assert_eq!(answer[..], bytes(signature), "{index}");

        let payload = Payload::Message(message.into());
        match signer::sign(&key, &secret, &payload) {
            Ok(_) => signed.push(index),
            Err(error) => {
                // BIP-340 leaves the length open, this contract does not.
                assert_eq!(error, EnclaveError::Payload, "{index}");
                refused.push(index);
            }
        }
    }
    assert_eq!(signed, ["0", "1", "2", "3"]);
    assert_eq!(refused, ["15", "16", "17", "18"]);
}

/// With fresh randomness each signature is another, and each is valid.
#[test]
fn signatures_are_randomised() {
    let secret = [7; 32];
    let key = signer::derive(Algorithm::SchnorrSecp256k1, &secret).unwrap();
    let payload = Payload::Message(vec![1; 32].into());
    let [one, two] = [(); 2].map(|()| signer::sign(&key, &secret, &payload).unwrap());
    assert_ne!(one, two);
    for signed in [one, two] {
        signature::verify(&key.public_key(), &payload, &signed.bytes).unwrap();
    }
}

#[test]
fn other_lengths_and_ranges_are_no_scalar() {
    for length in [0, 31, 33, 64] {
        assert!(signer::derive(Algorithm::SchnorrSecp256k1, &vec![7; length]).is_err());
    }
    for out_of_range in [[0; 32], [0xff; 32]] {
        assert!(signer::derive(Algorithm::SchnorrSecp256k1, &out_of_range).is_err());
    }
}
