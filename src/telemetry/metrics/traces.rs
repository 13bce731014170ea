//! What became of the spans of traces.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Spans by what became of them.
pub(super) struct Spans {
    pub(super) sent: Counter<u64, AtomicU64>,
    pub(super) lost: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Spans {
    /// Registers them.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let spans: Family<OutcomeLabels, Counter> = Family::default();
        let of = |outcome| spans.get_or_create(&OutcomeLabels { outcome }).clone();
        let (sent, lost) = (of("sent"), of("lost"));
        registry.register("trace_spans", "Spans of traces, by what became of them", spans);
        Self { sent, lost }
    }
}
