//! `tests/vectors/import.json`: what another implementation of RFC 9180 sealed. An
//! [`ImportKey`] of a private key that is known can be made here only.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::*;
use crate::{
    caller::Caller,
    enclave::{Generated, seal},
    envelope::{Identity, KekRef},
    import::{Declared, info},
    key::{AccountAddress, Algorithm, Binding, PublicKey, RecordVersion},
    memory::{Budget, Level},
    policy::{ImportShare, NewShare, Permit, Policy},
};

#[derive(Deserialize)]
struct Vectors {
    rfc9180: Published,
    positive: Vec<Vector>,
    negative: Vec<Negative>,
}

#[derive(Deserialize)]
struct Published {
    private_key: Hex,
    public_key: Hex,
    info: String,
    plaintext: Hex,
    sealed: Hex,
}

#[derive(Clone, Deserialize)]
struct Vector {
    name: String,
    private_key: Hex,
    public_key: Hex,
    fields: BTreeMap<String, String>,
    info: String,
    plaintext: Hex,
    sealed: Hex,
}

/// What it does not say itself, its base does.
#[derive(Deserialize)]
struct Negative {
    name: String,
    base: String,
    refused: String,
    private_key: Option<Hex>,
    public_key: Option<Hex>,
    fields: Option<BTreeMap<String, String>>,
    info: Option<String>,
    sealed: Hex,
}

#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

impl Negative {
    fn whole(&self, positive: &[Vector]) -> Vector {
        let base = positive.iter().find(|vector| vector.name == self.base).unwrap().clone();
        Vector {
            name: self.name.clone(),
            private_key: self.private_key.clone().unwrap_or(base.private_key),
            public_key: self.public_key.clone().unwrap_or(base.public_key),
            fields: self.fields.clone().unwrap_or(base.fields),
            info: self.info.clone().unwrap_or(base.info),
            plaintext: base.plaintext,
            sealed: self.sealed.clone(),
        }
    }
}

impl Vector {
    fn new_share(&self) -> NewShare {
        let field = |name: &str| self.fields[name].as_str();
        let binding = [Binding::Derived, Binding::Declared];
        NewShare {
            environment: field("environment").parse().unwrap(),
            wallet: field("wallet_id").parse().unwrap(),
            share: field("share_id").parse().unwrap(),
            algorithm: algorithm(field("algorithm")),
            binding: binding.into_iter().find(|b| b.as_str() == field("binding")).unwrap(),
        }
    }

    fn declared(&self) -> Declared {
        let algorithm = algorithm(&self.fields["algorithm"]);
        let key = Some(hex::decode(&self.fields["public_key"]).unwrap());
        let key = key.filter(|key| !key.is_empty());
        let key = key.map(|key| PublicKey::parse(algorithm, &key).unwrap());
        let address = Some(&self.fields["account_address"]).filter(|text| !text.is_empty());
        let address: Option<AccountAddress> = address.map(|text| text.parse().unwrap());
        Declared::new(algorithm, key, address).unwrap()
    }

    fn permit(&self) -> Permit<ImportShare> {
        let all = r#"@id("all") permit (principal, action, resource);"#;
        let policy = Policy::parse([("all.cedar", all)]).unwrap();
        let caller = Arc::new(Caller {
            name: "test".into(),
            uid: Some(1000),
            spiffe_id: None,
            groups: Box::default(),
            rate: None,
        });
        let action = ImportShare { declared: self.declared() };
        policy.authorize(&caller, self.new_share(), action).unwrap()
    }

    /// As the enclave imports it, from its permit on.
    fn import(&self, enclave: &Enclave) -> Result<Generated, EnclaveError> {
        let NewShare { environment, wallet, share, algorithm, binding } = self.new_share();
        let address = self.declared().address().cloned();
        let version = RecordVersion::FIRST;
        let identity =
            Identity { environment, wallet, share, version, address, algorithm, binding };
        let kek = KekRef::new("local", "", "test").unwrap();
        let key = key(enclave, &self.private_key);
        assert_eq!(key.public()[..], self.public_key.0, "{}", self.name);
        let sealed = Sealed::new(self.sealed.0.clone()).unwrap();
        enclave.import(&self.permit(), key, &sealed, kek, |_| identity)
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/import.json")).unwrap()
}

fn algorithm(name: &str) -> Algorithm {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).unwrap()
}

