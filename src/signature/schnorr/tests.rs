//! Known answers from outside: BIP-340's own test-vectors.csv, whole.

use crate::{
    key::{Algorithm, PublicKey},
    payload::Payload,
    signature::{VerifyError, verify},
};

const BIP_340: &str = include_str!("../../../tests/vectors/bip340.csv");

#[test]
fn bip_340_verifies() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let (mut valid, mut invalid, mut other_lengths) = (0, 0, 0);
    for line in BIP_340.lines().skip(1) {
        let columns: Vec<_> = line.splitn(8, ',').collect();
        let [index, _, public, _, message, signature, result, _] = columns[..] else {
            panic!("{line}");
        };
        let (public, message) = (bytes(public), bytes(message));
        let signature = bytes(signature).try_into().unwrap();
        let key = PublicKey::parse(Algorithm::SchnorrSecp256k1, &public);
        let payload = Payload::Message(message.clone().into());
        let verified = key.map(|key| verify(&key, &payload, &signature));
        if message.len() != 32 {
            let unfit = matches!(verified, Ok(Err(VerifyError::Unfit(_))));
            assert!(unfit, "{index}: {verified:?}");
            // Refused for its length alone: the row itself is sound.
            let key = k256::schnorr::VerifyingKey::from_slice(&public).unwrap();
            assert!(super::verify(&key, &message, &signature).is_some());
            other_lengths += 1;
        } else if result == "TRUE" {
            assert_eq!(verified, Ok(Ok(())), "{index}");
            valid += 1;
        } else {
            // Rows 5 and 14 have no public key, the others no valid signature.
            let no_key = ["5", "14"].contains(&index);
            assert_eq!(verified.is_err(), no_key, "{index}");
            let refused = verified.unwrap_or(Err(VerifyError::Invalid));
            assert_eq!(refused, Err(VerifyError::Invalid), "{index}");
            invalid += 1;
        }
    }
    assert_eq!((valid, invalid, other_lengths), (5, 10, 4));
}
