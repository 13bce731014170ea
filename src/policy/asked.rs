//! What policies ask of a context. A request shows them that and no more, because
//! most of what a decision costs is making attributes that nobody looks at.
//!
//! Reading too much into a policy costs time; reading too little would change what it
//! decides. So whatever is not plainly a path from `context` asks for everything, and
//! debug builds compare each decision with that by the whole context.

use std::collections::BTreeMap;

use cedar_policy::{Policy, PolicySet};
use serde_json::Value;

use super::{
    expression,
    path::{Path, Step},
    subject::Type,
};

/// A part of a context, as far as it is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It, and all that is in it.
    All,
    /// Whether it is there, and these attributes of it.
    Parts(BTreeMap<String, Asked>),
}

impl Asked {
    /// What any of the policies asks for.
    pub(super) fn by(policies: &PolicySet) -> Self {
        policies.policies().fold(Self::nothing(), |mut asked, policy| {
            asked.ask(policy);
            asked
        })
    }

    fn nothing() -> Self {
        Self::Parts(BTreeMap::new())
    }

    /// What is asked of one attribute; none if it is not asked for.
    pub(super) fn part(&self, name: &str) -> Option<&Self> {
        match self {
            Self::All => Some(self),
            Self::Parts(parts) => parts.get(name),
        }
    }

    /// Whether nothing but these attributes is asked for.
    pub(super) fn is_only(&self, names: &[&str]) -> bool {
        match self {
            Self::All => false,
            Self::Parts(parts) => parts.keys().all(|name| names.contains(&&**name)),
        }
    }

    fn ask(&mut self, policy: &Policy) {
        // The one entity that is a request's own can be named without the context.
        let own =
            policy.entity_literals().iter().any(|named| *named.type_name() == *Type::Fields.name());
        match expression::conditions(policy) {
            Some(conditions) if !own => self.read(&conditions),
            _ => *self = Self::All,
        }
    }

    /// Adds what an expression asks for.
    fn read(&mut self, expression: &Value) {
        expression::walk(expression, &mut |json| {
            let Some(path) = Path::of(json) else { return true };
            if path.variable == "context" {
                // Of an entity's tags it is asked which there are.
                let attributes = path.steps.iter().map_while(|step| match step {
                    Step::Attribute(name) => Some(&**name),
                    Step::Tag(_) => None,
                });
                self.add(attributes, json.get("has").is_none());
            }
            false
        });
    }

    /// Adds what is at the end of a path, or only whether it is there.
    fn add<'p>(&mut self, mut path: impl Iterator<Item = &'p str>, deeply: bool) {
        match (self, path.next()) {
            (Self::All, _) => {}
            (here @ Self::Parts(_), None) if deeply => *here = Self::All,
            (Self::Parts(_), None) => {}
            (Self::Parts(parts), Some(name)) => {
                parts.entry(name.to_owned()).or_insert_with(Self::nothing).add(path, deeply);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(conditions: &str) -> Asked {
        let policy = format!("permit (principal, action, resource) {conditions};");
        Asked::by(&policy.parse().unwrap())
    }

    fn parts<const N: usize>(parts: [(&str, Asked); N]) -> Asked {
        Asked::Parts(parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect())
    }

    #[test]
    fn what_is_named_is_asked_for() {
        let hour = || parts([("time", parts([("hour", Asked::All)]))]);
        for (conditions, expected) in [
            ("", Asked::nothing()),
            ("when { resource.wallet == \"context\" && principal has uid }", Asked::nothing()),
            ("when { resource.getTag(\"time\") == \"context\" }", Asked::nothing()),
            ("when { context.time.hour > 8 }", hour()),
            ("when { context[\"time\"][\"hour\"] > 8 } unless { context.time.hour > 9 }", hour()),
            ("when { {a: context.time.hour}.a > 3 }", hour()),
            ("when { {Var: context.time.hour}.Var > 3 }", hour()),
            ("when { {\".\": context.time.hour}[\".\"] > 3 }", hour()),
            ("when { (if context.time.hour > 3 then 1 else 2) == 1 }", hour()),
            ("when { context has transaction }", parts([("transaction", Asked::nothing())])),
            (
                "when { context has transaction && context.transaction has call }",
                parts([("transaction", parts([("call", Asked::nothing())]))]),
            ),
            (
                "when { context has transaction.call.token }",
                parts([("transaction", parts([("call", parts([("token", Asked::nothing())]))]))]),
            ),
            (
                "when { context.typed_data.fields.hasTag(\"spender\") }",
                parts([("typed_data", parts([("fields", Asked::All)]))]),
            ),
            ("when { context has time && context.time == {} }", parts([("time", Asked::All)])),
            ("when { context.time.hour > 8 || context.time == {} }", parts([("time", Asked::All)])),
            (
                "when { context.within.contains(\"small\") || context.protection == \"mlock\" }",
                parts([("within", Asked::All), ("protection", Asked::All)]),
            ),
        ] {
            assert_eq!(asked(conditions), expected, "{conditions}");
        }
    }

    #[test]
    fn what_is_not_plainly_a_path_asks_for_everything() {
        for conditions in [
            "when { context == {} }",
            "when { (if true then context else context).payload_kind == \"a\" }",
            "when { [context].isEmpty() }",
            "when { {context: context}.context.time.hour > 3 }",
            "when { context.time.hour > 3 && context == {} }",
            "when { Fields::\"message\".hasTag(\"spender\") }",
        ] {
            assert_eq!(asked(conditions), Asked::All, "{conditions}");
        }
    }

    #[test]
    fn what_policies_ask_for_adds_up() {
        let policies = r#"
            permit (principal, action, resource) when { context.time.hour > 8 };
            forbid (principal, action, resource) when { context has message };
        "#;
        let asked = Asked::by(&policies.parse().unwrap());
        assert!(asked.is_only(&["time", "message"]) && !asked.is_only(&["time"]), "{asked:?}");
        assert_eq!(asked.part("message"), Some(&Asked::nothing()));
        assert_eq!(asked.part("within"), None);
        assert!(!Asked::All.is_only(&["time"]) && Asked::All.part("time") == Some(&Asked::All));
    }
}
