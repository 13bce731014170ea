//! The central log: the lines of this process's audit log, copied into a table that many
//! processes share. It is a second log, never the first: nobody waits for it, and where its
//! database is away the copying catches up afterwards.
//!
//! ```text
//! log ─▶ lines that are durable, in order ─▶ INSERT after the last one that is there ─▶ table
//! ```
//! What is copied the table itself says, so that every record is there once, whatever dies
//! when. Lines go in after the line before them, byte for byte, and after no other: what
//! somebody else wrote under this log's name stops the copying, and is told.
#![forbid(unsafe_code)]

mod copier;
mod table;

use std::{io, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

pub use copier::Copier;
pub use table::Table;

use crate::{audit::Audit, store::StoreError, telemetry::Metrics};

/// How often the log is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// Pauses after a failure: doubling, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// For what is left when the process ends.
const LAST: Duration = Duration::from_secs(2);

/// The copying of one log while its process runs.
pub struct CentralLog {
    copier: Copier,
    audit: Audit,
    metrics: Metrics,
    /// What was said last of why nothing is copied.
    told: Option<String>,
}

/// Why records are not copied.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A file is not there, or not as it was written.
    #[error("the log cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The database does not answer, denies, or lacks the table.
    #[error("database: {0}")]
    Database(#[from] StoreError),
    /// Somebody else wrote under this log's name, or the log is not the one that was copied.
    #[error(
        "record {seq} in the table is not the log's: somebody else writes under its name, or \
         one of the two was changed; run `countersign audit verify` on both"
    )]
    Conflict {
        /// Which.
        seq: u64,
    },
    /// Somebody else writes at the same time.
    #[error("the table was changed meanwhile")]
    Moved,
}

impl CentralLog {
    /// Copies a log, no file of which is removed before from here on.
    pub fn new(copier: Copier, audit: Audit, metrics: Metrics) -> Self {
        audit.set_copied(0);
        Self { copier, audit, metrics, told: None }
    }

    /// Copies for as long as it is polled.
    pub async fn follow(&mut self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut pause, mut again) = (PAUSES.0, Instant::now());
        loop {
            ticks.tick().await;
            if again <= Instant::now() {
                match self.copy().await {
                    Ok(()) => {
                        pause = PAUSES.0;
                        if self.told.take().is_some() {
                            tracing::info!("Records are copied again");
                        }
                    }
                    Err(error) => {
                        self.tell(&error);
                        again = Instant::now() + pause;
                        pause = (pause * 2).min(PAUSES.1);
                    }
                }
            }
            self.note();
        }
    }

    /// Copies what is left, in the time that an end has.
    pub async fn copy_last(&mut self) {
        match timeout(LAST, self.copy()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.tell(&error),
            Err(_) => {
                tracing::warn!("The last records are copied after the next start");
            }
        }
    }

    async fn copy(&mut self) -> Result<(), Failed> {
        while self.copier.step(self.audit.durable()).await? {
            self.note();
        }
        Ok(())
    }

    /// Once for each reason, however often it is tried.
    fn tell(&mut self, error: &Failed) {
        let error = error.to_string();
        if self.told.as_ref() != Some(&error) {
            tracing::warn!(%error, "Records are not copied");
            self.told = Some(error);
        }
    }

    fn note(&self) {
        let next = self.copier.next();
        self.audit.set_copied(next);
        self.metrics.set_audit_uncopied(self.audit.durable().saturating_sub(next));
    }
}
