//! What policies see, as JSON: the same that Cedar gets, and from it.

use std::time::UNIX_EPOCH;

use cedar_policy::{Context, Entities, Entity, EntityUid};
use serde_json::{Value, json};

use crate::{
    memory::Level,
    payload::Payload,
    policy::{
        Question,
        amount::AmountLimits,
        asked::Asked,
        context::{self, Moment, Seen},
        path::{Path, Step},
    },
};

/// What one question shows.
pub(super) struct Sight {
    pub(super) principal: Value,
    pub(super) resource: Value,
    pub(super) context: Value,
}

/// What policies see of a payload, as attributes of `context`.
pub fn view(payload: &Payload, limits: &AmountLimits) -> Value {
    let moment = Moment::from(UNIX_EPOCH);
    let seen = context::of(&Asked::All, moment, Level::Mlock, Some(payload), limits);
    let mut view = seen.map_or(Value::Null, |seen| {
        let Seen { context, entities } = seen;
        self::context(&context, &entities)
    });
    if let Value::Object(attributes) = &mut view {
        // These are the decision's, whatever the payload.
        attributes.retain(|name, _| !matches!(name.as_str(), "time" | "protection"));
    }
    view
}

impl Sight {
    pub(super) fn of(question: &Question<'_>) -> Self {
        let known = &question.standing.entities;
        let context = question.request.context();
        Self {
            principal: entity(&question.standing.principal, known),
            resource: entity(&question.standing.resource, known),
            context: context.map_or(Value::Null, |seen| self::context(seen, &question.entities)),
        }
    }

    /// What one policy names of it.
    pub(super) fn by(&self, policy: &cedar_policy::Policy) -> Vec<(String, Option<Value>)> {
        let named = Path::all_in(policy).into_iter();
        named.map(|path| (path.to_string(), self.value(&path).cloned())).collect()
    }

    fn value(&self, path: &Path) -> Option<&Value> {
        let part = match path.steps.first()? {
            Step::Attribute(_) => "attributes",
            Step::Tag(_) => "tags",
        };
        let root = match path.variable.as_str() {
            "principal" => self.principal.get(part)?,
            "resource" => self.resource.get(part)?,
            "context" => &self.context,
            _ => return None,
        };
        path.steps.iter().try_fold(root, |value, step| value.get(step.name()))
    }
}

/// An entity with what it is in, its attributes and its tags.
fn entity(uid: &EntityUid, known: &Entities) -> Value {
    let parents = known.ancestors(uid).into_iter().flatten().map(ToString::to_string);
    let parents: Vec<_> = parents.collect();
    let part = |name| known.get(uid).map_or(Value::Null, |entity| part(entity, name));
    json!({
        "entity": uid.to_string(),
        "in": parents,
        "attributes": part("attrs"),
        "tags": part("tags"),
    })
}

/// The context; the fields of typed data stand in the place of their entity's name.
fn context(context: &Context, entities: &[Entity]) -> Value {
    let mut json = context.to_json_value().unwrap_or_default();
    let fields = entities.first().map(|entity| part(entity, "tags"));
    if let (Some(fields), Some(place)) = (fields, json.pointer_mut("/typed_data/fields")) {
        *place = fields;
    }
    json
}

/// A part of Cedar's JSON form of an entity.
fn part(entity: &Entity, name: &str) -> Value {
    let mut json = entity.to_json_value().unwrap_or_default();
    json.get_mut(name).map_or_else(|| json!({}), Value::take)
}
