//! What holds for all typed data: digest and view change together, and alloy's own
//! decoder, which shares nothing with this one but the elementary types, computes
//! the same digest.

use proptest::prelude::*;

use super::{MAIL, decode};
use crate::payload::eip712::TypedData;

fn alloy(json: &str) -> [u8; 32] {
    let typed: alloy_dyn_abi::TypedData = serde_json::from_str(json).unwrap();
    typed.eip712_signing_hash().unwrap().0
}

/// A member's type, without arrays, and its value for a seed.
fn elementary(choice: usize, seed: u64) -> (&'static str, String) {
    let hexadecimal = hex::encode(seed.to_be_bytes());
    match choice % 9 {
        0 => ("bool", seed.is_multiple_of(2).to_string()),
        1 => (
            "string",
            serde_json::to_string(&format!("\u{1f600}\"\\{}", seed as u8 as char)).unwrap(),
        ),
        2 => ("address", format!("\"0x{hexadecimal:0>40}\"")),
        3 => ("uint64", seed.to_string()),
        4 => ("uint256", format!("\"{seed}{seed}\"")),
        5 => ("int72", format!("\"-{seed}\"").replace("-0\"", "0\"")),
        6 => ("bytes", format!("\"0x{hexadecimal}\"")),
        7 => ("bytes8", format!("\"0x{hexadecimal}\"")),
        _ => ("int8", (seed as i8).to_string()),
    }
}

/// JSON of a value in as many arrays as there are lengths.
fn arrays(value: &str, lengths: &[usize]) -> String {
    lengths
        .iter()
        .fold(value.to_owned(), |value, length| format!("[{}]", vec![value; *length].join(",")))
}

/// Typed data of structs that contain those before them.
fn chain(structs: &[Vec<(usize, u64, Vec<usize>)>]) -> String {
    let (mut types, mut message) = (String::new(), String::from("{}"));
    for (index, members) in structs.iter().enumerate() {
        let (mut defined, mut object) = (Vec::new(), Vec::new());
        for (position, (choice, seed, lengths)) in members.iter().enumerate() {
            let before = format!("S{}", index.saturating_sub(1));
            let (kind, value) = match elementary(*choice, *seed) {
                _ if index > 0 && choice % 4 == 0 => (&*before, message.clone()),
                elementary => elementary,
            };
            let brackets: String =
                lengths
                    .iter()
                    .map(|n| {
                        if seed.is_multiple_of(3) && *n > 0 {
                            format!("[{n}]")
                        } else {
                            "[]".into()
                        }
                    })
                    .collect();
            defined.push(format!(r#"{{"type":"{kind}{brackets}","name":"m{position}"}}"#));
            object.push(format!(r#""m{position}": {}"#, arrays(&value, lengths)));
        }
        object.reverse();
        message = format!("{{ {} }}", object.join(" , "));
        types.push_str(&format!(r#""S{index}":[{}],"#, defined.join(",")));
    }
    let last = structs.len() - 1;
    let domain =
        r#""EIP712Domain":[{"name":"name","type":"string"},{"name":"chainId","type":"uint256"}]"#;
    format!(
        r#"{{"message":{message},"primaryType":"S{last}","domain":{{"chainId":"0x5","name":"chain"}},"types":{{{types}{domain}}}}}"#
    )
}

proptest! {
    #[test]
    fn alloy_computes_the_same_digest(
        structs in prop::collection::vec(
            prop::collection::vec(
                (0_usize..36, any::<u64>(), prop::collection::vec(0_usize..3, 0..3)),
                0..5,
            ),
            1..4,
        ),
    ) {
        let json = chain(&structs);
        match decode(&json) {
            Ok(decoded) => prop_assert_eq!(decoded.digest, alloy(&json), "{}", json),
            Err(refusal) => prop_assert!(refusal.0.contains("1 to 65,536 bytes") || refusal.0.contains("4,096"), "{}: {}", refusal, json),
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = TypedData::decode(&bytes);
    }

    #[test]
    fn no_mutation_panics(at in 0..MAIL.len(), removed in 0_usize..40, added in ".{0,8}") {
        let mut bytes = MAIL.as_bytes().to_vec();
        bytes.splice(at..(at + removed).min(MAIL.len()), added.bytes());
        let _ = TypedData::decode(&bytes);
    }
}

#[test]
fn digest_and_view_change_together() {
    let view = |decoded: TypedData| {
        (
            decoded.digest,
            (decoded.domain, decoded.primary_type, decoded.encode_type, decoded.fields),
        )
    };
    let (digest, seen) = view(decode(MAIL).unwrap());
    let (mut same, mut other) = (0, 0);
    for at in 0..MAIL.len() {
        for byte in *b" 1aAbBx0\"\\{[,:-." {
            let mut bytes = MAIL.as_bytes().to_vec();
            bytes[at] = byte;
            let Ok(decoded) = TypedData::decode(&bytes) else { continue };
            let (changed, now_seen) = view(decoded);
            assert_eq!(changed == digest, now_seen == seen, "{}", String::from_utf8_lossy(&bytes));
            if changed == digest { same += 1 } else { other += 1 }
        }
    }
    // Spaces, and the case of an address's only letters; and a text or two.
    assert!(same > 100 && other > 100, "{same} {other}");
}

#[test]
fn the_order_of_json_members_is_not_seen() {
    let domain = MAIL.find("\"domain\"").unwrap();
    let (before, after) = MAIL.split_at(domain);
    let after = after.trim_end().strip_suffix('}').unwrap();
    let before = before.strip_prefix('{').unwrap().trim_end().strip_suffix(',').unwrap();
    let turned = format!("{{{after},{before}}}")
        .replace(r#""name": "Cow", "wallet""#, r#""wallet""#)
        .replace(r#"DD826"}"#, r#"DD826", "name": "Cow"}"#);
    assert_ne!(turned, MAIL);
    assert_eq!(decode(&turned), decode(MAIL));
}
