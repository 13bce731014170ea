//! Words: attributes that are one of a few. A policy that compares one with another
//! word would never match, and a `forbid` would forbid nothing; so it is a problem when
//! policies are loaded.

use cedar_policy::Policy;
use serde_json::Value;

use super::{context::WEEKDAYS, expression, path::Path};
use crate::{
    key::Algorithm,
    memory::Level,
    payload::{
        PayloadKind,
        evm::{TokenCall, TransactionKind},
        solana::Version,
    },
};

/// What a policy compares with a word that is never seen, and which there are.
pub(super) fn unknown(policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    let conditions = expression::conditions(policy).unwrap_or_default();
    expression::walk(&conditions, &mut |json| {
        for (operator, left, right) in expression::binary(json) {
            match operator {
                "==" | "!=" => {
                    compare(left, right, &mut found);
                    compare(right, left, &mut found);
                }
                // `["a", "b"].contains(context.word)`
                "contains" => compare(right, left, &mut found),
                _ => {}
            }
        }
        true
    });
    found
}

/// The words that an attribute can be.
fn words(attribute: &str) -> Option<Vec<&'static str>> {
    Some(match attribute {
        "context.payload_kind" => PayloadKind::ALL.map(PayloadKind::as_str).into(),
        "context.protection" => Level::ALL.map(Level::as_str).into(),
        "context.time.weekday" => WEEKDAYS.into(),
        "context.transaction.type" => TransactionKind::ALL.map(TransactionKind::as_str).into(),
        "context.transaction.call.function" => TokenCall::FUNCTIONS.into(),
        "context.solana.version" => Version::ALL.map(Version::as_str).into(),
        "resource.algorithm" => Algorithm::ALL.map(Algorithm::as_str).into(),
        _ => return None,
    })
}

fn compare(attribute: &Value, with: &Value, found: &mut Vec<String>) {
    let Some(attribute) = Path::of(attribute).map(|path| path.to_string()) else { return };
    let Some(words) = words(&attribute) else { return };
    let set = with.get("Set").and_then(Value::as_array);
    let texts = set.map_or(std::slice::from_ref(with), Vec::as_slice).iter();
    for text in texts.filter_map(|text| text.get("Value")?.as_str()) {
        if !words.contains(&text) {
            let words = words.join("\", \"");
            found.push(format!(
                "compares {attribute} with \"{text}\", which it never is: write one of \"{words}\""
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(condition: &str) -> Vec<String> {
        let policy = format!("permit (principal, action, resource) when {{ {condition} }};");
        unknown(&policy.parse().unwrap())
    }

    #[test]
    fn words_that_are_never_seen_are_found() {
        for condition in [
            r#"context.time.weekday == "Saturday""#,
            r#""sat" != context.time.weekday"#,
            r#"["monday", "tuesdays"].contains(context["time"].weekday)"#,
            r#"context.payload_kind == "eip-712""#,
            r#"context.transaction has call && context.transaction.call.function == "transfer""#,
            r#"context.transaction.type == "1559""#,
            r#"context has solana && !(context.solana.version == "v0")"#,
            r#"resource.algorithm == "secp256k1""#,
            r#"context.protection == "memfd""#,
        ] {
            let found = found(condition);
            let [one] = &*found else { panic!("{condition}: {found:?}") };
            assert!(one.contains("which it never is: write one of \""), "{one}");
        }
    }

    #[test]
    fn words_that_are_seen_are_not_found() {
        for condition in [
            r#"context.time.weekday == "saturday""#,
            r#"["saturday", "sunday"].contains(context.time.weekday)"#,
            r#"context.transaction.call.function == "transfer(address,uint256)""#,
            r#"resource.wallet == "Saturday" && resource.algorithm != "ed25519""#,
            r#"context.typed_data.fields.getTag("weekday") == "Saturday""#,
            r#"context.time.weekday == resource.wallet"#,
        ] {
            assert_eq!(found(condition), Vec::<String>::new());
        }
    }
}
