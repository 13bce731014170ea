//! The projection of the audit log onto the store: how often each share was used, and when
//! last.
//!
//! ```text
//! log ─▶ requests to sign, in order, until the first that has no outcome ─▶ counts, cursor
//! ```
//! The store keeps the counts and how far the log is counted in one transaction: whatever
//! dies when, every use is counted once. A use is a signature, by `Sign` or by a frame; one
//! whose outcome a crash left open counts, too.
#![forbid(unsafe_code)]

mod uses;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::{
    audit::Audit,
    sign::Signing,
    store::{ShareStore, StoreError},
    telemetry::Metrics,
};
use uses::Projection;

/// How often the log is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// For what is left when the process ends.
const LAST: Duration = Duration::from_secs(2);

/// The counting of one log while its process runs.
pub struct Counting {
    store: Arc<dyn ShareStore>,
    audit: Audit,
    metrics: Metrics,
    projection: Projection,
    failing: bool,
}

/// Why a log is not counted.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A file is not there, or not as it was written.
    #[error("the log cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The store does not answer, or denies.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl Counting {
    /// Counts the log of this directory. None where the store does not count: nothing of the
    /// log waits for it then.
    pub fn new(signing: &Signing, directory: PathBuf) -> Option<Self> {
        let (store, audit) = (Arc::clone(&signing.store), signing.audit.clone());
        let metrics = signing.metrics.clone();
        if !store.capabilities().counts {
            audit.set_counted(u64::MAX);
            metrics.set_audit_uncounted(0);
            return None;
        }
        let projection = Projection::new(audit.instance(), directory);
        Some(Self { store, audit, metrics, projection, failing: false })
    }

    /// Counts for as long as it is polled.
    pub async fn follow(&mut self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.count().await {
                Ok(()) => self.failing = false,
                Err(error) if !self.failing => {
                    tracing::warn!(%error, "Uses of shares are not counted");
                    self.failing = true;
                }
                Err(_) => {}
            }
        }
    }

    /// Counts what is left, in the time that an end has.
    pub async fn count_last(&mut self) {
        // What was under way when `follow` was dropped may be in the store or not.
        self.projection.begin_anew();
        match timeout(LAST, self.count()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "The last uses are counted after the next start");
            }
            Err(_) => tracing::warn!("The last uses are counted after the next start"),
        }
    }

    async fn count(&mut self) -> Result<(), Failed> {
        let durable = self.audit.durable();
        let counted = self.projection.count(&*self.store, durable).await;
        let to = self.projection.counted_to();
        self.audit.set_counted(to);
        self.metrics.set_audit_uncounted(durable.saturating_sub(to));
        counted
    }
}

/// Counts a log that nobody writes, of so many records. Gives how far it is counted: to its
/// end, or to a request that has no outcome.
///
/// # Errors
/// The log cannot be read, or the store does not count.
pub async fn count_all(
    store: &dyn ShareStore,
    log: Uuid,
    directory: &Path,
    size: u64,
) -> Result<u64, Failed> {
    let mut projection = Projection::new(log, directory.to_owned());
    projection.count(store, size).await?;
    Ok(projection.counted_to())
}
