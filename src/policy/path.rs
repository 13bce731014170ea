//! Paths: the attributes and tags that the conditions of a policy name.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use super::expression;

/// An attribute or a tag, from its variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    /// `principal`, `action`, `resource` or `context`.
    pub(super) variable: String,
    pub(super) steps: Vec<Step>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// `.name`
    Attribute(String),
    /// `.getTag("name")`
    Tag(String),
}

impl Step {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Attribute(name) | Self::Tag(name) => name,
        }
    }
}

impl Path {
    /// Every path that the conditions of a policy name. Of `a.b` and `a.b.c` only the
    /// longer one: it shows the other.
    pub(super) fn all_in(policy: &cedar_policy::Policy) -> Vec<Self> {
        let mut named = BTreeSet::new();
        let conditions = expression::conditions(policy).unwrap_or_default();
        expression::walk(&conditions, &mut |json| {
            let Some(path) = Self::of(json) else { return true };
            if !path.steps.is_empty() {
                named.insert(path);
            }
            false
        });
        let longest = named.iter().filter(|path| !named.iter().any(|other| other.extends(path)));
        longest.cloned().collect()
    }

    fn extends(&self, other: &Self) -> bool {
        self.variable == other.variable
            && self.steps.len() > other.steps.len()
            && self.steps.starts_with(&other.steps)
    }

    /// The path that an expression of Cedar's JSON policy format is, if it is one.
    pub(super) fn of(json: &Value) -> Option<Self> {
        let (operator, operands) = json.as_object()?.iter().next()?;
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let steps = match operator.as_str() {
            "Var" => return Some(Self { variable: text(operands)?, steps: Vec::new() }),
            "." | "has" => match operands.get("attr")? {
                // `a has b.c.d`
                Value::Array(names) => names
                    .iter()
                    .map(|name| text(name).map(Step::Attribute))
                    .collect::<Option<_>>()?,
                name => vec![Step::Attribute(text(name)?)],
            },
            "getTag" | "hasTag" => vec![Step::Tag(text(operands.get("right")?.get("Value")?)?)],
            _ => return None,
        };
        let mut path = Self::of(operands.get("left")?)?;
        path.steps.extend(steps);
        Some(path)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variable)?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Attribute(name) => write!(f, ".{name}"),
            Step::Tag(name) => write!(f, ".getTag({name:?})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_and_tag_is_found_once() {
        let policy = r#"permit (principal, action, resource) when {
            resource.wallet == "a" && context has transaction.to &&
            ["b"].contains(context.transaction.to) &&
            (if principal has uid then principal.uid < 3 else true) &&
            resource.hasTag("tier") && resource.getTag("tier") == "hot" &&
            context["typed_data"].fields.getTag("details.token") == "c"
        } unless { context.time.hour > 8 };"#;
        let paths = Path::all_in(&policy.parse().unwrap());
        let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
        let expected = [
            "context.time.hour",
            "context.transaction.to",
            "context.typed_data.fields.getTag(\"details.token\")",
            "principal.uid",
            "resource.wallet",
            "resource.getTag(\"tier\")",
        ];
        assert_eq!(paths, expected);
    }
}
