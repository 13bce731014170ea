//! The metrics of the KEK. Zero where its age cannot be had.

use std::{sync::atomic::AtomicI64, time::SystemTime};

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

pub(super) struct Kek {
    version: Gauge<i64, AtomicI64>,
    created: Gauge<i64, AtomicI64>,
    overdue: Gauge<i64, AtomicI64>,
}

impl Kek {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let kek = Self {
            version: Gauge::default(),
            created: Gauge::default(),
            overdue: Gauge::default(),
        };
        registry.register(
            "kek_version",
            "The KEK's newest version; 0 where that is not known",
            kek.version.clone(),
        );
        registry.register(
            "kek_created_timestamp_seconds",
            "When the KEK's newest version was made, in seconds since 1970; 0 where that is not known",
            kek.created.clone(),
        );
        registry.register(
            "kek_overdue",
            "1 while the KEK's newest version is older than 90 days",
            kek.overdue.clone(),
        );
        kek
    }

    pub(super) fn set(&self, version: u32, created: Option<SystemTime>, overdue: bool) {
        let created = created.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let created = created.map_or(0, |since| since.as_secs());
        self.version.set(version.into());
        self.created.set(i64::try_from(created).unwrap_or(i64::MAX));
        self.overdue.set(overdue.into());
    }
}
