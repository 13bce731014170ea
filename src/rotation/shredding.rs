//! Shredding: what is gone from the store is made unreadable in every copy of it, by
//! destroying the versions of the KEK that wrapped it.
//!
//! ```text
//! gone from the store? ─▶ log ─▶ rotate ─▶ rewrap ─▶ wait ─▶ rewrap ─▶ backup ─▶ floor ─▶ trim
//! └──────────── until here nothing is lost: run it again ─────────────────────┘
//! ```
//! - The fresh backup is made after the rewrapping: one from before would be among those
//!   that open no more.
//! - The wait is for requests that began before the rotation and store what the version
//!   before wrapped.
//! - Killed anywhere, it is run again from its beginning, with one version more.

use std::{path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Census, Failed, FloorRefused, PATIENCE, Report, Rewrapping, RotationError, may_rise};
use crate::{
    audit::{
        Entry,
        record::{Decision, Ended, Outcome, Request},
    },
    envelope::Envelope,
    identity::Wrapping,
    key::{ShareId, Why},
    kms::KmsError,
    record::ShareRecord,
    rotation::batch::CALLER,
    store::{ShareStore, StoreError},
    transfer::{Differing, Fate, Source, Transfer, TransferError},
};

/// What for, in the rotator's log.
const ACTION: &str = "ShredShare";

/// What a shredding works with.
pub struct Shredding<'a> {
    /// How the live records are moved.
    pub rewrapping: Rewrapping,
    /// The directories of the audit logs of instances, whose keys this KEK wraps.
    pub instances: Vec<PathBuf>,
    /// The shares that are gone from the store.
    pub shares: Vec<ShareId>,
    /// Why.
    pub why: Option<Why>,
    /// An empty place for the fresh backup.
    pub backup: &'a dyn ShareStore,
    /// How long a request may take that began before the rotation.
    pub settle: Duration,
}

/// What was done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This version wraps from now on.
    Rotated(u32),
    /// So many records and keys of instances are at it.
    Rewrapped {
        /// Records.
        records: u64,
        /// Keys of instances.
        instances: usize,
    },
    /// What was under way at the rotation has ended.
    Waited(Duration),
    /// So many records are in the fresh backup.
    BackedUp(u64),
    /// Nothing below this version unwraps.
    Raised(u32),
    /// Nothing is left of what is below this version.
    Trimmed(u32),
}

