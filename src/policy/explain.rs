//! Why a decision came out as it did: for `countersign policy`, which asks about
//! requests that nobody made. No permit is made here.

mod sight;

use std::{sync::Arc, time::SystemTime};

use cedar_policy::{AuthorizationError, Effect, PolicySet};
use serde_json::Value;

use super::{ActionName, Denied, Policy, Question, Subject, scope, text};
use crate::{caller::Caller, payload::Payload};

pub use sight::view;

use sight::Sight;

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
    /// The attributes and tags that it names, as it names them, and what they were.
    pub saw: Vec<(String, Option<Value>)>,
}

/// What came of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its conditions hold.
    Holds,
    /// They hold, which does not count: a bare digest needs a policy whose scope
    /// names `SignDigest`.
    DoesNotCover,
    /// They do not hold.
    DoesNotHold,
    /// It failed to evaluate, which denies.
    Fails(String),
}

impl Policy {
    /// Decides as [`Policy::authorize_at`] does, and says why. A payload goes with
    /// `Sign` and `SignDigest` alone.
    ///
    /// # Errors
    /// Never with callers and subjects that are plain values.
    pub fn explain(
        &self,
        time: SystemTime,
        caller: &Arc<Caller>,
        subject: &impl Subject,
        action: ActionName,
        payload: Option<&Payload>,
    ) -> Result<Explanation, Denied> {
        let question = self.ask(time, caller, subject, action, payload)?;
        let outcome = self.decide(action, &question.answer());
        let seen = Sight::of(&question);
        let slice = &question.standing.slice(&self.policies, action).policies;
        // With their scopes, which say what they cover.
        let whole = slice.policies().filter_map(|policy| self.policies.whole.policy(policy.id()));
        let mut considered: Vec<_> = whole
            .map(|policy| Considered {
                id: text(policy.id()),
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
        None if response.diagnostics().reason().next().is_none() => Verdict::DoesNotHold,
        None if covers(policy, question.action) => Verdict::Holds,
        None => Verdict::DoesNotCover,
    }
}

/// Whether the policy counts where it holds, as [`Policy::decide`] has it.
fn covers(policy: &cedar_policy::Policy, action: ActionName) -> bool {
    action != ActionName::SignDigest
        || policy.effect() == Effect::Forbid
        || scope::names(policy, &action.uid())
}
