//! Rotation: moving the wrapped DEKs of a store to the newest version of their KEK.
//!
//! ```text
//! records ─ pages ─▶ behind the newest? ─▶ ≤ 100 ─▶ log ─▶ KMS: rewrap ─▶ compare-and-swap ─▶ read back
//!                       │ no                        begins                  │ conflict: read again
//!                       ▼                                                   ▼
//!                    nothing to do                                      log: outcome
//! ```
//! - It is a process of its own (`countersign share rewrap`), with the rotator's login to
//!   the KMS, its own login to the store and its own audit log. It sees no plaintext: it
//!   has a [`Rewrapper`] and [`crate::policy::RewrapPermit`]s, which unwrap and open nothing.
//! - What is done is in the records themselves: a DEK that the newest version wraps is
//!   passed over. So a run that was killed is resumed by another run.
//! - A record changes by compare-and-swap on its revision, and in its wrapped DEK alone:
//!   whoever signs meanwhile has the old wrapping or the new one, and both unwrap.
//! - Where a store keeps what was written over, that is destroyed once the record is read
//!   back: of every record that the newest version wraps, also of one that was passed over.
//! - What a record is after that is read back and compared with what it was. Whether a
//!   signer can open it is shown by a signer, the canary.
#![forbid(unsafe_code)]

mod age;
mod batch;
mod canary;
mod census;
mod floor;
mod pace;
mod records;
mod shredding;

use std::{mem, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    audit::{Audit, NotRecorded},
    identity::{Wrapping, WrappingError},
    key::ShareId,
    kms::{BATCH_MAX, BoundDek, KmsError, KmsErrorKind, Rewrapper},
    permitted::RewrappableEnvelope,
    record::ShareDescription,
    shutdown::Draining,
    store::StoreError,
};
use pace::Pace;
use records::Looked;

pub use age::{KekAge, follow};
pub use canary::Canary;
pub use census::{Behind, Census};
pub use floor::{FloorRefused, may_rise};
pub use records::Records;
pub use shredding::{ShredError, Shredding, Step};

/// How long a KMS or a store may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a KMS that is away is asked again, and how long after the first time; each
/// pause is twice the one before.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);
/// How many rows are read or written at a time: no more than a pool has connections.
const AT_ONCE: usize = 4;

/// What a rewrapping works with.
pub struct Rewrapping {
    /// The records.
    pub records: Records,
    /// The KMS, as the rotator.
    pub kms: Rewrapper,
    /// The rotator's own log.
    pub audit: Audit,
    /// The most records of a batch, up to [`BATCH_MAX`].
    pub batch: usize,
    /// The most records a second.
    pub rate: u32,
    /// Who shows that a signer opens what was rewrapped.
    pub canary: Option<Canary>,
    /// When to stop: after the batch that is under way.
    pub draining: Draining,
}

/// What a rewrapping came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The version that the records are at now.
    pub newest: u32,
    /// How many records were looked at.
    pub looked_at: u64,
    /// How many were rewrapped.
    pub rewrapped: u64,
    /// How many were at the newest version already.
    pub current: u64,
    /// How many another KEK wraps.
    pub other_kek: u64,
    /// How many were gone before they were reached.
    pub gone: u64,
    /// Which stay as they were, or as which older versions of them stay, and why: a stable
    /// reason and a text.
    pub failed: Vec<(ShareId, String)>,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// Why a rewrapping ends before its time. What was rewrapped stays so; another run goes on.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The store fails.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The KMS fails.
    #[error("kms: {0}")]
    Kms(#[from] KmsError),
    /// The KMS has no version of the KEK.
    #[error("kms: the KEK has no version")]
    NoVersion,
    /// The rotator's log cannot be written.
    #[error("audit: {0}")]
    Audit(#[from] NotRecorded),
    /// The key of an instance cannot be moved.
    #[error(transparent)]
    Instance(#[from] WrappingError),
    /// A record is not what it was but for its wrapped DEK.
    #[error(
        "share {0}: what was read back is not what was written. Stopped: find out who else writes to \
         the store, and restore this record from a backup"
    )]
    ReadBack(ShareId),
    /// No signer opens what was rewrapped.
    #[error(
        "the canary failed: {0}. Stopped; what was rewrapped stays so, and the KEK's older versions \
         still unwrap what was not"
    )]
    Canary(String),
}

impl Rewrapping {
    /// Rewraps what is behind the newest version, and tells `progress` how many records
    /// were looked at.
    ///
    /// # Errors
    /// [`RotationError`], with what was done before it.
    pub async fn run(&self, mut progress: impl FnMut(u64)) -> Result<Report, Failed> {
        let mut report = Report::default();
        match self.rewrap_all(&mut report, &mut progress).await {
            Ok(()) => Ok(report),
            Err(error) => Err(Failed { report, error }),
        }
    }

