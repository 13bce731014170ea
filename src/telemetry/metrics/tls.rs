//! What is measured of the TLS listeners that are there: a certificate's end that is 0
//! would look like one that has passed.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::SystemTime,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::grpc::Service;

/// The metrics of the listeners.
pub(super) struct Tls {
    reload_failed: Family<Labels, Gauge<i64, AtomicI64>>,
    handshakes_failed: Family<Labels, Counter<u64, AtomicU64>>,
    not_after: Family<Labels, Gauge<i64, AtomicI64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    listener: &'static str,
}

impl Tls {
    /// Registers them.
    pub(super) fn new(registry: &mut Registry, listeners: &[Service]) -> Self {
        let tls = Self {
            reload_failed: Family::default(),
            handshakes_failed: Family::default(),
            not_after: Family::default(),
        };
        // There from the start, so that the first failure shows as an increase.
        for labels in listeners.iter().copied().map(labels) {
            drop(tls.reload_failed.get_or_create(&labels));
            drop(tls.handshakes_failed.get_or_create(&labels));
        }
        registry.register(
            "tls_reload_failed",
            "1 while a TLS listener's files hold something that was refused, and former ones are in use",
            tls.reload_failed.clone(),
        );
        registry.register(
            "tls_certificate_not_after_seconds",
            "When a TLS listener's certificate expires, in seconds since 1970",
            tls.not_after.clone(),
        );
        registry.register(
            "tls_handshakes_failed",
            "TLS handshakes that failed, by listener",
            tls.handshakes_failed.clone(),
        );
        tls
    }

    pub(super) fn set_not_after(&self, listener: Service, not_after: SystemTime) {
        let not_after = super::seconds(not_after);
        self.not_after.get_or_create(&labels(listener)).set(not_after);
    }

    pub(super) fn set_reload_failed(&self, listener: Service, failed: bool) {
        self.reload_failed.get_or_create(&labels(listener)).set(failed.into());
    }

    pub(super) fn handshake_failed(&self, listener: Service) {
        self.handshakes_failed.get_or_create(&labels(listener)).inc();
    }
}

fn labels(listener: Service) -> Labels {
    Labels { listener: listener.as_str() }
}
