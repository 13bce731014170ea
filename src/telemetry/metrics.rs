//! The metrics registry, written in the OpenMetrics text format.

mod audit;
mod backends;
mod kek;
mod outcomes;
mod stages;
mod tls;
mod traces;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64},
    },
    time::{Duration, Instant, SystemTime},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use crate::{
    audit::record::{Ended, Refused},
    enclave,
    grpc::Service,
    kms::KmsLogin,
    rate::Limit,
};
use audit::Audit;
use backends::Backends;
use kek::Kek;
use outcomes::Outcomes;
use stages::Stages;
use tls::Tls;
use traces::Spans;

pub use stages::Stage;

/// From 50 µs to 13 s, doubling: a request's time is the KMS's time.
const DURATION_BUCKETS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_6, 0.003_2, 0.006_4, 0.012_8, 0.025_6,
    0.051_2, 0.102_4, 0.204_8, 0.409_6, 0.819_2, 1.638_4, 3.276_8, 13.107_2,
];

/// What is measured. Cheap to clone; clones share the registry.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<MethodLabels, Histogram, fn() -> Histogram>,
    ready: Gauge<i64, AtomicI64>,
    connections: Gauge<i64, AtomicI64>,
    connections_refused: Counter<u64, AtomicU64>,
    rate_refusals: Family<LimitLabels, Counter>,
    outcomes: Outcomes,
    stages: Stages,
    spans: Spans,
    streams: Gauge<i64, AtomicI64>,
    backends: Backends,
    slots: Gauge<i64, AtomicI64>,
    slots_free: Gauge<i64, AtomicI64>,
    leaks: Gauge<i64, AtomicI64>,
    policies: Gauge<i64, AtomicI64>,
    policies_stale: Gauge<i64, AtomicI64>,
    policy_reloads: Family<OutcomeLabels, Counter>,
    audit: Audit,
    kek: Kek,
    tls: Option<Tls>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

impl Metrics {
    /// A new registry, of a process without a TLS listener.
    pub fn new() -> Self {
        Self::build(|_| None)
    }

    /// A new registry, of a process with these TLS listeners.
    pub fn with_tls(listeners: &[Service]) -> Self {
        Self::build(|registry| Some(Tls::new(registry, listeners)))
    }

    fn build(tls: impl FnOnce(&mut Registry) -> Option<Tls>) -> Self {
        let mut registry = Registry::with_prefix("countersign");
        let requests = Family::default();
        registry.register("requests", "Requests by method and gRPC code", Family::clone(&requests));
        let durations: Family<MethodLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        registry.register(
            "request_duration_seconds",
            "Time from a request's head to the end of its answer",
            durations.clone(),
        );
        let ready = Gauge::default();
        registry.register("ready", "1 while the readiness service answers SERVING", ready.clone());
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        let connections_refused = Counter::default();
        registry.register(
            "connections_refused",
            "Connections closed at once because a limit was reached",
            connections_refused.clone(),
        );
        let rate_refusals: Family<LimitLabels, Counter> = Family::default();
        for limit in Limit::ALL {
            // There from the start, so that the first refusal shows as an increase.
            drop(rate_refusals.get_or_create(&LimitLabels { limit: limit.as_str() }));
        }
        registry.register(
            "rate_refusals",
            "Calls and frames refused because a rate was exceeded, by whose rate it was",
            rate_refusals.clone(),
        );
        let outcomes = Outcomes::new(&mut registry);
        let stages = Stages::new(&mut registry);
        let spans = Spans::new(&mut registry);
        let streams = Gauge::default();
        registry.register("streams", "Streams that hold a share open", streams.clone());
        let backends = Backends::new(&mut registry);
        let slots = Gauge::default();
        registry.register("secret_slots", "Slots of secret memory", slots.clone());
        let slots_free = Gauge::default();
        registry.register("secret_slots_free", "Free slots of secret memory", slots_free.clone());
        let leaks = Gauge::default();
        registry.register(
            "secret_sections_leaked",
            "Sections that ended with something left on their heap since the start: always 0, or a bug",
            leaks.clone(),
        );
        let policies = Gauge::default();
        registry.register("policies", "Policies in force", policies.clone());
        let policies_stale = Gauge::default();
        registry.register(
            "policies_stale",
            "1 while the directory holds policies that were refused and older ones are in force",
            policies_stale.clone(),
        );
        let policy_reloads = Family::default();
        registry.register(
            "policy_reloads",
            "Changes of the directory of policies, by what came of them",
            Family::clone(&policy_reloads),
        );
        let memory = Info::new(vec![("level", enclave::level().0.as_str())]);
        registry.register("secret_memory", "What protects secret memory", memory);
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What was built", build);
        let audit = Audit::new(&mut registry);
        let kek = Kek::new(&mut registry);
        let tls = tls(&mut registry);
        Self(Arc::new(Inner {
            registry,
            requests,
            durations,
            ready,
            connections,
            connections_refused,
            rate_refusals,
            outcomes,
            stages,
            spans,
            streams,
            backends,
            slots,
            slots_free,
            leaks,
            policies,
            policies_stale,
            policy_reloads,
            audit,
            kek,
            tls,
        }))
    }

    /// Counts an answered request; `code` as the gRPC documents write it.
    pub fn answered(&self, method: &'static str, code: &'static str, elapsed: Duration) {
        self.0.requests.get_or_create(&RequestLabels { method, code }).inc();
        self.0.durations.get_or_create(&MethodLabels { method }).observe(elapsed.as_secs_f64());
    }

