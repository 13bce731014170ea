//! Signatures, verified with libraries that the signer does not use: ring for Ed25519
//! and P-256, libsecp256k1 for secp256k1.

use countersign::{key::Algorithm, proto};
use ring::signature as ring_signature;
use secp256k1::{
    Message as Digest, PublicKey, XOnlyPublicKey,
    ecdsa::{RecoverableSignature, RecoveryId, Signature},
    schnorr,
};
use sha2::{Digest as _, Sha256};

use super::enclave::Share;

/// Whether they accept a signature of a message or a digest.
pub fn accepted(share: &Share, payload: &proto::Payload, signature: &proto::Signature) -> bool {
    let (message, digest) = match payload.kind.as_ref().unwrap() {
        proto::payload::Kind::Message(message) => {
            (message.to_vec(), <[u8; 32]>::from(Sha256::digest(message)))
        }
        proto::payload::Kind::Digest(digest) => (Vec::new(), digest[..].try_into().unwrap()),
        kind => panic!("{kind:?}: tests/payloads has the chains' kinds"),
    };
    let key = share.public_key.as_bytes();
    let raw = &signature.value[..];
    match share.algorithm {
        Algorithm::Ed25519 => ring_signature::UnparsedPublicKey::new(&ring_signature::ED25519, key)
            .verify(&message, raw)
            .is_ok(),
        Algorithm::EcdsaP256 => {
            let uncompressed = p256::PublicKey::from_sec1_bytes(key).unwrap();
            let uncompressed =
                p256::elliptic_curve::sec1::ToSec1Point::to_sec1_point(&uncompressed, false);
            ring_signature::UnparsedPublicKey::new(
                &ring_signature::ECDSA_P256_SHA256_FIXED,
                uncompressed.as_bytes(),
            )
            .verify(&message, raw)
            .is_ok()
        }
        Algorithm::EcdsaSecp256k1 => {
            let key = PublicKey::from_slice(key).unwrap();
            let digest = Digest::from_digest(digest);
            let recovery = RecoveryId::from_u8_masked(signature.recovery_id.unwrap() as u8);
            let recoverable = RecoverableSignature::from_compact(raw, recovery).unwrap();
            let parsed = Signature::from_compact(raw).unwrap();
            let mut low = parsed;
            low.normalize_s();
            secp256k1::ecdsa::verify(&parsed, digest, &key).is_ok()
                && recoverable.recover(digest).unwrap() == key
                && low == parsed
        }
        Algorithm::SchnorrSecp256k1 => {
            let key = XOnlyPublicKey::from_byte_array(key.try_into().unwrap()).unwrap();
            let parsed = schnorr::Signature::from_byte_array(raw.try_into().unwrap());
            schnorr::verify(&parsed, &message, &key).is_ok()
        }
    }
}