    async fn rewrap_all(
        &self,
        report: &mut Report,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), RotationError> {
        let versions = self.patiently(|deadline| self.kms.versions(deadline)).await?;
        let newest = versions.newest().ok_or(RotationError::NoVersion)?.number;
        report.newest = newest;
        let mut run = Run { id: Uuid::new_v4(), newest, pace: Pace::new(self.rate), report };
        if let Some(canary) = &self.canary {
            self.first(canary, &mut run).await?;
        }
        let mut after = None;
        loop {
            let page = self.records.page(after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.identity.share);
            let newest = run.newest;
            let mut reading =
                stream::iter(page).map(|share| self.look(share, newest)).buffered(AT_ONCE);
            let mut behind = Vec::new();
            while let Some(looked) = reading.next().await {
                let looked = looked?;
                if let Looked::Unreadable { share, .. } = looked {
                    let (request, ended) = batch::unreadable(run.id, share);
                    let recorded = self.audit.record(request, ended, std::time::Instant::now());
                    recorded.durable().await?;
                }
                run.report.looked_at += 1;
                behind.extend(run.sort(looked));
                if behind.len() >= self.batch.clamp(1, BATCH_MAX) {
                    self.rewrap(&mut run, mem::take(&mut behind)).await?;
                    progress(run.report.looked_at);
                    if self.draining.has_started() {
                        run.report.stopped = true;
                        return Ok(());
                    }
                }
            }
            self.rewrap(&mut run, behind).await?;
            progress(run.report.looked_at);
            if self.draining.has_started() {
                run.report.stopped = true;
                return Ok(());
            }
        }
        match &self.canary {
            Some(canary) => canary.sing().await.map_err(RotationError::Canary),
            None => Ok(()),
        }
    }

    /// Looks at one record. What a run that was killed left of its older versions goes now.
    async fn look(&self, share: ShareDescription, newest: u32) -> Result<Looked, StoreError> {
        let looked = self.records.read(share).await?;
        if let Looked::Wrapped { envelope, version } = &looked
            && *version >= newest
            && let Err(error) = self.records.destroy_former(envelope.share()).await
        {
            let share = envelope.share().identity.share;
            return Ok(Looked::FormerStay { share, problem: batch::former_stay(&error) });
        }
        Ok(looked)
    }

    /// Rewraps the canary's share before any other, and has a signer open it.
    async fn first(&self, canary: &Canary, run: &mut Run<'_>) -> Result<(), RotationError> {
        let share = self.records.describe(canary.share).await?;
        let share = share.ok_or_else(|| {
            RotationError::Canary(format!("there is no share {} in the store", canary.share))
        })?;
        let looked = self.records.read(share).await?;
        if let Looked::Wrapped { envelope, version } = looked
            && version < run.newest
        {
            self.rewrap(run, vec![*envelope]).await?;
        }
        match self.records.read_anew(canary.share).await? {
            Looked::Wrapped { version, .. } if version >= run.newest => {}
            _ => {
                let detail = format!("share {} itself is not rewrapped", canary.share);
                return Err(RotationError::Canary(detail));
            }
        }
        canary.sing().await.map_err(RotationError::Canary)
    }

    /// Moves the key of the instance whose audit log is in a directory. True where it was
    /// behind the newest version; none where there is no key that is kept.
    ///
    /// # Errors
    /// `Kms` and `Instance`; the file is as it was.
    pub async fn instance(&self, wrapping: &Wrapping) -> Result<bool, RotationError> {
        let versions = self.patiently(|deadline| self.kms.versions(deadline)).await?;
        let newest = versions.newest().ok_or(RotationError::NoVersion)?.number;
        if wrapping.kek_version().is_some_and(|version| version >= newest) {
            return Ok(false);
        }
        let asked =
            self.patiently(|deadline| self.kms.rewrap(vec![wrapping.dek()], deadline)).await?;
        let no_answer = || KmsError::new(KmsErrorKind::Protocol, "rewrap: no answer");
        let wrapped = asked.into_iter().next().ok_or_else(no_answer)??;
        if wrapped.kek_version().is_none_or(|version| version < newest) {
            return Err(batch::other_version(newest).into());
        }
        wrapping.replace(wrapped)?;
        Ok(true)
    }

    /// Asks a KMS until it answers, as long as asking again can help.
    async fn patiently<T, F>(&self, ask: impl Fn(Instant) -> F) -> Result<T, KmsError>
    where
        F: Future<Output = Result<T, KmsError>>,
    {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match ask(Instant::now() + PATIENCE).await {
                Err(error) if may_pass(error.kind) => {
                    tracing::warn!(%error, "The KMS is asked again");
                    sleep(error.retry_after.unwrap_or_default().max(pause)).await;
                    pause *= 2;
                }
                answered => return answered,
            }
        }
        ask(Instant::now() + PATIENCE).await
    }

    /// The deks of some envelopes.
    fn deks(envelopes: &[RewrappableEnvelope]) -> Vec<BoundDek> {
        envelopes.iter().map(RewrappableEnvelope::dek).collect()
    }
}

/// Why a rewrapping ended, and what it had done.
#[derive(Debug)]
pub struct Failed {
    /// What it had done.
    pub report: Report,
    /// Why it ended.
    pub error: RotationError,
}

/// A rewrapping that is under way.
struct Run<'r> {
    id: Uuid,
    newest: u32,
    pace: Pace,
    report: &'r mut Report,
}

impl Run<'_> {
    /// Counts a record that was looked at; gives it back where it is behind.
    fn sort(&mut self, looked: Looked) -> Option<RewrappableEnvelope> {
        match looked {
            Looked::Wrapped { envelope, version } if version < self.newest => Some(*envelope),
            // Newer than what was the newest when this began.
            Looked::Wrapped { .. } => {
                self.report.current += 1;
                None
            }
            Looked::OtherKek => {
                self.report.other_kek += 1;
                None
            }
            Looked::Gone => {
                self.report.gone += 1;
                None
            }
            Looked::Changing { share } => {
                self.report.failed.push((share, batch::changing()));
                None
            }
            Looked::Unreadable { share, problem } | Looked::FormerStay { share, problem } => {
                self.report.failed.push((share, problem));
                None
            }
        }
    }
}

/// Whether a KMS may say something else soon.
fn may_pass(kind: KmsErrorKind) -> bool {
    use KmsErrorKind::{RateLimited, Sealed, Timeout, Unavailable, Unreachable};
    matches!(kind, RateLimited | Sealed | Timeout | Unavailable | Unreachable)
}
