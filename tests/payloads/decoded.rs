//! What the decoders make of a vector, in the vectors' own words.

use bytes::Bytes;
use countersign::payload::{Payload, PayloadKind};
use serde::Serialize;

use super::corpus::Case;

/// Decodes, and checks what is signed against the digest of the vector's library.
pub fn decoded<V>(kind: PayloadKind, case: &Case<V>) -> Payload {
    let name = &case.name;
    let bytes = bytes(kind, &case.payload);
    let payload = Payload::decode(kind, bytes.clone())
        .unwrap_or_else(|error| panic!("{name}, of {}: {error}", case.made_by));
    let signed = match &case.digest {
        Some(digest) => unhex(digest),
        None => bytes.to_vec(),
    };
    assert_eq!(hex::encode(payload.signed_bytes()), hex::encode(signed), "{name}");
    payload
}

/// The bytes of a vector's payload: typed data stand there as they are.
pub fn bytes(kind: PayloadKind, payload: &str) -> Bytes {
    match kind {
        PayloadKind::Eip712 => payload.as_bytes().to_vec().into(),
        _ => unhex(payload).into(),
    }
}

pub fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.strip_prefix("0x").unwrap()).unwrap()
}

pub fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Compares every field at once.
pub fn assert_same<V: Serialize>(name: &str, ours: &V, theirs: &V) {
    let value = |view| serde_json::to_value(view).unwrap();
    assert_eq!(value(ours), value(theirs), "{name}");
}
