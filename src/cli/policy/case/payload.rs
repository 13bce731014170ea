//! The payload of a case: one key, which says the kind and how it is written.

use bytes::Bytes;
use toml::de::DeValue;

use crate::{
    cli::input::{hexadecimal, hexadecimal_or_base64},
    config::document::Table,
    payload::PayloadKind,
    policy::ActionName,
};

/// How the bytes of a payload are written.
type Read = fn(&str) -> Option<Vec<u8>>;

const TEXT: (&str, Read) = ("a text in quotes", |text| Some(text.as_bytes().to_vec()));
const HEXADECIMAL: (&str, Read) = ("hexadecimal in quotes", hexadecimal);
const EITHER: (&str, Read) = ("hexadecimal or base64 in quotes", hexadecimal_or_base64);

const KEYS: [(&str, PayloadKind, (&str, Read)); 8] = [
    ("message", PayloadKind::Message, TEXT),
    ("message_hex", PayloadKind::Message, HEXADECIMAL),
    ("digest", PayloadKind::Digest, HEXADECIMAL),
    ("eip191", PayloadKind::Eip191, TEXT),
    ("eip191_hex", PayloadKind::Eip191, HEXADECIMAL),
    ("eip712", PayloadKind::Eip712, TEXT),
    ("evm_transaction", PayloadKind::EvmTransaction, HEXADECIMAL),
    ("solana_message", PayloadKind::SolanaMessage, EITHER),
];

/// Reads `[case.payload]`, which goes with two actions and no other.
pub(super) fn read(
    case: &Table<'_>,
    action: Option<ActionName>,
) -> Option<Option<(PayloadKind, Bytes)>> {
    let table = case.table("payload");
    if !table.is_there() {
        return match action? {
            ActionName::Sign | ActionName::SignDigest => {
                case.note("there is something to sign: write its [case.payload]");
                None
            }
            _ => Some(None),
        };
    }
    let mut given = Vec::new();
    let mut whole = true;
    for (key, kind, (what, read)) in KEYS {
        let bytes = |value: &DeValue<'_>| read(value.as_str()?).map(Some);
        match table.or(key, what, None, bytes) {
            Some(Some(bytes)) => given.push((kind, Bytes::from(bytes))),
            Some(None) => {}
            None => whole = false,
        }
    }
    if whole && given.len() != 1 {
        let keys = KEYS.map(|(key, ..)| key).join(", ");
        table.note(format!("a payload has exactly one of {keys}"));
    }
    let kind = given.first().map(|(kind, _)| *kind);
    match (action, kind) {
        (Some(ActionName::Sign), Some(PayloadKind::Digest)) => {
            case.note("a digest is signed by the action \"SignDigest\"");
        }
        (Some(ActionName::SignDigest), Some(kind)) if kind != PayloadKind::Digest => {
            case.note("\"SignDigest\" signs a digest; this is signed by the action \"Sign\"");
        }
        (Some(ActionName::Sign | ActionName::SignDigest) | None, _) => {}
        (Some(_), _) => table.note("only \"Sign\" and \"SignDigest\" have a payload"),
    }
    table.finish();
    given.pop().map(Some)
}
