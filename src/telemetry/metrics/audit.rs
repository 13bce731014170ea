//! The metrics of the audit log.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// From 50 µs to 1.6 s, doubling: from a disk with a battery to one that is ill.
const FLUSH_BUCKETS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_6, 0.003_2, 0.006_4, 0.012_8, 0.025_6,
    0.051_2, 0.102_4, 0.204_8, 0.409_6, 0.819_2, 1.638_4,
];

pub(super) struct Audit {
    pub(super) records: Counter<u64, AtomicU64>,
    pub(super) flushes: Histogram,
    pub(super) queue: Gauge<i64, AtomicI64>,
    pub(super) writable: Gauge<i64, AtomicI64>,
    pub(super) shipped: Gauge<i64, AtomicI64>,
    pub(super) delivered: Gauge<i64, AtomicI64>,
    pub(super) uncounted: Gauge<i64, AtomicI64>,
    pub(super) uncopied: Gauge<i64, AtomicI64>,
}

impl Audit {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let audit = Self {
            records: Counter::default(),
            flushes: Histogram::new(FLUSH_BUCKETS),
            queue: Gauge::default(),
            writable: Gauge::default(),
            shipped: Gauge::default(),
            delivered: Gauge::default(),
            uncounted: Gauge::default(),
            uncopied: Gauge::default(),
        };
        let Self { records, flushes, queue, writable, shipped, delivered, uncounted, uncopied } =
            &audit;
        registry.register("audit_records", "Records that are durable", records.clone());
        registry.register(
            "audit_flush_seconds",
            "Time that the disk takes for a group of records",
            flushes.clone(),
        );
        registry.register(
            "audit_queue",
            "Records that waited to be written when a group was",
            queue.clone(),
        );
        writable.set(1);
        registry.register(
            "audit_writable",
            "0 while the audit log cannot be written and nothing is signed",
            writable.clone(),
        );
        registry.register(
            "audit_checkpoint_timestamp_seconds",
            "When the signed head of the audit log was last shipped, in seconds since 1970",
            shipped.clone(),
        );
        registry.register(
            "audit_checkpoint_delivered_timestamp_seconds",
            "When a signed head was last delivered to the webhook, in seconds since 1970",
            delivered.clone(),
        );
        registry.register(
            "audit_uncounted",
            "Records whose uses of shares the store has not counted yet",
            uncounted.clone(),
        );
        registry.register(
            "audit_uncopied",
            "Records that are to be in the table of Postgres and are not yet",
            uncopied.clone(),
        );
        audit
    }
}
