//! A case, decided as the enclave decides a request: it decodes, asks policy, and
//! holds the payload against the algorithm.

use super::case::{Case, CaseSubject, Expectation};
use crate::{
    payload::{Payload, Undecodable},
    policy::{Denied, DeniedReason, Explanation, Policy},
    refusal::Refusal,
};

/// What came of a case.
pub(super) struct Decided {
    /// The ids of the policies that permit, or why it is not answered.
    pub(super) outcome: Result<Vec<String>, Refusal>,
    /// Why; none where policy was not asked.
    pub(super) explanation: Option<Explanation>,
}

impl Decided {
    pub(super) fn of(case: &Case, policy: &Policy) -> Self {
        let payload = case.payload.clone().map(|(kind, bytes)| {
            Payload::decode(kind, bytes)
                .map_err(|Undecodable(rule)| Refusal::invalid(kind.field(), rule))
        });
        match payload.transpose() {
            Err(refusal) => Self { outcome: Err(refusal), explanation: None },
            Ok(payload) => match explain(case, policy, payload.as_ref()) {
                Err(denied) => Self { outcome: Err(denied.into()), explanation: None },
                Ok(explanation) => {
                    let outcome = explanation.outcome.clone().map_err(Refusal::from);
                    let outcome = outcome.and_then(|policies| {
                        fits(case, payload.as_ref())?;
                        Ok(policies)
                    });
                    Self { outcome, explanation: Some(explanation) }
                }
            },
        }
    }

    /// What it is, in the words of cases.
    pub(super) fn got(&self) -> Expectation {
        match &self.outcome {
            Ok(_) => Expectation::Allow,
            Err(Refusal::Denied(_)) => Expectation::Deny,
            Err(_) => Expectation::Refuse,
        }
    }

    /// The policies that decided.
    pub(super) fn policies(&self) -> &[String] {
        match &self.outcome {
            Ok(policies) => policies,
            Err(Refusal::Denied(denied)) => &denied.policies,
            Err(_) => &[],
        }
    }

    /// What they give as their reasons.
    pub(super) fn because(&self) -> &[String] {
        match &self.outcome {
            Err(Refusal::Denied(denied)) => &denied.because,
            Ok(_) | Err(_) => &[],
        }
    }

    /// The stable reason of a refusal.
    pub(super) fn reason(&self) -> Option<&'static str> {
        self.outcome.as_ref().err().map(|refusal| refusal.reason().as_str())
    }

    /// The rule that the payload breaks.
    pub(super) fn rule(&self) -> Option<String> {
        let refusal = self.outcome.as_ref().err()?;
        (self.got() == Expectation::Refuse).then(|| refusal.to_string())
    }

    /// Whether it is what the case expects.
    pub(super) fn is_expected(&self, case: &Case) -> bool {
        let same = |expected: &Vec<String>| sorted(expected) == sorted(self.policies());
        self.got() == case.expect && case.policies.as_ref().is_none_or(same)
    }

    /// One line for people.
    pub(super) fn told(&self) -> String {
        match &self.outcome {
            Ok(policies) => listed("allow", policies),
            Err(Refusal::Denied(denied)) => denial(denied),
            Err(refusal) => format!("refuse: {refusal}"),
        }
    }
}

/// Such as `allow by one, other`.
pub(super) fn listed(word: &str, policies: &[String]) -> String {
    format!("{word} by {}", policies.join(", "))
}

fn denial(Denied { reason, policies, because }: &Denied) -> String {
    let denied = match (reason, &**policies) {
        (DeniedReason::Evaluation, policies) => {
            format!("deny: {} cannot be evaluated", policies.join(", "))
        }
        (DeniedReason::NotPermitted, []) => "deny: no policy permits".to_owned(),
        (DeniedReason::NotPermitted, policies) => listed("deny", policies),
    };
    match &**because {
        [] => denied,
        because => format!("{denied}: {}", because.join("; ")),
    }
}

fn sorted(ids: &[String]) -> Vec<&String> {
    let mut ids: Vec<_> = ids.iter().collect();
    ids.sort();
    ids
}

fn explain(case: &Case, policy: &Policy, payload: Option<&Payload>) -> Result<Explanation, Denied> {
    let Case { time, caller, action, subject, .. } = case;
    match subject {
        CaseSubject::Share(share) => policy.explain(*time, caller, share, *action, payload),
        CaseSubject::New(share) => policy.explain(*time, caller, share, *action, payload),
        CaseSubject::Environment(environment) => {
            policy.explain(*time, caller, environment, *action, payload)
        }
    }
}

fn fits(case: &Case, payload: Option<&Payload>) -> Result<(), Refusal> {
    match (&case.subject, payload) {
        (CaseSubject::Share(share), Some(payload)) => Ok(payload.fits(share.algorithm)?),
        _ => Ok(()),
    }
}
