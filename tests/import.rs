//! Imports: shares that were made elsewhere come in sealed, sign, and come in once; what is
//! altered, moved, stale or weak is refused at no cost.

mod commands;
mod examples;
pub mod importer;
mod opaque;
mod refused;
mod taproot;
mod vectors;

use std::time::SystemTime;

use countersign::{
    import::{self, Declared, Sealed, Statement},
    key::{AccountAddress, Algorithm, Binding, PublicKey, ShareId},
    policy::NewShare,
    proto,
};
use tonic::Code;
use zeroize::Zeroizing;

use crate::support::{
    accepted::accepted,
    enclave::{Enclave, Share},
    refused::assert_refused,
};

/// A share that is to be imported: a key that libraries not ours have made, and what is
/// said of it.
#[derive(Clone)]
pub struct Foreign {
    new: NewShare,
    secret: Vec<u8>,
    public_key: PublicKey,
}

impl Foreign {
    pub fn new(algorithm: Algorithm) -> Self {
        let secret = vec![0x2a; 32];
        let secp = || secp256k1::SecretKey::from_secret_bytes([0x2a; 32]).unwrap();
        let key = match algorithm {
            Algorithm::Ed25519 => {
                use ring::signature::{Ed25519KeyPair, KeyPair};
                let pair = Ed25519KeyPair::from_seed_unchecked(&secret).unwrap();
                pair.public_key().as_ref().to_vec()
            }
            Algorithm::EcdsaSecp256k1 => {
                secp256k1::PublicKey::from_secret_key(&secp()).serialize().to_vec()
            }
            Algorithm::SchnorrSecp256k1 => {
                let key = secp256k1::PublicKey::from_secret_key(&secp());
                key.x_only_public_key().0.to_byte_array().to_vec()
            }
            Algorithm::EcdsaP256 => {
                let key = p256::SecretKey::from_slice(&secret).unwrap().public_key();
                key.to_sec1_bytes().to_vec()
            }
        };
        let key = match algorithm {
            Algorithm::EcdsaP256 => compressed(&key),
            _ => key,
        };
        let new = NewShare {
            environment: "test".parse().unwrap(),
            wallet: "wallet-1".parse().unwrap(),
            share: ShareId::random(),
            algorithm,
            binding: Binding::Derived,
        };
        Self { new, secret, public_key: PublicKey::parse(algorithm, &key).unwrap() }
    }

    fn declared(&self) -> Declared {
        Declared::new(self.new.algorithm, Some(self.public_key), None).unwrap()
    }

    fn seal(&self, statement: &Statement) -> Sealed {
        let secret = Zeroizing::new(self.secret.clone());
        import::seal(secret, &self.new, &self.declared(), statement).unwrap()
    }

    pub fn request(&self, statement: &Statement) -> proto::ImportShareRequest {
        let sealed = self.seal(statement);
        proto::ImportShareRequest {
            import_key: statement.key.to_vec().into(),
            environment: self.new.environment.to_string(),
            share_id: self.new.share.to_string(),
            wallet_id: self.new.wallet.to_string(),
            algorithm: self.new.algorithm.number().into(),
            public_key: self.public_key.as_bytes().to_vec().into(),
            account_address: String::new(),
            binding: 0,
            sealed_share: sealed.as_bytes().to_vec().into(),
        }
    }
}

fn compressed(point: &[u8]) -> Vec<u8> {
    match point {
        [4, coordinates @ ..] => {
            let (x, y) = coordinates.split_at(32);
            [&[2 + (y[31] & 1)], x].concat()
        }
        point => point.to_vec(),
    }
}

pub async fn statement(enclave: &Enclave) -> Statement {
    let mut custody = enclave.custody().await;
    let answer = custody.get_import_key(proto::GetImportKeyRequest {}).await.unwrap();
    let trusted = enclave.signing.identity.name().unwrap();
    Statement::open(&answer.into_inner().statement, trusted, SystemTime::now()).unwrap()
}

/// Signs with an imported share, and verifies with the key that it had elsewhere.
async fn sign(enclave: &Enclave, foreign: &Foreign) {
    let share = Share {
        id: foreign.new.share.to_string(),
        wallet: foreign.new.wallet.to_string(),
        algorithm: foreign.new.algorithm,
        public_key: foreign.public_key,
        address: String::new(),
    };
    let request = share.sign_request(1);
    let signed = enclave.client().await.sign(request).await.unwrap().into_inner();
    assert!(accepted(&share, &share.payload(1), &signed.signature.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_comes_in_and_signs() {
    let enclave = Enclave::start().await;
    let mut custody = enclave.custody().await;
    for algorithm in Algorithm::ALL {
        let foreign = Foreign::new(algorithm);
        let statement = statement(&enclave).await;
        let request = foreign.request(&statement);
        let imported = custody.import_share(request).await.unwrap().into_inner().share.unwrap();
        let key = imported.public_key.unwrap();
        assert_eq!(&*key.key, foreign.public_key.as_bytes());
        let address = AccountAddress::of(&foreign.public_key);
        assert_eq!(key.account_address, address.map(|text| text.to_string()).unwrap_or_default());
        assert_eq!(imported.binding, i32::from(proto::Binding::Derived));
        sign(&enclave, &foreign).await;
    }
    // Nothing of an import is left in secret memory.
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots);
}

/// By its address alone, as whoever has no public key at hand knows it.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_declaration_enough() {
    let enclave = Enclave::start().await;
    let mut custody = enclave.custody().await;
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaSecp256k1] {
        let foreign = Foreign::new(algorithm);
        let address = AccountAddress::of(&foreign.public_key).unwrap();
        let declared = Declared::new(algorithm, None, Some(address.clone())).unwrap();
        let statement = statement(&enclave).await;
        let secret = Zeroizing::new(foreign.secret.clone());
        let sealed = import::seal(secret, &foreign.new, &declared, &statement).unwrap();
        let request = proto::ImportShareRequest {
            public_key: Default::default(),
            account_address: address.to_string(),
            sealed_share: sealed.as_bytes().to_vec().into(),
            ..foreign.request(&statement)
        };
        custody.import_share(request).await.unwrap();
        sign(&enclave, &foreign).await;
    }
}

/// Whoever repeats an import learns that it was done, with the public key.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_import_is_told_so() {
    let enclave = Enclave::start().await;
    let mut custody = enclave.custody().await;
    let foreign = Foreign::new(Algorithm::Ed25519);
    let statement = statement(&enclave).await;
    let request = foreign.request(&statement);
    custody.import_share(request.clone()).await.unwrap();
    let status = custody.import_share(request).await.unwrap_err();
    assert_refused(&status, Code::AlreadyExists, "SHARE_EXISTS");
}
