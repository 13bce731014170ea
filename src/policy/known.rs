//! Names that the configuration gives, and policies that name others: a caller, group,
//! environment or amount limit that is misspelt permits nothing, and nobody notices.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

use super::{expression, path::Path, subject::Type};

/// What policies may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The names of callers.
    pub callers: BTreeSet<String>,
    /// The names of groups.
    pub groups: BTreeSet<String>,
    /// The environment.
    pub environment: String,
    /// The names of amount limits.
    pub limits: BTreeSet<String>,
}

impl Known {
    /// What a policy names that is not known.
    pub(super) fn unknown_in(&self, policy: &Policy) -> Vec<String> {
        let mut found = Vec::new();
        for named in policy.entity_literals() {
            let id: &str = named.id().as_ref();
            let (what, known) = match named.type_name() {
                name if name == Type::Caller.name() => ("caller", self.callers.contains(id)),
                name if name == Type::Group.name() => ("group", self.groups.contains(id)),
                name if name == Type::Environment.name() => ("environment", self.environment == id),
                _ => continue,
            };
            if !known {
                found.push(format!("names the {what} \"{id}\", which the configuration lacks"));
            }
        }
        let mut limits = BTreeSet::new();
        let conditions = expression::conditions(policy).unwrap_or_default();
        expression::walk(&conditions, &mut |json| {
            for (operator, left, right) in expression::binary(json) {
                let asked = matches!(operator, "contains" | "containsAll" | "containsAny");
                if asked && is_within(left) {
                    texts_in(right, &mut limits);
                }
            }
            true
        });
        found.extend(limits.difference(&self.limits).map(|limit| {
            format!("names the amount limit \"{limit}\", which the configuration lacks")
        }));
        found
    }
}

/// Whether an expression is the limits that a payload stays within.
fn is_within(json: &Value) -> bool {
    Path::of(json).is_some_and(|path| path.to_string() == "context.within")
}

/// `"small"` or `["small", "large"]`.
fn texts_in(json: &Value, found: &mut BTreeSet<String>) {
    match (json.get("Value"), json.get("Set")) {
        (Some(Value::String(text)), _) => {
            found.insert(text.clone());
        }
        (_, Some(Value::Array(items))) => items.iter().for_each(|item| texts_in(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_configuration_lacks_is_named() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let known = Known {
            callers: names(&["payments"]),
            groups: names(&["apps"]),
            environment: "staging".to_owned(),
            limits: names(&["small"]),
        };
        let unknown = |policy: &str| known.unknown_in(&policy.parse().unwrap());
        let right = r#"permit (principal == Caller::"payments", action, resource in
            Environment::"staging") when { principal in Group::"apps" &&
            context.within.contains("small") && ["other"].contains(resource.wallet) };"#;
        assert_eq!(unknown(right), Vec::<String>::new());
        let wrong = right
            .replace("payments", "payment")
            .replace("apps", "app")
            .replace("staging", "stage")
            .replace("contains(\"small\")", "containsAny([\"small\", \"smal\"])");
        let found = unknown(&wrong).join(" ");
        for name in ["caller \"payment\"", "group \"app\"", "\"stage\"", "limit \"smal\""] {
            assert!(found.contains(name), "{found}");
        }
        assert!(!found.contains("\"small\""), "{found}");
    }
}
