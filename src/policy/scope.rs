//! Scopes: which policies can say anything about one caller, one share and one
//! action.
//!
//! A policy whose scope does not match neither permits, forbids nor fails: Cedar
//! evaluates the scope first. So the policies that match decide what the whole set
//! would, at the cost of those few and of their conditions alone; `tests/slices.rs`
//! compares the two.

use cedar_policy::{
    ActionConstraint, Entities, EntityUid, Policy, PolicySet, PrincipalConstraint,
    ResourceConstraint,
};
use serde_json::json;

/// Policies, and of each what is left to evaluate where its scope matches.
pub(super) struct Scoped {
    pub(super) whole: PolicySet,
    /// For anybody, anything and any action, and without the places in its text that
    /// Cedar would otherwise copy at every step. In all else the same.
    conditions: PolicySet,
}

impl From<PolicySet> for Scoped {
    fn from(whole: PolicySet) -> Self {
        let conditions = whole.policies().map(|policy| {
            // A policy that was parsed has a JSON form, and is parsed from it.
            conditions(policy).unwrap_or_else(|| policy.clone())
        });
        // Ids are those of one set, and so unique.
        let conditions = PolicySet::from_policies(conditions).unwrap_or_else(|_| whole.clone());
        Self { whole, conditions }
    }
}

fn conditions(policy: &Policy) -> Option<Policy> {
    let mut json = policy.to_json().ok()?;
    for variable in ["principal", "action", "resource"] {
        *json.get_mut(variable)? = json!({ "op": "All" });
    }
    Policy::from_json(Some(policy.id().clone()), json).ok()
}

/// Who, what and with what.
pub(super) struct Scope<'a> {
    pub(super) principal: &'a EntityUid,
    pub(super) action: &'a EntityUid,
    pub(super) resource: &'a EntityUid,
    /// Says what principal and resource are in.
    pub(super) entities: &'a Entities,
}

impl Scope<'_> {
    /// The conditions of the policies of `all` whose scope matches.
    pub(super) fn slice(&self, all: &Scoped) -> PolicySet {
        let matching = all.whole.policies().filter(|policy| self.matches(policy));
        let conditions = matching.map(|policy| all.conditions.policy(policy.id()).cloned());
        // Each has its conditions, and ids are unique. The whole set decides the same.
        let conditions: Option<Vec<_>> = conditions.collect();
        let slice = conditions.and_then(|policies| PolicySet::from_policies(policies).ok());
        slice.unwrap_or_else(|| all.whole.clone())
    }

    fn matches(&self, policy: &Policy) -> bool {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(named) => named == *self.principal,
            PrincipalConstraint::In(group) => self.is_in(self.principal, &group),
            PrincipalConstraint::Is(named) => named == *self.principal.type_name(),
            PrincipalConstraint::IsIn(named, group) => {
                named == *self.principal.type_name() && self.is_in(self.principal, &group)
            }
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(named) => named == *self.resource,
            ResourceConstraint::In(group) => self.is_in(self.resource, &group),
            ResourceConstraint::Is(named) => named == *self.resource.type_name(),
            ResourceConstraint::IsIn(named, group) => {
                named == *self.resource.type_name() && self.is_in(self.resource, &group)
            }
        };
        principal && resource && covers(policy, self.action)
    }

    fn is_in(&self, entity: &EntityUid, group: &EntityUid) -> bool {
        entity == group || self.entities.is_ancestor_of(group, entity)
    }
}

/// Whether the scope of a policy names the action itself.
pub(super) fn names(policy: &Policy, action: &EntityUid) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => false,
        ActionConstraint::Eq(named) => named == *action,
        ActionConstraint::In(named) => named.contains(action),
    }
}

/// Whether the scope of a policy names the action, or none.
pub(super) fn covers(policy: &Policy, action: &EntityUid) -> bool {
    names(policy, action) || policy.action_constraint() == ActionConstraint::Any
}