/// Why it ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ShredError {
    /// The share would be rewrapped, and live on.
    #[error(
        "share {0} is in the store: its record would be rewrapped and stay readable. Destroy it first \
         (docs/custody.md)"
    )]
    There(ShareId),
    /// A record cannot be moved, and would be lost with the version that wraps it.
    #[error(
        "{count} records stay behind, and would be lost: share {share}: {problem}. Repair them, restore \
         them, or destroy them"
    )]
    Behind {
        /// How many.
        count: usize,
        /// The first of them.
        share: ShareId,
        /// Why.
        problem: String,
    },
    /// It was told to stop.
    #[error("stopped: nothing is lost, and older backups can be read still")]
    Stopped,
    /// The rewrapping failed.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The KMS fails.
    #[error("kms: {0}")]
    Kms(#[from] KmsError),
    /// The KMS says that it did, and has not.
    #[error("kms: {0}")]
    NotDone(&'static str),
    /// The store fails.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The fresh backup cannot be made.
    #[error("the fresh backup: {0}")]
    Backup(#[from] TransferError),
    /// A record is not in the fresh backup as it should be.
    #[error("the fresh backup: share {share}: {problem}")]
    NotBackedUp {
        /// Which.
        share: ShareId,
        /// Why.
        problem: String,
    },
    /// The floor would lock out what is needed.
    #[error("refused: {0}")]
    Floor(#[from] FloorRefused),
}

impl Shredding<'_> {
    /// Does it, and tells how many records were looked at, and of each step that is done.
    ///
    /// # Errors
    /// [`ShredError`]. Unless [`Step::Raised`] was told, nothing is lost.
    pub async fn run(
        &self,
        mut looked_at: impl FnMut(u64),
        mut done: impl FnMut(Step),
    ) -> Result<(), ShredError> {
        self.require_gone().await?;
        let run = Uuid::new_v4();
        let mut entries = Vec::new();
        for share in &self.shares {
            let begun = self.rewrapping.audit.begin(self.request(run, *share), now());
            entries.push(begun);
        }
        for entry in &mut entries {
            entry.durable().await.map_err(RotationError::from)?;
        }
        let shredded = self.shred(&mut looked_at, &mut done).await;
        for entry in &mut entries {
            self.end(entry, &shredded).await?;
        }
        shredded.map(drop)
    }

    /// The version below which nothing is left.
    async fn shred(
        &self,
        looked_at: &mut impl FnMut(u64),
        done: &mut impl FnMut(Step),
    ) -> Result<u32, ShredError> {
        let newest = self.rotate().await?;
        done(Step::Rotated(newest));
        done(self.rewrap(looked_at).await?);
        sleep(self.settle).await;
        done(Step::Waited(self.settle));
        done(self.rewrap(looked_at).await?);
        done(Step::BackedUp(self.back_up(newest).await?));
        self.require_gone().await?;
        self.require_floor(newest).await?;
        if self.rewrapping.draining.has_started() {
            return Err(ShredError::Stopped);
        }
        let kms = &self.rewrapping.kms;
        kms.raise_floor(newest, soon()).await?;
        if kms.versions(soon()).await?.floor != newest {
            return Err(ShredError::NotDone("the floor was not raised"));
        }
        done(Step::Raised(newest));
        kms.trim(newest, soon()).await?;
        if kms.versions(soon()).await?.kept != newest {
            return Err(ShredError::NotDone("the versions below the floor are still there"));
        }
        done(Step::Trimmed(newest));
        Ok(newest)
    }

    async fn require_gone(&self) -> Result<(), ShredError> {
        for share in &self.shares {
            if self.rewrapping.records.describe(*share).await?.is_some() {
                return Err(ShredError::There(*share));
            }
        }
        Ok(())
    }

    /// The version that wraps from now on.
    async fn rotate(&self) -> Result<u32, ShredError> {
        let kms = &self.rewrapping.kms;
        let newest = async || {
            let versions = kms.versions(soon()).await?;
            let newest = versions.newest().ok_or(RotationError::NoVersion)?;
            Ok::<_, ShredError>(newest.number)
        };
        let before = newest().await?;
        kms.rotate(soon()).await?;
        match newest().await? {
            since if since > before => Ok(since),
            _ => Err(ShredError::NotDone("no version was added")),
        }
    }

    /// Moves whatever is behind; nothing may stay there.
    async fn rewrap(&self, looked_at: &mut impl FnMut(u64)) -> Result<Step, ShredError> {
        let report = self.rewrapping.run(looked_at).await;
        let Report { rewrapped, current, failed, stopped, .. } =
            report.map_err(|Failed { error, .. }| error)?;
        if stopped {
            return Err(ShredError::Stopped);
        }
        if let Some((share, problem)) = failed.first() {
            let (count, share, problem) = (failed.len(), *share, problem.clone());
            return Err(ShredError::Behind { count, share, problem });
        }
        for (_, wrapping) in self.wrappings()? {
            self.rewrapping.instance(&wrapping).await?;
        }
        let instances = self.instances.len();
        Ok(Step::Rewrapped { records: rewrapped + current, instances })
    }

    /// The keys of the instances, as their files are now.
    fn wrappings(&self) -> Result<Vec<(PathBuf, Wrapping)>, RotationError> {
        let mut found = Vec::new();
        for directory in &self.instances {
            found.extend(Wrapping::beside(directory)?.map(|key| (directory.clone(), key)));
        }
        Ok(found)
    }

    /// Copies every record, and looks at what wraps it.
    async fn back_up(&self, newest: u32) -> Result<u64, ShredError> {
        let environment = self.rewrapping.records.environment();
        let transfer = Transfer {
            source: Source::Store(self.rewrapping.records.store()),
            target: self.backup,
            environment,
            differing: Differing::Refuse,
            dry_run: false,
        };
        let (mut count, mut amiss) = (0, None);
        let copied = transfer.run(|share, fate, record| {
            let problem = match (&fate, record) {
                (Fate::Gone, _) => None,
                (Fate::Copied, Some(record)) => {
                    count += 1;
                    self.is_behind(record, newest).then(|| "an older version wraps it".to_owned())
                }
                (fate, _) => Some(format!("{fate:?}")),
            };
            amiss = amiss.take().or(problem.map(|problem| (share, problem)));
        });
        copied.await?;
        match amiss {
            Some((share, problem)) => Err(ShredError::NotBackedUp { share, problem }),
            None => Ok(count),
        }
    }

    /// Whether a version of this KEK wraps it that is about to go.
    fn is_behind(&self, record: &ShareRecord, newest: u32) -> bool {
        let envelope = Envelope::decode(&record.envelope).ok();
        let version = envelope.and_then(|envelope| envelope.wrapped_dek().kek_version());
        record.description.kek == *self.rewrapping.kms.kek()
            && version.is_none_or(|version| version < newest)
    }

    async fn require_floor(&self, newest: u32) -> Result<(), ShredError> {
        let versions = self.rewrapping.kms.versions(soon()).await?;
        let census = Census::take(&self.rewrapping.records, |_| ()).await?;
        Ok(may_rise(newest, &versions, &census, &self.wrappings()?)?)
    }

    async fn end(
        &self,
        entry: &mut Entry,
        shredded: &Result<u32, ShredError>,
    ) -> Result<(), RotationError> {
        if let Ok(newest) = shredded {
            entry.rewrapped(None, Some(*newest));
        }
        let outcome = if shredded.is_ok() { Outcome::Done } else { Outcome::Failed };
        entry.end(Ended::with(outcome));
        Ok(entry.durable().await?)
    }

    fn request(&self, run: Uuid, share: ShareId) -> Request {
        Request {
            request_id: run.to_string(),
            caller: CALLER.to_owned(),
            action: ACTION.to_owned(),
            decision: Decision::Permitted,
            why: self.why.as_ref().map(|why| why.as_str().to_owned()),
            share: Some(share.to_string()),
            ..Request::default()
        }
    }
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn now() -> std::time::Instant {
    std::time::Instant::now()
}
