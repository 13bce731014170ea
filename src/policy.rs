//! Who may sign what: Cedar policies, deny by default.
//!
//! [`Policy::authorize`] turns a caller, a subject and an action into a
//! [`Permit`], and nothing else makes one. What follows demands it by type:
//! the store hands out no envelope, the KMS unwraps no DEK and the enclave opens
//! no share without a value that descends from a permit.
//!
//! - No policy that permits: denied. Any `forbid` that matches: denied.
//! - Any policy that fails to evaluate: denied, also when others permit. Cedar
//!   alone would skip the failing policy, so that a `forbid` whose arithmetic
//!   overflows would forbid nothing.
//! - `SignDigest` is permitted only by a policy whose scope names that action:
//!   a policy for any action does not cover bare digests.
//!
//! ```text
//! caller, share ─▶ standing: entities, and the policies in scope; once for both
//! payload, time ─▶ context: what this request says                       ─▶ Cedar ─▶ Permit
//! ```
#![forbid(unsafe_code)]

mod action;
pub mod amount;
mod asked;
mod attributes;
mod context;
mod explain;
mod expression;
mod instance;
mod known;
mod literal;
mod load;
mod path;
mod permit;
mod policies;
mod rewrap;
mod scope;
mod slice;
mod standing;
mod stream;
mod subject;
mod tags;
#[cfg(test)]
mod tests;
mod word;

use std::{fmt, sync::Arc, time::SystemTime};

use cedar_policy::{
    Authorizer, Decision, Entities, PolicyId, PolicySet, Request, Response, Schema,
};

use crate::{caller::Caller, memory::Level, payload::Payload, record::ShareDescription};

pub use action::{
    Action, ActionName, DestroyShare, DisableShare, EnableShare, GenerateShare, GetImportKey,
    GetPublicKey, GetShare, ImportShare, ListShares, Opens, ReencryptShare, ScheduleDestruction,
    Sign, UseShare,
};
pub use explain::{Considered, Explanation, Verdict, view};
pub use instance::{INSTANCE_WALLET, instance_wallet};
pub use known::Known;
pub use load::{PolicyProblem, SCHEMA};
pub use permit::{Opening, Permit};
pub use policies::{Policies, Reload};
pub use rewrap::{RewrapPermit, Rotator};
pub use stream::StreamLimits;
pub use subject::{NewShare, Subject};
pub use tags::{Set, Tags};

use amount::AmountLimits;
use asked::Asked;
use context::{Moment, Seen};
use scope::Scoped;
use standing::{Standing, Standings};

/// A validated set of policies, and what it is told besides requests.
pub struct Policy {
    policies: Scoped,
    facts: Facts,
    warnings: Vec<PolicyProblem>,
    schema: Schema,
    authorizer: Authorizer,
    standings: Standings,
}

/// What policies are told that neither caller nor request can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The named limits on amounts.
    pub limits: AmountLimits,
    /// The tags of shares.
    pub tags: Tags,
    /// What protects secret memory.
    pub protection: Level,
    /// The names that policies may use; none where they are not known.
    pub known: Option<Known>,
}

impl Default for Facts {
    fn default() -> Self {
        let (limits, tags) = (AmountLimits::default(), Tags::default());
        Self { limits, tags, protection: Level::Mlock, known: None }
    }
}

/// Why policy refuses. The caller learns the kind only; the rest is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The kind of refusal.
    pub reason: DeniedReason,
    /// The policies that decided, by `@id`; empty where none permits.
    pub policies: Vec<String>,
    /// What those policies give as their `@reason`.
    pub because: Vec<String>,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedReason {
    /// No policy permits, a policy forbids, or there is no such share: one
    /// answer, so that a refusal says nothing about which shares exist.
    NotPermitted,
    /// A policy failed to evaluate.
    Evaluation,
}

impl Denied {
    /// The answer for a share that does not exist: that of a share which the
    /// caller may not use.
    pub fn unknown_share() -> Self {
        Self { reason: DeniedReason::NotPermitted, policies: Vec::new(), because: Vec::new() }
    }

    fn failed() -> Self {
        Self { reason: DeniedReason::Evaluation, ..Self::unknown_share() }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied ({:?}) by {:?}", self.reason, self.policies)?;
        match &*self.because {
            [] => Ok(()),
            because => write!(f, ": {}", because.join("; ")),
        }
    }
}

/// The ids of the policies that permit something.
type Decided = Arc<[String]>;

/// What permits for existing shares are about.
pub type ShareSubject = Arc<ShareDescription>;

impl Policy {
    /// Decides one action, now.
    ///
    /// # Errors
    /// [`Denied`], with the policies that decided.
    pub fn authorize<A: Action>(
        &self,
        caller: &Arc<Caller>,
        subject: A::Subject,
        action: A,
    ) -> Result<Permit<A>, Denied> {
        self.authorize_at(SystemTime::now(), caller, subject, action)
    }

    /// [`Policy::authorize`] at another time: for cases that are tried.
    ///
    /// # Errors
    /// [`Denied`], with the policies that decided.
    pub fn authorize_at<A: Action>(
        &self,
        time: SystemTime,
        caller: &Arc<Caller>,
        subject: A::Subject,
        action: A,
    ) -> Result<Permit<A>, Denied> {
        if instance::is_own(&subject) {
            return Err(Denied::unknown_share());
        }
        let (name, payload) = (action.name(), action.payload());
        let standing = self.standings.of(caller, &subject, &self.facts.tags)?;
        let slice = standing.slice(&self.policies, name);
        let decide = |asked: &Asked| {
            let question = self.put(time, Arc::clone(&standing), name, payload, asked)?;
            self.decide(name, &question.answer())
        };
        let policies = slice.answer(payload.map(Payload::kind), || {
            let decided = decide(&slice.asked);
            debug_assert_eq!(decided, decide(&Asked::All), "the policies ask for more");
            decided
        })?;
        Ok(Permit::new(Arc::clone(caller), subject, action, policies))
    }

