//! Moving sealed records between stores: copies, backups, restores.
//!
//! ```text
//! source ─▶ record ─▶ check: envelope = metadata, environment ─▶ target: there already? ─▶ put
//!                                                                ▲ read back, compare ◀──┘
//! ```
//! It moves envelopes and opens none: it is run by processes of their own, which speak to
//! stores and to no KMS. So it needs no permit, and is the only part that needs none.
//! Doing it again is harmless, and goes on where an earlier run ended.
#![forbid(unsafe_code)]

mod check;

use crate::{
    key::{Environment, ShareId},
    policy::Opening,
    record::ShareRecord,
    store::{ShareStore, StoreError, StoreErrorKind, directory::Directory},
};

pub use check::{Unfit, check, differences};

/// Records that are looked for at a time.
const PAGE: usize = 200;

/// Where records come from.
pub enum Source<'a> {
    /// Every record of the environment in a store.
    Store(&'a dyn ShareStore),
    /// Every file of a directory, whatever it holds.
    Directory(&'a Directory),
}

/// What becomes of a record that is in the target already, and differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differing {
    /// It stays as it is, and the transfer fails in the end.
    Refuse,
    /// It stays as it is.
    Keep,
    /// It is replaced, where it is the same share.
    Replace,
}

/// One transfer.
pub struct Transfer<'a> {
    /// Where the records come from.
    pub source: Source<'a>,
    /// Where they go.
    pub target: &'a dyn ShareStore,
    /// The environment of every one of them.
    pub environment: &'a Environment,
    /// What becomes of a record that differs.
    pub differing: Differing,
    /// Whether nothing is to be written.
    pub dry_run: bool,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was not in the target, and is now; or would be.
    Copied,
    /// It was there, the same in everything.
    There,
    /// It was there and differed in these; it is now as in the source, or would be.
    Replaced(Vec<&'static str>),
    /// It was there and differs in these, and stays.
    Kept(Vec<&'static str>),
    /// It is there and differs in these.
    Differs(Vec<&'static str>),
    /// It is not what it says that it is, and goes nowhere.
    Unfit(Unfit),
    /// It went away meanwhile.
    Gone,
}

/// Why a transfer ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The source failed.
    #[error("source: {0}")]
    Source(StoreError),
    /// The target failed.
    #[error("target: {0}")]
    Target(StoreError),
    /// What was written reads otherwise.
    #[error("{0}: the target gives back something else than was written: {1}")]
    ReadBack(ShareId, String),
}

impl Transfer<'_> {
    /// Checks every record, and writes none. Tells of each that is unfit.
    ///
    /// # Errors
    /// `Source`.
    pub async fn check(&self, mut tell: impl FnMut(ShareId, Unfit)) -> Result<(), TransferError> {
        let mut after = None;
        loop {
            let page = self.source.page(self.environment, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            for share in page {
                if let Err(unfit) = self.source.record(share, self.environment).await? {
                    tell(share, unfit);
                }
            }
        }
    }

    /// Moves every record, in the order of their ids, and tells what became of each.
    ///
    /// # Errors
    /// A store failed, or does not keep what it is given. What was told is done.
    pub async fn run(
        &self,
        mut tell: impl FnMut(ShareId, Fate, Option<&ShareRecord>),
    ) -> Result<(), TransferError> {
        self.target.capabilities().require_writes().map_err(to)?;
        let mut after = None;
        loop {
            let page = self.source.page(self.environment, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            for share in page {
                match self.source.record(share, self.environment).await? {
                    Err(unfit) => tell(share, Fate::Unfit(unfit), None),
                    Ok(None) => tell(share, Fate::Gone, None),
                    Ok(Some(record)) => tell(share, self.put(&record).await?, Some(&record)),
                }
            }
        }
    }

    async fn put(&self, record: &ShareRecord) -> Result<Fate, TransferError> {
        let share = record.description.identity.share;
        match fetch(self.target, share).await.map_err(to)? {
            Some(existing) => self.put_over(record, existing).await,
            None if self.dry_run => Ok(Fate::Copied),
            None => match self.target.put(record, None).await {
                Ok(_) => self.settle(record).await.map(|()| Fate::Copied),
                // Somebody wrote it meanwhile.
                Err(error) if error.kind == StoreErrorKind::Exists => {
                    let existing = fetch(self.target, share).await.map_err(to)?;
                    self.put_over(record, existing.ok_or_else(|| to(error))?).await
                }
                Err(error) => Err(to(error)),
            },
        }
    }

    async fn put_over(
        &self,
        record: &ShareRecord,
        existing: ShareRecord,
    ) -> Result<Fate, TransferError> {
        let differs = differences(record, &existing);
        if differs.is_empty() {
            return Ok(Fate::There);
        }
        let (ours, theirs) = (&record.description.identity, &existing.description.identity);
        // What a store finds a row by is never replaced: another share has this id.
        let same_share = ours.environment == theirs.environment
            && ours.wallet == theirs.wallet
            && ours.address == theirs.address
            && ours.algorithm == theirs.algorithm
            && ours.binding == theirs.binding;
        match self.differing {
            Differing::Keep => Ok(Fate::Kept(differs)),
            Differing::Replace if same_share => {
                let mut record = record.clone();
                record.description.created_at = existing.description.created_at;
                if !self.dry_run {
                    let expected = Some(existing.description.revision);
                    self.target.put(&record, expected).await.map_err(to)?;
                    self.settle(&record).await?;
                }
                Ok(Fate::Replaced(differs))
            }
            Differing::Replace | Differing::Refuse => Ok(Fate::Differs(differs)),
        }
    }

    /// Sets what a store keeps beside the record, and believes nothing that it has not read
    /// again.
    async fn settle(&self, record: &ShareRecord) -> Result<(), TransferError> {
        let share = record.description.identity.share;
        let found = self.target.describe(share).await.map_err(to)?;
        if let Some(found) = found
            && found.destroy_after != record.description.destroy_after
        {
            let after = record.description.destroy_after;
            self.target.schedule(share, after, found.revision).await.map_err(to)?;
        }
        self.read_back(record).await
    }

    async fn read_back(&self, record: &ShareRecord) -> Result<(), TransferError> {
        let share = record.description.identity.share;
        let Some(found) = fetch(self.target, share).await.map_err(to)? else {
            return Err(TransferError::ReadBack(share, "nothing".to_owned()));
        };
        let mut differs = differences(record, &found);
        if record.description.created_at != found.description.created_at {
            differs.push("created_at");
        }
        match differs.is_empty() {
            true => Ok(()),
            false => Err(TransferError::ReadBack(share, differs.join(", "))),
        }
    }
}

impl Source<'_> {
    fn store(&self) -> &dyn ShareStore {
        match self {
            Self::Store(store) => *store,
            Self::Directory(directory) => *directory,
        }
    }

    /// A record that is what it says that it is; none when it went away.
    async fn record(
        &self,
        share: ShareId,
        environment: &Environment,
    ) -> Result<Result<Option<ShareRecord>, Unfit>, TransferError> {
        match fetch(self.store(), share).await {
            Ok(Some(record)) => Ok(check(&record, environment).map(|()| Some(record))),
            Ok(None) => Ok(Ok(None)),
            // One that cannot be read is no reason to keep the others from being looked at.
            Err(error) if error.kind == StoreErrorKind::Corrupt => {
                Ok(Err(Unfit::Unreadable(error.detail)))
            }
            Err(error) => Err(from(error)),
        }
    }

    async fn page(
        &self,
        environment: &Environment,
        after: Option<ShareId>,
    ) -> Result<Vec<ShareId>, TransferError> {
        match self {
            Self::Store(store) => {
                let page = store.list(environment, None, after, PAGE).await.map_err(from)?;
                Ok(page.into_iter().map(|found| found.identity.share).collect())
            }
            Self::Directory(directory) => {
                let shares = directory.shares().await.map_err(from)?.into_iter();
                Ok(shares.filter(|share| Some(*share) > after).take(PAGE).collect())
            }
        }
    }
}

async fn fetch(store: &dyn ShareStore, share: ShareId) -> Result<Option<ShareRecord>, StoreError> {
    match store.describe(share).await? {
        Some(described) => store.fetch(Opening::to_move(&described)).await,
        None => Ok(None),
    }
}

fn from(error: StoreError) -> TransferError {
    TransferError::Source(error)
}

fn to(error: StoreError) -> TransferError {
    TransferError::Target(error)
}
