//! What is looked at again while the process runs: the directory of policies, now
//! and then and when somebody asks; then the TLS files too, which are followed by
//! themselves otherwise.
#![forbid(unsafe_code)]

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use crate::{
    audit::{Audit, record::Event},
    grpc::{Credentials, PolicyHealth},
    policy::{Policies, Reload},
    shutdown::Draining,
    telemetry::Metrics,
};

/// How often the directory is looked at. A change is in force after two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Asks for a look at once, and for what is new to be taken at once. Cheap to clone.
#[derive(Clone, Default)]
pub struct Reloading(Arc<Notify>);

impl Reloading {
    /// Asks for it.
    pub fn ask(&self) {
        self.0.notify_one();
    }
}

/// Looks until shutdown. `credentials` are those of the TLS listeners.
pub async fn watch(
    policies: Arc<Policies>,
    audit: Audit,
    credentials: Vec<Arc<Credentials>>,
    reloading: Reloading,
    health: PolicyHealth,
    metrics: Metrics,
    draining: Draining,
) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(draining.started());
    metrics.set_policies(policies.current().count(), true);
    log_warnings(&policies);
    loop {
        let asked = tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => false,
            () = reloading.0.notified() => true,
        };
        let (looked_at, credentials) = (Arc::clone(&policies), credentials.clone());
        let log = audit.clone();
        // Reads files, which may be far away.
        let reload = spawn_blocking(move || {
            let announce = |count, fingerprint: [u8; 32]| {
                log.note(Event::Policies { count, fingerprint: fingerprint.into() });
            };
            if !asked {
                return looked_at.refresh(announce);
            }
            for tls in credentials {
                tls.reload();
            }
            looked_at.reload(announce)
        });
        let Ok(reload) = reload.await else { continue };
        let current = match reload {
            Reload::Unchanged => continue,
            Reload::Loaded => {
                let fingerprint = hex::encode(policies.fingerprint());
                let count = policies.current().count();
                tracing::info!(count, fingerprint, "Policies loaded");
                log_warnings(&policies);
                true
            }
            Reload::Restored => {
                tracing::info!("The directory of policies holds what is in force again");
                true
            }
            Reload::Refused(problems) => {
                for problem in &problems {
                    tracing::error!(%problem, "Policy refused");
                }
                let problems = problems.len();
                tracing::error!(problems, "New policies refused: the old ones stay in force");
                false
            }
        };
        metrics.policies_reloaded(current);
        metrics.set_policies(policies.current().count(), current);
        health.set(current).await;
    }
}

fn log_warnings(policies: &Policies) {
    for warning in policies.current().warnings() {
        tracing::warn!(%warning, "Policy is probably not meant so");
    }
}