    /// Decides anew whether a stream may stay open.
    ///
    /// # Errors
    /// [`Denied`], as at its opening.
    pub fn authorize_still(&self, open: &Permit<UseShare>) -> Result<(), Denied> {
        self.authorize(open.caller(), Arc::clone(open.subject()), UseShare).map(|_| ())
    }

    /// The limits that the policies behind a permit set for its stream.
    pub fn stream_limits(&self, open: &Permit<UseShare>) -> StreamLimits {
        let permitting = open.policies().iter();
        let policies = permitting.filter_map(|id| self.policies.whole.policy(&PolicyId::new(id)));
        // Read once at loading, where a malformed annotation is refused.
        policies
            .filter_map(|policy| StreamLimits::of(policy).ok())
            .fold(StreamLimits::default(), StreamLimits::and)
    }

    /// What is valid and probably not meant.
    pub fn warnings(&self) -> &[PolicyProblem] {
        &self.warnings
    }

    /// How many policies there are.
    pub fn count(&self) -> usize {
        self.policies.whole.num_of_policies()
    }

    /// The question whether a caller may do this with a subject, with all that policy
    /// can see.
    fn ask(
        &self,
        time: SystemTime,
        caller: &Arc<Caller>,
        subject: &impl Subject,
        action: ActionName,
        payload: Option<&Payload>,
    ) -> Result<Question<'_>, Denied> {
        let standing = self.standings.of(caller, subject, &self.facts.tags)?;
        self.put(time, standing, action, payload, &Asked::All)
    }

    /// Puts a question as Cedar takes it, with as much of the context as is asked for.
    fn put(
        &self,
        time: SystemTime,
        standing: Arc<Standing>,
        action: ActionName,
        payload: Option<&Payload>,
        asked: &Asked,
    ) -> Result<Question<'_>, Denied> {
        let Facts { limits, protection, .. } = &self.facts;
        let Seen { context, entities } =
            context::of(asked, Moment::from(time), *protection, payload, limits)?;
        // In debug builds (and so in every test) a request that shows everything is held
        // against the schema, which keeps code and schema the same.
        let whole = cfg!(debug_assertions) && *asked == Asked::All;
        let schema = whole.then_some(&self.schema);
        let Standing { principal, resource, .. } = &*standing;
        let request =
            Request::new(principal.clone(), action.uid(), resource.clone(), context, schema)
                .map_err(|_| Denied::failed())?;
        // Never asked without them: a tag of an entity that is missing is just not there.
        let all = (!entities.is_empty())
            .then(|| standing.entities.clone().add_entities(entities.iter().cloned(), None))
            .transpose()
            .map_err(|_| Denied::failed())?;
        Ok(Question { policy: self, standing, action, request, entities, all })
    }

    fn decide(&self, action: ActionName, response: &Response) -> Result<Decided, Denied> {
        let diagnostics = response.diagnostics();
        let failing = diagnostics.errors().map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
        });
        let mut failing: Vec<_> = failing.collect();
        failing.sort();
        if !failing.is_empty() {
            return Err(self.denied(DeniedReason::Evaluation, failing));
        }
        let mut deciding: Vec<_> = diagnostics.reason().collect();
        deciding.sort();
        let uid = action.uid();
        let named = |id: &&PolicyId| {
            self.policies.whole.policy(id).is_some_and(|policy| scope::names(policy, &uid))
        };
        match response.decision() {
            Decision::Allow if action != ActionName::SignDigest || deciding.iter().any(named) => {
                Ok(deciding.into_iter().map(text).collect())
            }
            // What permits does not name the action: as if there were none.
            Decision::Allow => Err(Denied::unknown_share()),
            Decision::Deny => Err(self.denied(DeniedReason::NotPermitted, deciding)),
        }
    }

    fn denied(&self, reason: DeniedReason, policies: Vec<&PolicyId>) -> Denied {
        let because = policies.iter().filter_map(|id| self.policies.whole.annotation(id, "reason"));
        Denied {
            reason,
            because: because.map(ToOwned::to_owned).collect(),
            policies: policies.into_iter().map(text).collect(),
        }
    }
}

/// An id as it was written: its `Display` would escape it.
fn text(id: &PolicyId) -> String {
    let id: &str = id.as_ref();
    id.to_owned()
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("policies", &self.count()).finish_non_exhaustive()
    }
}

/// One question, ready for Cedar.
struct Question<'p> {
    policy: &'p Policy,
    standing: Arc<Standing>,
    action: ActionName,
    request: Request,
    /// Those that only this request has.
    entities: Vec<cedar_policy::Entity>,
    /// They and those of the standing, where there are any.
    all: Option<Entities>,
}

impl Question<'_> {
    /// Cedar's answer by the policies in scope.
    fn answer(&self) -> Response {
        let slice = self.standing.slice(&self.policy.policies, self.action);
        self.answer_by(&slice.policies)
    }

    fn answer_by(&self, policies: &PolicySet) -> Response {
        let entities = self.all.as_ref().unwrap_or(&self.standing.entities);
        self.policy.authorizer.is_authorized(&self.request, policies, entities)
    }
}
