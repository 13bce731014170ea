//! Shares that were made here and come in sealed, so that a test knows their plaintext.

use std::{path::Path, time::SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    client,
    import::{Declared, Statement, seal},
    key::{Algorithm, Binding, Environment, PublicKey, ShareId},
    policy::NewShare,
    proto,
};
use p256::elliptic_curve::sec1::ToSec1Point;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::enclave::Share;

/// Has a share imported that was made here: of one algorithm always the same.
pub async fn import(socket: &Path, algorithm: Algorithm) -> Share {
    let mut custody = client::custody(socket).await.unwrap();
    let answer = custody.get_import_key(proto::GetImportKeyRequest {}).await.unwrap().into_inner();
    // Whose it is does not matter here.
    let key = answer.statement.lines().nth(2).unwrap();
    let key = STANDARD.decode(key).unwrap().try_into().unwrap();
    let environment: Environment = "test".parse().unwrap();
    let statement = Statement { environment: environment.clone(), key, until: SystemTime::now() };
    let secret = secret(algorithm);
    let public_key = public_key(algorithm, &secret);
    let declared = Declared::new(algorithm, Some(public_key), None).unwrap();
    let new = NewShare {
        environment,
        wallet: "w".parse().unwrap(),
        share: ShareId::random(),
        algorithm,
        binding: Binding::Derived,
    };
    let sealed = seal(Zeroizing::new(secret.to_vec()), &new, &declared, &statement).unwrap();
    let request = proto::ImportShareRequest {
        import_key: key.to_vec().into(),
        environment: new.environment.to_string(),
        share_id: new.share.to_string(),
        wallet_id: new.wallet.to_string(),
        algorithm: algorithm.number().into(),
        public_key: public_key.as_bytes().to_vec().into(),
        sealed_share: sealed.as_bytes().to_vec().into(),
        ..Default::default()
    };
    custody.import_share(request).await.unwrap();
    let (id, wallet) = (new.share.to_string(), new.wallet.to_string());
    Share { id, wallet, algorithm, public_key, address: String::new() }
}

/// What the plaintext of such a share is.
pub fn secret(algorithm: Algorithm) -> [u8; 32] {
    Sha256::digest(format!("imported {algorithm}")).into()
}

fn public_key(algorithm: Algorithm, secret: &[u8; 32]) -> PublicKey {
    let secp256k1 = || secp256k1::SecretKey::from_secret_bytes(*secret).unwrap();
    let secp256k1 = || secp256k1::PublicKey::from_secret_key(&secp256k1());
    let key = match algorithm {
        Algorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(secret).unwrap();
            pair.public_key().as_ref().to_vec()
        }
        Algorithm::EcdsaSecp256k1 => secp256k1().serialize().to_vec(),
        Algorithm::SchnorrSecp256k1 => secp256k1().x_only_public_key().0.to_byte_array().to_vec(),
        Algorithm::EcdsaP256 => {
            let key = p256::SecretKey::from_slice(secret).unwrap().public_key();
            key.to_sec1_point(true).as_bytes().to_vec()
        }
    };
    PublicKey::parse(algorithm, &key).unwrap()
}
