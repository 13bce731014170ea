//! Why a decision came out as it did: for `countersign policy`, which asks about
//! requests that nobody made.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use cedar_policy::{AuthorizationError, Effect, Entity, PolicySet};
use serde_json::{Map, Value};

use super::{Action, Denied, Policy, Question};
use crate::caller::Caller;

/// One decision, taken apart.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The ids of the policies that permit, or the refusal.
    pub outcome: Result<Vec<String>, Denied>,
    /// The policies in scope, by id.
    pub considered: Vec<Considered>,
    /// What policy saw of the caller.
    pub principal: Value,
    /// What policy saw of the share or environment.
    pub resource: Value,
    /// What policy saw besides.
    pub context: Value,
}

/// A policy whose scope matched.
#[derive(Clone, Debug)]
pub struct Considered {
    /// Its `@id`.
    pub id: String,
    /// Whether it forbids.
    pub forbids: bool,
    /// Its `@reason`.
    pub reason: Option<String>,
    /// What came of it.
    pub verdict: Verdict,
    /// The attributes that it names, by path, and what they were.
    pub saw: Vec<(String, Option<Value>)>,
}

/// What came of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its conditions hold.
    Holds,
    /// They do not.
    DoesNotHold,
    /// It failed to evaluate, which denies.
    Fails(String),
}

impl Policy {
    /// Decides one action as [`Policy::authorize_at`] does, and says why.
    pub fn explain<A: Action>(
        &self,
        time: SystemTime,
        caller: &Arc<Caller>,
        subject: &A::Subject,
        action: &A,
    ) -> Result<Explanation, Denied> {
        let name = action.name();
        let standing = self.standings.of(caller, subject, &self.facts.tags)?;
        let question = self.ask(time, standing, name, action.payload())?;
        let outcome = self.decide(name, &question.answer());
        let seen = Sight::of(&question);
        let slice = &question.standing.slice(&self.policies, name).policies;
        let mut considered: Vec<_> = slice
            .policies()
            .map(|policy| Considered {
                id: policy.id().to_string(),
                forbids: policy.effect() == Effect::Forbid,
                reason: policy.annotation("reason").map(ToOwned::to_owned),
                verdict: verdict(&question, policy),
                saw: seen.by(policy),
            })
            .collect();
        considered.sort_by(|one, other| one.id.cmp(&other.id));
        let Sight { principal, resource, context } = seen;
        let outcome = outcome.map(|policies| policies.to_vec());
        Ok(Explanation { outcome, considered, principal, resource, context })
    }
}

/// A policy alone.
fn verdict(question: &Question<'_>, policy: &cedar_policy::Policy) -> Verdict {
    let Ok(alone) = PolicySet::from_policies([policy.clone()]) else {
        return Verdict::Fails("it cannot stand alone".to_owned());
    };
    let response = question.answer_by(&alone);
    let mut errors = response.diagnostics().errors();
    match errors.next() {
        Some(AuthorizationError::PolicyEvaluationError(error)) => {
            Verdict::Fails(error.inner().to_string())
        }
        None if response.diagnostics().reason().next().is_some() => Verdict::Holds,
        None => Verdict::DoesNotHold,
    }
}

/// What policies saw, as JSON.
struct Sight {
    principal: Value,
    resource: Value,
    context: Value,
}

impl Sight {
    fn of(question: &Question<'_>) -> Self {
        let known = &question.standing.entities;
        let entity = |uid| known.get(uid).map_or(Value::Null, flat);
        let context = question.request.context().and_then(|context| context.to_json_value().ok());
        let mut context = context.unwrap_or_default();
        // In the place of the entity's name, what it holds.
        let fields = question.entities.first().map(flat);
        if let (Some(fields), Some(place)) = (fields, context.pointer_mut("/typed_data/fields")) {
            *place = fields.get("tags").cloned().unwrap_or_default();
        }
        Self {
            principal: entity(&question.standing.principal),
            resource: entity(&question.standing.resource),
            context,
        }
    }

    /// What one policy names of it.
    fn by(&self, policy: &cedar_policy::Policy) -> Vec<(String, Option<Value>)> {
        let mut named = BTreeSet::new();
        let json = policy.to_json().unwrap_or_default();
        collect(json.get("conditions").unwrap_or(&Value::Null), &mut named);
        // `a.b` is shown by `a.b.c` alone.
        let longest = named.iter().filter(|path| {
            !named.iter().any(|other| other.len() > path.len() && other.starts_with(*path))
        });
        longest.map(|path| (path.join("."), self.value(path))).collect()
    }

    fn value(&self, path: &[String]) -> Option<Value> {
        let (variable, rest) = path.split_first()?;
        let root = match variable.as_str() {
            "principal" => &self.principal,
            "resource" => &self.resource,
            "context" => &self.context,
            _ => return None,
        };
        let found = rest
            .iter()
            .try_fold(root, |value, name| value.get(name).or_else(|| value.get("tags")?.get(name)));
        found.cloned()
    }
}

/// The attributes of an entity, and its tags under `tags`.
fn flat(entity: &Entity) -> Value {
    let Ok(Value::Object(mut json)) = entity.to_json_value() else {
        return Value::Null;
    };
    let mut flat = match json.remove("attrs") {
        Some(Value::Object(attributes)) => attributes,
        _ => Map::new(),
    };
    if let Some(tags) = json.remove("tags") {
        flat.insert("tags".to_owned(), tags);
    }
    flat.insert("uid".to_owned(), json.remove("uid").unwrap_or_default());
    Value::Object(flat)
}

/// Every path that an expression of Cedar's JSON policy format names.
fn collect(json: &Value, named: &mut BTreeSet<Vec<String>>) {
    if let Some(path) = path(json) {
        if path.len() > 1 {
            named.insert(path);
        }
        return;
    }
    match json {
        Value::Array(items) => items.iter().for_each(|item| collect(item, named)),
        Value::Object(members) => members.values().for_each(|value| collect(value, named)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The path of an attribute or a tag, from its variable.
fn path(json: &Value) -> Option<Vec<String>> {
    let (operator, operands) = json.as_object()?.iter().next()?;
    let (left, name) = match operator.as_str() {
        "Var" => return Some(vec![operands.as_str()?.to_owned()]),
        "." | "has" => (operands.get("left")?, operands.get("attr")?),
        "getTag" | "hasTag" => (operands.get("left")?, operands.get("right")?.get("Value")?),
        _ => return None,
    };
    let mut path = path(left)?;
    path.push(name.as_str()?.to_owned());
    Some(path)
}
