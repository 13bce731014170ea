//! Dynamic server wallets' `externalServerKeyShares`, in each spelling that the SDKs write:
//! one share or an array of them; `secretShare` (Node, and backups) or `secret_share`
//! (Python, Rust, Java); a public key as a map of indices (Node's `Uint8Array` in JSON),
//! once or twice inside `pubkey`, or none. What else is in it is left out.
//!
//! The share is kept as the text that it is: what understands it is the SDK.

use k256::elliptic_curve::sec1::ToSec1Point;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Secret, text};
use crate::key::{Algorithm, Binding, PublicKey};

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Many(Vec<Share>),
    One(Share),
}

#[derive(Deserialize)]
struct Share {
    #[serde(alias = "secretShare")]
    secret_share: String,
    #[serde(alias = "pubkey")]
    pub_key: Option<Value>,
}

pub(super) fn parse(
    bytes: &[u8],
    index: Option<usize>,
    algorithm: Algorithm,
) -> Result<Secret, &'static str> {
    let document = serde_json::from_str(text(bytes)?);
    let document = document.map_err(|_| "this is no JSON of externalServerKeyShares")?;
    let mut shares = match document {
        Document::Many(shares) => shares,
        Document::One(share) => vec![share],
    };
    let index = match (index, shares.len()) {
        (Some(index), length) if index < length => index,
        (None, 1) => 0,
        (Some(_), _) => return Err("there is no share with this --index, which begins at 0"),
        (None, 0) => return Err("there is no share in it"),
        (None, _) => {
            return Err(
                "there are several shares in it, which are better apart: choose one by --index, \
                 and import each for itself",
            );
        }
    };
    let Share { secret_share, pub_key } = shares.swap_remove(index);
    let plaintext = Zeroizing::new(secret_share.into_bytes());
    if plaintext.is_empty() || !plaintext.iter().all(u8::is_ascii_graphic) {
        return Err("the secret share is no text of printable characters");
    }
    let public_key = match pub_key {
        None | Some(Value::Null) => None,
        Some(key) => Some(public_key(&key, algorithm)?),
    };
    Ok(Secret { plaintext, public_key, binding: Binding::Declared })
}

fn public_key(value: &Value, algorithm: Algorithm) -> Result<PublicKey, &'static str> {
    const WRONG: &str = "the public key in it is none of the algorithm";
    let encoded = octets(value).ok_or(WRONG)?;
    let encoded = match algorithm {
        Algorithm::EcdsaSecp256k1 => {
            let point = k256::PublicKey::from_sec1_bytes(&encoded).map_err(|_| WRONG)?;
            point.to_sec1_point(true).as_bytes().to_vec()
        }
        _ => encoded,
    };
    PublicKey::parse(algorithm, &encoded).map_err(|_| WRONG)
}

/// An array of bytes, a map of indices to them, hexadecimal, or one of these as `pubkey`.
fn octets(value: &Value) -> Option<Vec<u8>> {
    let octet = |value: &Value| u8::try_from(value.as_u64()?).ok();
    match value {
        Value::Array(octets) => octets.iter().map(octet).collect(),
        Value::String(text) => hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok(),
        Value::Object(members) => match members.get("pubkey") {
            Some(inner) => octets(inner),
            // In the order of their numbers, which is not that of their names.
            None => {
                (0..members.len()).map(|index| octet(members.get(&index.to_string())?)).collect()
            }
        },
        _ => None,
    }
}
