//! What is measured of a TLS listener, where there is one: a certificate's end that
//! is 0 would look like one that has passed.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::SystemTime,
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// The metrics of the listener.
pub(super) struct Tls {
    pub(super) reload_failed: Gauge<i64, AtomicI64>,
    pub(super) handshakes_failed: Counter<u64, AtomicU64>,
    not_after: Gauge<i64, AtomicI64>,
}

impl Tls {
    /// Registers them.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let tls = Self {
            reload_failed: Gauge::default(),
            handshakes_failed: Counter::default(),
            not_after: Gauge::default(),
        };
        registry.register(
            "tls_reload_failed",
            "1 while the TLS listener's files hold something that was refused, and former ones are in use",
            tls.reload_failed.clone(),
        );
        registry.register(
            "tls_certificate_not_after_seconds",
            "When the TLS listener's certificate expires, in seconds since 1970",
            tls.not_after.clone(),
        );
        registry.register(
            "tls_handshakes_failed",
            "TLS handshakes that failed",
            tls.handshakes_failed.clone(),
        );
        tls
    }

    pub(super) fn set_not_after(&self, not_after: SystemTime) {
        let seconds = not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.not_after.set(i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX));
    }
}