    /// Notes whether the enclave is ready.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.set(ready.into());
    }

    /// Notes how many connections are open.
    pub fn set_connections(&self, open: usize) {
        self.0.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// Counts a connection that was refused.
    pub fn connection_refused(&self) {
        self.0.connections_refused.inc();
    }

    /// Counts a call or a frame that exceeded a rate.
    pub fn too_fast(&self, limit: Limit) {
        self.0.rate_refusals.get_or_create(&LimitLabels { limit: limit.as_str() }).inc();
    }

    /// Counts a request or frame that reached policy, and what became of it.
    pub fn ended(&self, caller: &str, action: &str, ended: &Ended) {
        self.0.outcomes.ended(caller, action, ended);
    }

    /// Counts requests that were refused before policy.
    pub fn refused(&self, refused: &Refused) {
        self.0.outcomes.refused(refused);
    }

    /// Measures how long a stage takes.
    pub async fn during<T>(&self, stage: Stage, work: impl Future<Output = T>) -> T {
        let (begun, _span) = (Instant::now(), stage.span());
        let done = work.await;
        self.0.stages.took(stage, begun);
        done
    }

    /// The same of one that does not wait.
    pub fn within<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let (begun, _span) = (Instant::now(), stage.span());
        let done = work();
        self.0.stages.took(stage, begun);
        done
    }

    /// Counts spans that the collector took.
    pub fn spans_sent(&self, count: u64) {
        self.0.spans.sent.inc_by(count);
    }

    /// Counts spans that it did not get.
    pub fn spans_lost(&self, count: u64) {
        self.0.spans.lost.inc_by(count);
    }

    /// Counts a stream as open, until what this gives is dropped.
    pub fn stream(&self) -> OpenStream {
        self.0.streams.inc();
        OpenStream(self.clone())
    }

    /// Notes whether store and KMS answer.
    pub fn set_backends(&self, store: bool, kms: bool) {
        self.0.backends.set_up("store", store);
        self.0.backends.set_up("kms", kms);
    }

    /// Notes until when a login to the KMS is good.
    pub fn set_kms_login(&self, login: &KmsLogin) {
        self.0.backends.set_login(login.role, login.expires);
    }

    /// Notes how many slots there are.
    pub fn set_slots(&self, slots: usize) {
        self.0.slots.set(i64::try_from(slots).unwrap_or(i64::MAX));
    }

    /// Notes how many slots are free, and how many sections leaked.
    pub fn set_secret_memory(&self, free: usize, leaks: u64) {
        self.0.slots_free.set(i64::try_from(free).unwrap_or(i64::MAX));
        self.0.leaks.set(i64::try_from(leaks).unwrap_or(i64::MAX));
    }

    /// Notes how many policies are in force, and whether they are those of their
    /// directory.
    pub fn set_policies(&self, count: usize, current: bool) {
        self.0.policies.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.0.policies_stale.set((!current).into());
    }

    /// Counts a change of the directory of policies.
    pub fn policies_reloaded(&self, loaded: bool) {
        let outcome = if loaded { "loaded" } else { "refused" };
        self.0.policy_reloads.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a group of records that was flushed.
    pub fn audit_flushed(&self, records: usize, took: Duration) {
        self.0.audit.records.inc_by(records as u64);
        self.0.audit.flushes.observe(took.as_secs_f64());
    }

    /// Notes whether the audit log can be written.
    pub fn set_audit_writable(&self, writable: bool) {
        self.0.audit.writable.set(writable.into());
    }

    /// Notes how many records wait to be written.
    pub fn set_audit_queue(&self, waiting: usize) {
        self.0.audit.queue.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Notes how many records the store has not counted.
    pub fn set_audit_uncounted(&self, records: u64) {
        self.0.audit.uncounted.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Notes how many records are not copied into the table.
    pub fn set_audit_uncopied(&self, records: u64) {
        self.0.audit.uncopied.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Notes that the head of the audit log was shipped now.
    pub fn audit_shipped(&self) {
        self.0.audit.shipped.set(now());
    }

    /// Notes that a checkpoint was delivered to the webhook now.
    pub fn audit_delivered(&self) {
        self.0.audit.delivered.set(now());
    }

    /// Notes the KEK's newest version, when it was made and whether it should have been
    /// replaced.
    pub fn set_kek(&self, version: u32, created: Option<SystemTime>, overdue: bool) {
        self.0.kek.set(version, created, overdue);
    }

    /// Notes until when a TLS listener's certificate is valid.
    pub fn set_tls_certificate(&self, listener: Service, not_after: SystemTime) {
        if let Some(tls) = &self.0.tls {
            tls.set_not_after(listener, not_after);
        }
    }

    /// Notes whether what is in a TLS listener's files is refused.
    pub fn set_tls_reload_failed(&self, listener: Service, failed: bool) {
        if let Some(tls) = &self.0.tls {
            tls.set_reload_failed(listener, failed);
        }
    }

    /// Counts a TLS handshake that failed.
    pub fn tls_handshake_failed(&self, listener: Service) {
        if let Some(tls) = &self.0.tls {
            tls.handshake_failed(listener);
        }
    }

    /// The registry as text.
    ///
    /// # Errors
    /// Never; the signature is that of writing to a string.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

/// A stream that is counted as open.
pub struct OpenStream(Metrics);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.0.streams.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// In seconds since the Unix epoch.
fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn now() -> i64 {
    seconds(SystemTime::now())
}
