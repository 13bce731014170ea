//! Expressions: the conditions of a policy in Cedar's JSON policy format, and the one walk
//! through them.

use cedar_policy::Policy;
use serde_json::Value;

/// The conditions of a policy. A policy that was parsed has them in JSON.
pub(super) fn conditions(policy: &Policy) -> Option<Value> {
    policy.to_json().ok()?.get_mut("conditions").map(Value::take)
}

/// Shows `visit` an expression and, where it answers that it wants to see them, its parts.
pub(super) fn walk<'j>(json: &'j Value, visit: &mut impl FnMut(&'j Value) -> bool) {
    if !visit(json) {
        return;
    }
    match json {
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Object(members) => members.values().for_each(|value| walk(value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The operators of an expression that have two operands: name, left and right.
pub(super) fn binary(json: &Value) -> impl Iterator<Item = (&str, &Value, &Value)> {
    let members = json.as_object().into_iter().flatten();
    members.filter_map(|(operator, operands)| {
        Some((&**operator, operands.get("left")?, operands.get("right")?))
    })
}
