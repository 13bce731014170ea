//! Literals: text that a policy compares with what it sees, and the shares it names.
//! An address or an id in another spelling than policy sees would never match, and a
//! `forbid` that names it would forbid nothing; so it is a problem when policies are
//! loaded.

use alloy_primitives::Address;
use cedar_policy::Policy;
use serde_json::Value;

use super::{expression, subject::Type};
use crate::key::ShareId;

/// Digits of an Ethereum address.
const ADDRESS: usize = 40;

/// What is misspelt in a policy, and what to write.
pub(super) fn misspelt(policy: &Policy) -> Vec<String> {
    let literals = policy.entity_literals().into_iter();
    let shares = literals.filter(|named| named.type_name() == Type::Share.name());
    let mut found: Vec<_> = shares
        .filter_map(|named| {
            let id: &str = named.id().as_ref();
            let wrong = id.parse::<ShareId>().err()?;
            Some(format!("names Share::\"{id}\", which never matches: {wrong}"))
        })
        .collect();
    let conditions = expression::conditions(policy).unwrap_or_default();
    expression::walk(&conditions, &mut |json| {
        if let Value::String(text) = json {
            found.extend(correction(text).map(|right| {
                format!("compares with \"{text}\", which never matches: write \"{right}\"")
            }));
        }
        true
    });
    found
}

/// The one spelling, of text that is another.
fn correction(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let right = match digits.len() {
        ADDRESS => format!("0x{digits}").parse::<Address>().ok()?.to_checksum(None),
        _ => format!("0x{}", digits.to_ascii_lowercase()),
    };
    (right != text).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_named_as_policy_sees_them() {
        let found = |scope: &str| misspelt(&format!("permit ({scope});").parse().unwrap());
        let right =
            r#"principal, action, resource == Share::"0b6f2d6e-6d8a-4f0e-9a53-3f1c0a7d5e21""#;
        assert_eq!(found(right), Vec::<String>::new());
        for wrong in
            [right.replace("0b6f", "0B6F"), right.replace("-", ""), right.replace("21\"", "\"")]
        {
            let found = found(&wrong);
            let [one] = &*found else { panic!("{wrong}: {found:?}") };
            assert!(one.contains("which never matches: "), "{one}");
        }
    }

    #[test]
    fn spellings_that_never_match_are_corrected() {
        let address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(correction(address), None, "EIP-55's own example");
        assert_eq!(correction(&address.to_lowercase()).as_deref(), Some(address));
        assert_eq!(correction(&address.replace("aA", "AA")).as_deref(), Some(address));
        assert_eq!(correction("0xA9059CBB").as_deref(), Some("0xa9059cbb"));
        for right in ["0xa9059cbb", "0x", "0xyz", "a9059cbb", "payments", "0x7b22*"] {
            assert_eq!(correction(right), None, "{right}");
        }
    }
}
