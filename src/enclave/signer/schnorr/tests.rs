//! Known answers from outside: BIP-340's own test-vectors.csv, whole.

use super::sign_with;
use crate::{
    enclave::{EnclaveError, signer},
    key::{Algorithm, PublicKey},
    payload::Payload,
};

const BIP_340: &str = include_str!("../../../../tests/vectors/bip340.csv");

struct Row {
    index: String,
    secret: Option<Vec<u8>>,
    public: Vec<u8>,
    aux_rand: Vec<u8>,
    message: Vec<u8>,
    signature: [u8; 64],
    valid: bool,
}

fn rows() -> Vec<Row> {
    let bytes = |text: &str| hex::decode(text).unwrap();
    BIP_340
        .lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<_> = line.splitn(8, ',').collect();
            let [index, secret, public, aux_rand, message, signature, valid, _] = columns[..]
            else {
                panic!("{line}");
            };
            Row {
                index: index.to_owned(),
                secret: Some(bytes(secret)).filter(|secret| !secret.is_empty()),
                public: bytes(public),
                aux_rand: bytes(aux_rand),
                message: bytes(message),
                signature: bytes(signature).try_into().unwrap(),
                valid: valid == "TRUE",
            }
        })
        .collect()
}

#[test]
fn bip_340_signs() {
    let mut signed = Vec::new();
    for row in rows() {
        let Some(secret) = row.secret else { continue };
        let key = signer::derive(Algorithm::SchnorrSecp256k1, &secret).unwrap();
        assert_eq!(key.public_key().as_bytes(), row.public, "{}", row.index);
        let aux_rand = row.aux_rand.as_slice().try_into().unwrap();
        let signature = sign_with(&secret, &row.message, aux_rand);
        if row.message.len() != 32 {
            // Rows 15 to 18: BIP-340 leaves the length open, this contract does not.
            assert_eq!(signature, Err(EnclaveError::Payload), "{}", row.index);
            continue;
        }
        assert_eq!(signature.unwrap().bytes, row.signature, "{}", row.index);
        signed.push(row.index);
    }
    assert_eq!(signed, ["0", "1", "2", "3"]);
}

#[test]
fn bip_340_verifies() {
    let (mut valid, mut invalid, mut other_lengths) = (0, 0, 0);
    for row in rows() {
        let key = PublicKey::parse(Algorithm::SchnorrSecp256k1, &row.public);
        let payload = Payload::Message(row.message.clone().into());
        let verified = key.map(|key| signer::verify(&key, &payload, &row.signature));
        if row.message.len() != 32 {
            assert_eq!(verified, Ok(Err(EnclaveError::Payload)), "{}", row.index);
            // Refused for its length alone: the row itself is sound.
            let key = k256::schnorr::VerifyingKey::from_slice(&row.public).unwrap();
            let signature = k256::schnorr::Signature::try_from(&row.signature[..]).unwrap();
            assert!(key.verify_raw(&row.message, &signature).is_ok());
            other_lengths += 1;
        } else if row.valid {
            assert_eq!(verified, Ok(Ok(())), "{}", row.index);
            valid += 1;
        } else {
            // Rows 5 and 14 have no public key, the others no valid signature.
            let no_key = ["5", "14"].contains(&&*row.index);
            assert_eq!(verified.is_err(), no_key, "{}", row.index);
            let refused = verified.unwrap_or(Err(EnclaveError::Unverified));
            assert_eq!(refused, Err(EnclaveError::Unverified), "{}", row.index);
            invalid += 1;
        }
    }
    assert_eq!((valid, invalid, other_lengths), (5, 10, 4));
}

/// With fresh randomness each signature is another, and each is valid.
#[test]
fn signatures_are_randomised() {
    let secret = [7; 32];
    let key = signer::derive(Algorithm::SchnorrSecp256k1, &secret).unwrap();
    let payload = Payload::Message(vec![1; 32].into());
    let [one, two] = [(); 2].map(|()| key.sign(&secret, &payload).unwrap());
    assert_ne!(one, two);
    for signature in [one, two] {
        signer::verify(&key.public_key(), &payload, &signature.bytes).unwrap();
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
