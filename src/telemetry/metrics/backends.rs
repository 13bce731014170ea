//! What the process depends on: store, KMS, and the logins there.

use std::{sync::atomic::AtomicI64, time::SystemTime};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::seconds;

pub(super) struct Backends {
    up: Family<BackendLabels, Gauge<i64, AtomicI64>>,
    logins: Family<RoleLabels, Gauge<i64, AtomicI64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabels {
    backend: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
}

impl Backends {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let backends = Self { up: Family::default(), logins: Family::default() };
        registry.register(
            "backend_up",
            "1 while a backend (store, kms) answers as it should",
            backends.up.clone(),
        );
        registry.register(
            "kms_login_expiry_timestamp_seconds",
            "When a login to the KMS expires unless it is renewed, in seconds since 1970; 0 where there \
             is none now",
            backends.logins.clone(),
        );
        backends
    }

    pub(super) fn set_up(&self, backend: &'static str, up: bool) {
        self.up.get_or_create(&BackendLabels { backend }).set(up.into());
    }

    pub(super) fn set_login(&self, role: &'static str, expires: Option<SystemTime>) {
        let expires = expires.map_or(0, seconds);
        self.logins.get_or_create(&RoleLabels { role }).set(expires);
    }
}
