//! Known answers from outside.

use crate::{enclave::signer, key::Algorithm, payload::Payload, signature};

/// RFC 8032 §7.1, all five.
const RFC_8032: &str = include_str!("../../../../tests/vectors/rfc8032.csv");

#[test]
fn rfc_8032_answers() {
    let mut longest = 0;
    let mut tests = 0;
    for line in RFC_8032.lines().skip(1) {
        let columns: Vec<_> = line.split(',').collect();
        let [name, secret, public, message, signature] = columns[..] else {
            panic!("{line}");
        };
        let bytes = |text: &str| hex::decode(text).unwrap();
        let message = bytes(message);
        longest = longest.max(message.len());

        let key = signer::derive(Algorithm::Ed25519, &bytes(secret)).unwrap();
        assert_eq!(key.public_key().as_bytes(), bytes(public), "{name}");
        let payload = Payload::Message(message.into());
        let signed = signer::sign(&key, &bytes(secret), &payload).unwrap();
        assert_eq!(signed.bytes[..], bytes(signature), "{name}");
        assert_eq!(signed.recovery_id, None);
        signature::verify(&key.public_key(), &payload, &signed.bytes).unwrap();
        tests += 1;
    }
    // "TEST 1024" has a message of 1,023 bytes.
    assert_eq!((tests, longest), (5, 1023));
}

#[test]
fn other_lengths_are_no_seed() {
    for length in [0, 31, 33, 64] {
        assert!(signer::derive(Algorithm::Ed25519, &vec![7; length]).is_err());
    }
}
