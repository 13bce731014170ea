//! Slices: the policies in scope of one caller, one subject and one action, and what
//! they are known to decide.
//!
//! Where none of them asks for more of a request than what caller, subject and kind of
//! payload settle, every request of a kind has the same answer, and the first answer is
//! the answer. Where one asks for the time or for what a payload says, each request is
//! put to Cedar. What is remembered goes with the set of policies it came from.

use std::sync::OnceLock;

use cedar_policy::{Policy, PolicySet};
use serde_json::Value;

use super::{Decided, Denied, subject::Type};
use crate::payload::PayloadKind;

/// What of a context does not differ between two requests with payloads of one kind.
const SETTLED: [&str; 2] = ["payload_kind", "protection"];

/// The policies in scope.
pub(super) struct Slice {
    pub(super) policies: PolicySet,
    /// By the kind of the payload; the last one is for requests without. None where
    /// requests differ.
    answers: Option<[OnceLock<Answer>; PayloadKind::ALL.len() + 1]>,
}

type Answer = Result<Decided, Denied>;

impl Slice {
    pub(super) fn new(policies: PolicySet) -> Self {
        let settled = policies.policies().all(is_settled);
        let answers = settled.then_some([const { OnceLock::new() }; _]);
        Self { policies, answers }
    }

    /// The answer for a request with a payload of this kind: the known one, or what
    /// `decide` finds.
    pub(super) fn answer(
        &self,
        kind: Option<PayloadKind>,
        decide: impl FnOnce() -> Answer,
    ) -> Answer {
        let place = kind.map_or(PayloadKind::ALL.len(), |kind| kind as usize);
        match self.answers.as_ref().and_then(|answers| answers.get(place)) {
            Some(known) => known.get_or_init(decide).clone(),
            None => decide(),
        }
    }
}

/// Whether a policy asks for nothing of the context that differs between requests.
fn is_settled(policy: &Policy) -> bool {
    // A policy that was parsed has a JSON form.
    let Ok(json) = policy.to_json() else { return false };
    // The one entity that is the request's own can be named without the context.
    if policy.entity_literals().iter().any(|named| named.type_name() == Type::Fields.name()) {
        return false;
    }
    json.get("conditions").is_none_or(asks_for_settled)
}

fn asks_for_settled(json: &Value) -> bool {
    match json {
        Value::Array(items) => items.iter().all(asks_for_settled),
        Value::Object(members) => members.iter().all(|(operator, operands)| {
            match (operator.as_str(), operands.get("attr").and_then(Value::as_str)) {
                ("." | "has", Some(attribute)) if is_context(operands.get("left")) => {
                    SETTLED.contains(&attribute)
                }
                // The context as a whole. A record may have a member of this name.
                ("Var", _) if operands.is_string() => operands != "context",
                _ => asks_for_settled(operands),
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn is_context(json: Option<&Value>) -> bool {
    json.and_then(|left| left.get("Var")).is_some_and(|variable| variable == "context")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_asks_for_is_found() {
        let settled = |conditions: &str| {
            let policy = format!("permit (principal, action, resource) {conditions};");
            is_settled(&policy.parse().unwrap())
        };
        for conditions in [
            "",
            "when { resource.wallet == \"context\" && principal has uid }",
            "when { context.payload_kind == \"message\" }",
            "unless { context[\"payload_kind\"] == \"a\" || context.protection == \"mlock\" }",
            "when { resource.hasTag(\"time\") && resource.getTag(\"time\") == \"x\" }",
        ] {
            assert!(settled(conditions), "{conditions}");
        }
        for conditions in [
            "when { context.time.hour > 8 }",
            "when { context has transaction }",
            "when { context has message && context.message.length < 3 }",
            "when { context.within.contains(\"small\") }",
            "when { context == {} }",
            "when { (if true then context else context).payload_kind == \"a\" }",
            "when { [context].isEmpty() }",
            "when { true } unless { true && (false || !context.solana.durable_nonce) }",
            "when { {a: context.time}.a.hour > 3 }",
            "when { {Var: context.time.hour}.Var > 3 }",
            "when { Fields::\"message\".hasTag(\"spender\") }",
        ] {
            assert!(!settled(conditions), "{conditions}");
        }
    }
}
