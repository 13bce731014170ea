//! What became of requests: of those that reached policy as the audit log has it, and of
//! those that were refused before.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::audit::record::{Ended, Refused};

pub(super) struct Outcomes {
    ended: Family<EndedLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
}

/// Callers are those of the configuration; no label comes from a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndedLabels {
    caller: String,
    action: String,
    outcome: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    caller: String,
    reason: String,
}

impl Outcomes {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let outcomes = Self { ended: Family::default(), refused: Family::default() };
        registry.register(
            "outcomes",
            "Requests and frames that reached policy, by who asked, for what, and what became of them",
            outcomes.ended.clone(),
        );
        registry.register(
            "refusals",
            "Requests that were refused before policy, by who asked, empty where unknown, and why",
            outcomes.refused.clone(),
        );
        outcomes
    }

    pub(super) fn ended(&self, caller: &str, action: &str, ended: &Ended) {
        let labels = EndedLabels {
            caller: caller.to_owned(),
            action: action.to_owned(),
            outcome: ended.outcome.as_str(),
            reason: ended.reason.clone().unwrap_or_default(),
        };
        self.ended.get_or_create(&labels).inc();
    }

    pub(super) fn refused(&self, Refused { caller, reason, count }: &Refused) {
        let labels =
            RefusedLabels { caller: caller.clone().unwrap_or_default(), reason: reason.clone() };
        self.refused.get_or_create(&labels).inc_by(*count);
    }
}
