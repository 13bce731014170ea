//! What policies say about the length of streams.
//!
//! A policy that permits `UseShare` may carry `@max_idle("5s")`,
//! `@max_lifetime("1m")` and `@max_operations("1000")`. They only lower what is
//! configured; where several policies permit, the lowest counts.

use std::time::Duration;

use cedar_policy::Policy as CedarPolicy;

/// The limits that policy sets for a stream, where it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamLimits {
    /// The longest time without a frame.
    pub idle: Option<Duration>,
    /// The longest life.
    pub lifetime: Option<Duration>,
    /// The most operations.
    pub operations: Option<u32>,
}

impl StreamLimits {
    /// Reads a policy's annotations.
    ///
    /// # Errors
    /// An annotation is no duration or number above zero; the text says which.
    pub(super) fn of(policy: &CedarPolicy) -> Result<Self, String> {
        let duration = |name: &str| {
            let parse = |text: &str| humantime::parse_duration(text).ok().filter(|d| !d.is_zero());
            read(policy, name, "a duration such as \"5s\"", parse)
        };
        let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
        Ok(Self {
            idle: duration("max_idle")?,
            lifetime: duration("max_lifetime")?,
            operations: read(policy, "max_operations", "a number such as \"1000\"", number)?,
        })
    }

    /// The lower of both, limit by limit.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            idle: lower(self.idle, other.idle),
            lifetime: lower(self.lifetime, other.lifetime),
            operations: lower(self.operations, other.operations),
        }
    }
}

fn read<T>(
    policy: &CedarPolicy,
    name: &str,
    what: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let Some(text) = policy.annotation(name) else {
        return Ok(None);
    };
    match parse(text) {
        None => Err(format!("@{name} is {what}, not \"{text}\"")),
        limit => Ok(limit),
    }
}

fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}
