//! `tests/vectors/envelope.json` as values. `generate.py` beside it explains the
//! fields.

use std::{sync::LazyLock, time::SystemTime};

use countersign::{
    envelope::{Identity, KekRef},
    key::{Algorithm, Binding, PublicKey, Revision, ShareState},
    record::ShareDescription,
};
use serde::{Deserialize, Deserializer, de::Error};

/// The whole file.
#[derive(Deserialize)]
pub struct Vectors {
    #[serde(deserialize_with = "hexadecimal")]
    pub local_kek: Vec<u8>,
    pub positive: Vec<Positive>,
    pub negative: Vec<Negative>,
    pub rollback: Rollback,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Positive {
    pub name: String,
    #[serde(deserialize_with = "hexadecimal")]
    pub dek: Vec<u8>,
    pub row: Row,
    #[serde(deserialize_with = "hexadecimal")]
    pub commitment: Vec<u8>,
    #[serde(deserialize_with = "hexadecimal")]
    pub nonce: Vec<u8>,
    #[serde(deserialize_with = "hexadecimal")]
    pub aad: Vec<u8>,
    #[serde(deserialize_with = "hexadecimal")]
    pub kek_context: Vec<u8>,
    #[serde(deserialize_with = "hexadecimal")]
    pub wrapped_dek: Vec<u8>,
    /// Read by the Python reader; Rust gives no share out to compare.
    #[serde(rename = "share")]
    _share: String,
    #[serde(deserialize_with = "hexadecimal")]
    pub public_key: Vec<u8>,
    #[serde(deserialize_with = "hexadecimal")]
    pub envelope: Vec<u8>,
    pub enclave_refuses: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negative {
    pub name: String,
    base: String,
    envelope: Option<Parts>,
    truncate: Option<(usize, usize)>,
    row: Option<Row>,
    #[serde(default, deserialize_with = "optional_hexadecimal")]
    pub dek: Option<Vec<u8>>,
    #[serde(default, deserialize_with = "optional_hexadecimal")]
    public_key: Option<Vec<u8>>,
    pub refused: Refused,
}

/// Where a vector must be refused, and with what.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub stage: String,
    pub error: String,
    pub field: Option<String>,
    pub value: Option<usize>,
}

#[derive(Deserialize)]
pub struct Rollback {
    pub old: String,
    pub new: String,
    pub minimum_version: u32,
}

/// The columns beside an envelope.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    environment: String,
    wallet_id: String,
    share_id: String,
    record_version: u32,
    address: Option<String>,
    algorithm: String,
    kek_provider: String,
    kek_mount: String,
    kek_name: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Parts {
    Whole(String),
    List(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Bytes(String),
    Repeated { byte: String, times: usize },
}

impl Vectors {
    pub fn read() -> &'static Self {
        static VECTORS: LazyLock<Vectors> = LazyLock::new(|| {
            serde_json::from_str(include_str!("../vectors/envelope.json")).unwrap()
        });
        &VECTORS
    }

    pub fn positive(&self, name: &str) -> &Positive {
        let mut named = self.positive.iter().filter(|vector| vector.name == name);
        named.next().expect(name)
    }

    pub fn base(&self, vector: &Negative) -> &Positive {
        self.positive(&vector.base)
    }

    /// The envelopes that a vector stands for, with a name for each.
    pub fn envelopes(&self, vector: &Negative) -> Vec<(String, Vec<u8>)> {
        let base = &self.base(vector).envelope;
        if let Some((first, last)) = vector.truncate {
            return (first..=last)
                .map(|length| {
                    let name = format!("{} at {length}", vector.name);
                    (name, base[..length].to_vec())
                })
                .collect();
        }
        let bytes = match &vector.envelope {
            None => base.clone(),
            Some(Parts::Whole(text)) => hex::decode(text).unwrap(),
            Some(Parts::List(parts)) => parts.iter().flat_map(Part::bytes).collect(),
        };
        vec![(vector.name.clone(), bytes)]
    }
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(text) => hex::decode(text).unwrap(),
            Self::Repeated { byte, times } => hex::decode(byte).unwrap().repeat(*times),
        }
    }
}

impl Positive {
    pub fn description(&self) -> ShareDescription {
        self.row.description(&self.public_key)
    }
}

impl Negative {
    pub fn description(&self, base: &Positive) -> ShareDescription {
        let row = self.row.as_ref().unwrap_or(&base.row);
        row.description(self.public_key.as_ref().unwrap_or(&base.public_key))
    }
}

impl Row {
    pub fn identity(&self) -> Identity {
        Identity {
            environment: self.environment.parse().unwrap(),
            wallet: self.wallet_id.parse().unwrap(),
            share: self.share_id.parse().unwrap(),
            version: self.record_version.try_into().unwrap(),
            address: self.address.as_ref().map(|text| text.parse().unwrap()),
            algorithm: self.algorithm.parse().unwrap(),
            binding: Binding::Derived,
        }
    }

    pub fn kek(&self) -> KekRef {
        KekRef::new(&self.kek_provider, &self.kek_mount, &self.kek_name).unwrap()
    }

    fn description(&self, public_key: &[u8]) -> ShareDescription {
        let algorithm: Algorithm = self.algorithm.parse().unwrap();
        ShareDescription {
            identity: self.identity(),
            public_key: PublicKey::parse(algorithm, public_key).unwrap(),
            state: ShareState::Enabled,
            kek: self.kek(),
            destroy_after: None,
            created_at: SystemTime::UNIX_EPOCH,
            revision: Revision::FIRST,
        }
    }
}

fn hexadecimal<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(source)?).map_err(D::Error::custom)
}

fn optional_hexadecimal<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Vec<u8>>, D::Error> {
    hexadecimal(source).map(Some)
}
