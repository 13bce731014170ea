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
    caller::Callers,
    enclave,
    memory::Level,
    refusal::{Reason, Refusal},
    shutdown::Draining,
    sign::Signing,
    telemetry::Metrics,
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

/// What does not answer as it should.
struct Unanswered {
    /// Its reason code.
    reason: &'static str,
    /// Whether readiness waits for some time whether it comes back.
    may_pass: bool,
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
    /// A store or KMS that was there may be away for `unready_after`.
    pub async fn watch(mut self, signing: Signing, unready_after: Duration, draining: Draining) {
        let mut stop = std::pin::pin!(draining.started());
        let mut ticks = interval(PERIOD);
        let mut ready = None;
        let mut answered = None;
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
                    self.answers(&signing).await
                } => now,
            };
            let now = match now {
                Ok(()) => {
                    answered = Some(Instant::now());
                    Ok(())
                }
                Err(Unanswered { reason, may_pass: true })
                    if answered
                        .is_some_and(|answered: Instant| answered.elapsed() < unready_after) =>
                {
                    tracing::debug!(reason, "Ready still");
                    Ok(())
                }
                Err(Unanswered { reason, .. }) => Err(reason),
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

    /// Whether the audit log can be written and store and KMS answer; if not, what is said
    /// of the first that does not.
    async fn answers(&self, signing: &Signing) -> Result<(), Unanswered> {
        let deadline = Instant::now() + PATIENCE;
        let (store, kms, logins) = tokio::join!(
            timeout(PATIENCE, signing.store.status()),
            signing.kms.status(deadline),
            signing.kms.logins(deadline),
        );
        for login in logins.iter().flatten() {
            self.metrics.set_kms_login(login);
        }
        self.metrics.set_backends(matches!(store, Ok(Ok(()))), kms.is_ok());
        if !signing.audit.is_writable() {
            let reason = Reason::AuditFailed.as_str();
            return Err(Unanswered { reason, may_pass: false });
        }
        let passing = |reason: Reason| Unanswered { reason: reason.as_str(), may_pass: true };
        store
            .map_err(|_| passing(Reason::StoreUnavailable))?
            .map_err(|error| passing(Refusal::from(error).reason()))?;
        kms.map_err(|error| passing(Refusal::from(error).reason()))?;
        let identified = signing.identify(Instant::now() + PATIENCE).await.map(drop);
        identified.map_err(|error| passing(Refusal::from(error).reason()))
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
