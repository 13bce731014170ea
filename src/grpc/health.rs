//! `grpc.health.v1`: `liveness` is the event loop, `readiness` is whether store
//! and KMS answer. The empty service name and the contract's services are
//! readiness, too.

use std::time::Duration;

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
use crate::{shutdown::Draining, sign::Signing, telemetry::Metrics};

/// The service name of liveness.
pub const LIVENESS: &str = "liveness";
/// The service name of readiness.
pub const READINESS: &str = "readiness";

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

impl Health {
    /// Live, and not ready yet.
    pub async fn new(
        metrics: Metrics,
    ) -> (Self, Allowed<HealthServer<impl tonic_health::pb::health_server::Health>>) {
        let (reporter, service) = health_reporter();
        let health = Self { reporter, metrics };
        health.reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        health.set_ready(false).await;
        (health, Allowed::new(Admission::new(ROOM), service))
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
                    for name in READY_NAMES.into_iter().chain([LIVENESS]) {
                        self.reporter.clear_service_status(name).await;
                    }
                    return;
                }
                now = async {
                    ticks.tick().await;
                    answers(&signing).await
                } => now,
            };
            self.metrics.set_slots_free(signing.enclave.pool().free());
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
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in READY_NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

/// Whether store and KMS answer; if not, the reason code of the first that does
/// not.
async fn answers(signing: &Signing) -> Result<(), &'static str> {
    use crate::refusal::{Reason, Refusal};

    let store = timeout(PATIENCE, signing.store.status()).await;
    store
        .map_err(|_| Reason::StoreUnavailable.as_str())?
        .map_err(|error| Refusal::from(error).reason().as_str())?;
    let kms = signing.kms.status(Instant::now() + PATIENCE).await;
    kms.map_err(|error| Refusal::from(error).reason().as_str())
}
