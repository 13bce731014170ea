//! `grpc.health.v1`: `liveness` is the event loop, `readiness` is whether store
//! and KMS answer and the audit log can be written. The empty service name and the contract's services are
//! readiness, too.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, interval, timeout};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService as Service, health_reporter},
};

use super::{
    admission::{Admission, Room},
    allowance::Allowed,
};
use crate::{
    caller::Callers, enclave, memory::Level, shutdown::Draining, sign::Signing, telemetry::Metrics,
};

/// The service name of liveness.
pub const LIVENESS: &str = "liveness";
/// The service name of readiness.
pub const READINESS: &str = "readiness";

/// Before the name of a level of secret memory: the one that this process has
/// answers SERVING, whatever readiness is.
pub const MEMORY: &str = "memory.";

/// The service name of the policies: SERVING while those in force are those of
/// their directory. Readiness does not depend on it.
pub const POLICIES: &str = "policies";

/// Before the public key that signs the audit log, 64 hexadecimal digits: SERVING since
/// it is open.
pub const IDENTITY: &str = "identity.";

/// The names that answer with readiness.
const READY_NAMES: [&str; 4] =
    ["", READINESS, "countersign.v1.SigningEnclave", "countersign.v1.ShareCustody"];
/// How often store and KMS are asked.
const PERIOD: Duration = Duration::from_secs(2);
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What each peer may ask at once.
const ROOM: Room = Room { total: 64, per_caller: 16 };

/// The health service's type, for the routes.
pub type HealthService = Allowed<HealthServer<Service>>;

/// What the health service answers.
pub struct Health {
    reporter: HealthReporter,
    metrics: Metrics,
}

/// Tells whether the policies in force are those of their directory.
#[derive(Clone)]
pub struct PolicyHealth(HealthReporter);

impl PolicyHealth {
    /// Tells it.
    pub async fn set(&self, current: bool) {
        self.0.set_service_status(POLICIES, serving(current)).await;
    }
}

impl Health {
    /// Live, and not ready yet.
    pub async fn new(
        callers: Callers,
        metrics: Metrics,
    ) -> (Self, Allowed<HealthServer<impl tonic_health::pb::health_server::Health>>) {
        let (reporter, service) = health_reporter();
        let health = Self { reporter, metrics };
        health.reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        for level in Level::ALL {
            let name = format!("{MEMORY}{}", level.as_str());
            let status = serving(level == enclave::level().0);
            health.reporter.set_service_status(name, status).await;
        }
        health.of_policies().set(true).await;
        health.set_ready(false).await;
        (health, Allowed::new(Admission::new(ROOM), callers, service))
    }

    /// For whoever watches the policies.
    pub fn of_policies(&self) -> PolicyHealth {
        PolicyHealth(self.reporter.clone())
    }

    /// Watches store and KMS until shutdown; then readiness is off for good.
    pub async fn watch(mut self, signing: Signing, draining: Draining) {
        let mut stop = std::pin::pin!(draining.started());
        let mut ticks = interval(PERIOD);
        let mut ready = None;
        loop {
            let now = tokio::select! {
                () = &mut stop => {
                    self.set_ready(false).await;
                    // Ends the streams of those who watch, once they were told.
                    for name in READY_NAMES.into_iter().chain([LIVENESS, POLICIES]) {
                        self.reporter.clear_service_status(name).await;
                    }
                    return;
                }
                now = async {
                    ticks.tick().await;
                    answers(&signing).await
                } => now,
            };
            self.metrics.set_secret_memory(
                signing.enclave.pool().free(),
                enclave::LEAKS.load(Ordering::Relaxed),
            );
            // Whoever waits for a disk that hangs cannot say so.
            self.metrics.set_audit_writable(signing.audit.is_writable());
            if let Some(name) = signing.identity.name() {
                let name = format!("{IDENTITY}{}", hex::encode(name.key()));
                self.reporter.set_service_status(name, ServingStatus::Serving).await;
            }
            let is_ready = now.is_ok();
            if ready != Some(is_ready) {
                match now {
                    Ok(()) => tracing::info!("Ready"),
                    Err(reason) => tracing::warn!(reason, "Not ready"),
                }
                ready = Some(is_ready);
                self.set_ready(is_ready).await;
            }
        }
    }

    async fn set_ready(&self, ready: bool) {
        self.metrics.set_ready(ready);
        for name in READY_NAMES {
            self.reporter.set_service_status(name, serving(ready)).await;
        }
    }
}

fn serving(is_so: bool) -> ServingStatus {
    if is_so { ServingStatus::Serving } else { ServingStatus::NotServing }
}

/// Whether the audit log can be written and store and KMS answer; if not, the reason
/// code of the first that does not.
async fn answers(signing: &Signing) -> Result<(), &'static str> {
    use crate::refusal::{Reason, Refusal};

    if !signing.audit.is_writable() {
        return Err(Reason::AuditFailed.as_str());
    }
    let store = timeout(PATIENCE, signing.store.status()).await;
    store
        .map_err(|_| Reason::StoreUnavailable.as_str())?
        .map_err(|error| Refusal::from(error).reason().as_str())?;
    let deadline = Instant::now() + PATIENCE;
    let kms = signing.kms.status(deadline).await;
    kms.map_err(|error| Refusal::from(error).reason().as_str())?;
    let identified = signing.identify(deadline).await.map(drop);
    identified.map_err(|error| Refusal::from(error).reason().as_str())
}