fn enclave() -> Enclave {
    let budget = Budget { slots: 4, large_slots: 1, sections: 1, threads: 0 };
    Enclave::start(budget, Level::Mlock).unwrap()
}

/// As [`Enclave::import_key`] makes it, of these 32 bytes.
fn key(enclave: &Enclave, bytes: &Hex) -> ImportKey {
    let mut private = enclave.reserve(KEY_LEN).unwrap();
    let mut public = [0; KEY_LEN];
    section::secure(|| {
        private.fill(|place| {
            place[..KEY_LEN].copy_from_slice(&bytes.0);
            let key = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&bytes.0).unwrap();
            X25519HkdfSha256::sk_to_pk(&key).write_exact(&mut public);
            Ok(KEY_LEN)
        })
    })
    .unwrap();
    ImportKey { private, public }
}

/// Opens without a look at what it is.
fn opened(enclave: &Enclave, private: &Hex, sealed: &Hex, info: &str) -> Vec<u8> {
    let sealed = Sealed::new(sealed.0.clone()).unwrap();
    let mut share = enclave.reserve(sealed.share_len()).unwrap();
    // Of its own, so that nothing in the section allocates what leaves it.
    let mut bytes = vec![0; sealed.share_len()];
    let key = key(enclave, private);
    section::secure(|| {
        key.open(&sealed, info.as_bytes(), &mut share)?;
        share.reveal(|share| bytes.copy_from_slice(share));
        Ok(())
    })
    .unwrap();
    bytes
}

#[test]
fn the_published_vector_opens() {
    let enclave = enclave();
    let Published { private_key, public_key, info, plaintext, sealed } = vectors().rfc9180;
    assert_eq!(key(&enclave, &private_key).public()[..], public_key.0);
    assert_eq!(opened(&enclave, &private_key, &sealed, &info), plaintext.0);
}

#[test]
fn what_another_library_sealed_is_imported() {
    let enclave = enclave();
    let free = enclave.pool().free();
    let vectors = vectors().positive;
    assert!(vectors.len() >= 15);
    for vector in &vectors {
        let name = &vector.name;
        assert_eq!(info(&vector.new_share(), &vector.declared()), vector.info, "{name}");
        let plaintext = opened(&enclave, &vector.private_key, &vector.sealed, &vector.info);
        assert_eq!(plaintext, vector.plaintext.0, "{name}");
        let imported = vector.import(&enclave).unwrap_or_else(|error| panic!("{name}: {error}"));
        if vector.fields["binding"] == "derived" {
            assert!(vector.declared().is(&imported.public_key), "{name}");
        }
        // What is stored is what was sealed.
        let mut stored = vec![0; plaintext.len()];
        let Generated { dek, header, sealed, .. } = imported;
        section::secure(|| {
            let share = seal::open(dek, &header, &sealed)?;
            share.reveal(|share| stored.copy_from_slice(share));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stored, plaintext, "{name}");
    }
    assert_eq!(enclave.pool().free(), free);
}

#[test]
fn what_is_not_as_it_should_be_is_refused() {
    let enclave = enclave();
    let free = enclave.pool().free();
    let Vectors { positive, negative, .. } = vectors();
    assert!(negative.len() >= 100);
    for vector in &negative {
        let expected = match vector.refused.as_str() {
            "IMPORT_UNOPENED" => EnclaveError::Import,
            "IMPORT_INVALID" => EnclaveError::Share,
            "IMPORT_MISMATCH" => EnclaveError::PublicKey,
            other => panic!("{}: {other}", vector.name),
        };
        let whole = vector.whole(&positive);
        assert_eq!(info(&whole.new_share(), &whole.declared()), whole.info, "{}", whole.name);
        let refused = whole.import(&enclave).err();
        assert_eq!(refused, Some(expected), "{}", whole.name);
    }
    assert_eq!(enclave.pool().free(), free);
}
