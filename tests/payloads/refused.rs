//! What must not be signed is not decoded, whatever other libraries make of it.

use countersign::payload::{Payload, PayloadKind};

use super::{
    corpus::{self, RefusedCase},
    decoded::unhex,
};

#[test]
fn every_bent_payload_is_refused() {
    let refused: corpus::Refused = corpus::read("refused.json");
    let mut decoded = Vec::new();
    for RefusedCase { kind, group, why, hex, text, .. } in refused.cases {
        let kind = PayloadKind::ALL.into_iter().find(|known| known.as_str() == kind).unwrap();
        let payload = match (hex, text) {
            (Some(hex), None) => unhex(&hex),
            (None, Some(text)) => text.into_bytes(),
            _ => panic!("{why}: either hex or text"),
        };
        match Payload::decode(kind, payload.into()) {
            Ok(_) => decoded.push(format!("{}: {group}: {why}", kind.as_str())),
            Err(refusal) => assert!(!refusal.0.is_empty(), "{why}"),
        }
    }
    assert!(decoded.is_empty(), "{} are decoded:\n{}", decoded.len(), decoded.join("\n"));
}
