//! Where the time of a request goes.

use std::time::Instant;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

use tracing::Span;

use super::DURATION_BUCKETS;
use crate::telemetry::traces;

/// A stage of a request that uses a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looking the share up, and asking policy.
    Decide,
    /// Reading its record from the store.
    Fetch,
    /// Having its DEK unwrapped by the KMS.
    Unwrap,
    /// The section: opening, signing, verifying, wiping.
    Section,
    /// Waiting until the record of the request is durable.
    Audit,
}

pub(super) struct Stages(Family<StageLabels, Histogram, fn() -> Histogram>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

impl Stage {
    /// Every stage, in the order in which a request meets them.
    pub const ALL: [Self; 5] =
        [Self::Decide, Self::Fetch, Self::Unwrap, Self::Section, Self::Audit];

    /// The span of it, for a trace, until it is dropped.
    pub(super) fn span(self) -> Span {
        tracing::trace_span!(target: traces::STAGE, "stage", stage = self.as_str())
    }

    /// As the label is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Fetch => "fetch",
            Self::Unwrap => "unwrap",
            Self::Section => "section",
            Self::Audit => "audit",
        }
    }
}

impl Stages {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let stages: Family<StageLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        for stage in Stage::ALL {
            drop(stages.get_or_create(&StageLabels { stage: stage.as_str() }));
        }
        registry.register(
            "stage_duration_seconds",
            "Time that a request spends in a stage; audit is what is left to wait when the rest is done",
            stages.clone(),
        );
        Self(stages)
    }

    pub(super) fn took(&self, stage: Stage, since: Instant) {
        let labels = StageLabels { stage: stage.as_str() };
        self.0.get_or_create(&labels).observe(since.elapsed().as_secs_f64());
    }
}
