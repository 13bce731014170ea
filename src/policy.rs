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
#![forbid(unsafe_code)]

mod load;
mod permit;
mod stream;
mod subject;

use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet,
    Request, RestrictedExpression, Schema,
};

use crate::{caller::Caller, payload::PayloadKind, record::ShareDescription};

pub use load::PolicyProblem;
pub use permit::{
    Action, DisableShare, EnableShare, GenerateShare, GetPublicKey, GetShare, ListShares, Opening,
    Opens, Permit, Sign, UseShare,
};
pub use stream::StreamLimits;
use subject::Type;
pub use subject::{NewShare, Subject};

/// A validated set of policies.
#[derive(Debug)]
pub struct Policy {
    policies: PolicySet,
    schema: Schema,
    authorizer: Authorizer,
}

/// Why policy refuses. The caller learns the kind only; the policy ids are for
/// the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The kind of refusal.
    pub reason: DeniedReason,
    /// The policies that decided, by `@id`; empty where none permits.
    pub policies: Vec<String>,
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
        Self { reason: DeniedReason::NotPermitted, policies: Vec::new() }
    }
}

impl Policy {
    /// Decides one action.
    ///
    /// # Errors
    /// [`Denied`], with the policies that decided.
    pub fn authorize<A: Action>(
        &self,
        caller: &Arc<Caller>,
        subject: A::Subject,
        action: A,
    ) -> Result<Permit<A>, Denied> {
        let policies = self.decide(caller, &subject, action.name(), action.context())?;
        Ok(Permit::new(Arc::clone(caller), subject, action, policies))
    }

    /// Decides one frame of an open stream: what the same payload needs in
    /// `Sign`. Policy sees the kind of the payload only, so that a stream asks
    /// once per kind and remembers.
    ///
    /// # Errors
    /// [`Denied`], as for `Sign`.
    pub fn authorize_frame(
        &self,
        open: &Permit<UseShare>,
        action: Sign,
    ) -> Result<Permit<Sign>, Denied> {
        let share = Arc::clone(open.subject());
        let policies = open
            .action()
            .frames(action.payload.kind())
            .get_or_init(|| self.decide(open.caller(), &share, action.name(), action.context()))
            .clone()?;
        Ok(Permit::new(Arc::clone(open.caller()), share, action, policies))
    }

    /// The limits that the policies behind a permit set for its stream.
    pub fn stream_limits(&self, open: &Permit<UseShare>) -> StreamLimits {
        let permitting = open.policies().iter();
        let policies = permitting.filter_map(|id| self.policies.policy(&PolicyId::new(id)));
        // Read once at loading, where a malformed annotation is refused.
        policies
            .filter_map(|policy| StreamLimits::of(policy).ok())
            .fold(StreamLimits::default(), StreamLimits::and)
    }

    fn decide(
        &self,
        caller: &Caller,
        subject: &impl Subject,
        action: &'static str,
        context: Vec<(String, RestrictedExpression)>,
    ) -> Result<Decided, Denied> {
        let failed = || Denied { reason: DeniedReason::Evaluation, policies: Vec::new() };
        let action = subject::uid(Type::Action, action);
        let entities = subject::caller(caller).and_then(|mut entities| {
            entities.extend(subject.entities()?);
            Ok(entities)
        });
        let entities =
            Entities::from_entities(entities.map_err(|_| failed())?, None).map_err(|_| failed())?;
        let context = Context::from_pairs(context).map_err(|_| failed())?;
        // In debug builds (and so in every test) the request is held against the
        // schema, which keeps code and schema the same.
        let schema = cfg!(debug_assertions).then_some(&self.schema);
        let request = Request::new(
            subject::uid(Type::Caller, &caller.name),
            action.clone(),
            subject.uid(),
            context,
            schema,
        )
        .map_err(|_| failed())?;

        let response = self.authorizer.is_authorized(&request, &self.policies, &entities);
        let diagnostics = response.diagnostics();
        let deciding = || diagnostics.reason().map(ToString::to_string);
        let denied = |reason| Denied { reason, policies: deciding().collect() };
        if diagnostics.errors().next().is_some() {
            return Err(denied(DeniedReason::Evaluation));
        }
        let named = || diagnostics.reason().any(|id| self.names(id, &action));
        match response.decision() {
            Decision::Allow if action != subject::uid(Type::Action, "SignDigest") || named() => {
                Ok(deciding().collect())
            }
            Decision::Allow | Decision::Deny => Err(denied(DeniedReason::NotPermitted)),
        }
    }

    /// Whether the scope of a policy names the action itself.
    fn names(&self, id: &PolicyId, action: &EntityUid) -> bool {
        match self.policies.policy(id).map(|policy| policy.action_constraint()) {
            Some(ActionConstraint::Eq(named)) => named == *action,
            Some(ActionConstraint::In(named)) => named.contains(action),
            Some(ActionConstraint::Any) | None => false,
        }
    }
}

/// The name of the Cedar action that a payload of this kind needs.
fn signing_action(kind: PayloadKind) -> &'static str {
    match kind {
        PayloadKind::Message => "Sign",
        PayloadKind::Digest => "SignDigest",
    }
}

/// The ids of the policies that permit something.
type Decided = Arc<[String]>;

/// What permits for existing shares are about.
pub type ShareSubject = Arc<ShareDescription>;
