//! What holds for every algorithm. The keys are those of the scalar or seed that
//! is 32 times the byte 7.

use super::{Signature, VerifyError, VerifyingKey, der, verify};
use crate::{
    key::{Algorithm, PublicKey},
    payload::Payload,
};

fn public_key(algorithm: Algorithm) -> PublicKey {
    let encoded = match algorithm {
        Algorithm::Ed25519 => "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
        Algorithm::EcdsaSecp256k1 => SECP256K1,
        Algorithm::EcdsaP256 => P256,
        Algorithm::SchnorrSecp256k1 => &SECP256K1[2..],
    };
    PublicKey::parse(algorithm, &hex::decode(encoded).unwrap()).unwrap()
}

const SECP256K1: &str = "02989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f";
const P256: &str = "031e18532fd4754c02f3041d9c75ceb33b83ffd81ac7ce4fe882ccb1c98bc5896e";

#[test]
fn a_parsed_key_has_the_contracts_encoding() {
    for algorithm in Algorithm::ALL {
        let public_key = public_key(algorithm);
        let key = VerifyingKey::parse(&public_key).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.public_key(), public_key);
    }
}

#[test]
fn every_algorithm_takes_its_payloads_and_no_other() {
    let digest = Payload::Digest([1; 32]);
    let [short, long] = [31, 32].map(|length| Payload::Message(vec![1; length].into()));
    for (algorithm, fits) in [
        (Algorithm::Ed25519, [false, true, true]),
        (Algorithm::EcdsaSecp256k1, [true, false, false]),
        (Algorithm::EcdsaP256, [true, true, true]),
        (Algorithm::SchnorrSecp256k1, [false, false, true]),
    ] {
        let public_key = public_key(algorithm);
        for (payload, fits) in [&digest, &short, &long].into_iter().zip(fits) {
            // No signature is 64 times 0xff: what fits is refused for that.
            let refused = verify(&public_key, payload, &[0xff; 64]).unwrap_err();
            let unfit = matches!(refused, VerifyError::Unfit(_));
            assert_eq!(unfit, !fits, "{algorithm}, {payload:?}: {refused}");
        }
    }
}

#[test]
fn a_message_for_p256_is_hashed() {
    let key = VerifyingKey::parse(&public_key(Algorithm::EcdsaP256)).unwrap();
    // FIPS 180-4's example.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let message = Payload::Message("abc".into());
    assert_eq!(key.input(&message).unwrap()[..], hex::decode(digest).unwrap());
    assert_eq!(key.input(&Payload::Digest([1; 32])).unwrap()[..], [1; 32]);
}

#[test]
fn der_is_for_ecdsa() {
    let mut bytes = [0; 64];
    (bytes[31], bytes[63]) = (1, 0x80);
    let signature = Signature { bytes, recovery_id: None };
    // SEQUENCE of INTEGER 1 and INTEGER 128, whose top bit asks for a zero before.
    let encoded = [0x30, 7, 2, 1, 1, 2, 2, 0, 0x80];
    for algorithm in Algorithm::ALL {
        let expected = algorithm.is_ecdsa().then(|| encoded.to_vec());
        assert_eq!(der(algorithm, &signature), expected, "{algorithm}");
    }
    let zero = Signature { bytes: [0; 64], recovery_id: None };
    assert_eq!(der(Algorithm::EcdsaP256, &zero), None);
}
