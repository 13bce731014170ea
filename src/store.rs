//! Share stores: they keep records and see ciphertext only.
//!
//! A backend implements [`ShareStore`]; the conformance suite in
//! `tests/store.rs` runs on every one of them.
#![forbid(unsafe_code)]

pub(crate) mod database;
pub mod directory;
mod document;
pub mod postgres;
mod row;
pub mod schema;
pub mod sqlite;
pub mod statement;
pub mod vault_kv;

use std::{fmt, time::SystemTime};

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    key::{Environment, Revision, ShareId, ShareState, WalletId},
    policy::Opening,
    record::{ShareDescription, ShareRecord},
};

/// Where records are kept.
///
/// Contract: writes are atomic and durable when they return, and compare-and-swap
/// on the row's revision, so that two writers never lose each other's change.
#[async_trait]
pub trait ShareStore: Send + Sync {
    /// What the store can do besides describing, fetching and listing. A call that needs
    /// more is refused with [`StoreErrorKind::Lacking`], and changes nothing.
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    /// A share's public metadata; none when there is no such share.
    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError>;

    /// The public metadata of those of some shares that are there, in any order.
    async fn describe_all(&self, shares: &[ShareId]) -> Result<Vec<ShareDescription>, StoreError> {
        let mut described = Vec::with_capacity(shares.len());
        for share in shares {
            described.extend(self.describe(*share).await?);
        }
        Ok(described)
    }

    /// The record of a share that policy permits to open; none when it is gone.
    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError>;

    /// Inserts a record (`expected` none: [`StoreErrorKind::Exists`] when the
    /// share is there), or replaces the one whose revision is `expected`
    /// ([`StoreErrorKind::Conflict`] when it is another or gone). Returns the
    /// row's revision after the write.
    async fn put(
        &self,
        record: &ShareRecord,
        expected: Option<Revision>,
    ) -> Result<Revision, StoreError>;

    /// At most `limit` descriptions of an environment's shares
    /// after `after`, ordered by share id, of one wallet or of all.
    async fn list(
        &self,
        environment: &Environment,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError>;

    /// Sets the state of the row whose revision is `expected`, else
    /// [`StoreErrorKind::Conflict`]. Returns the revision after the write.
    async fn set_state(
        &self,
        share: ShareId,
        state: ShareState,
        expected: Revision,
    ) -> Result<Revision, StoreError>;

    /// Sets when the row whose revision is `expected` may be removed, or none;
    /// [`StoreErrorKind::Conflict`] when it is another or gone. Returns the revision after
    /// the write. [`ShareStore::set_state`] sets none.
    async fn schedule(
        &self,
        share: ShareId,
        after: Option<SystemTime>,
        expected: Revision,
    ) -> Result<Revision, StoreError>;

    /// Removes the row whose revision is `expected`, else [`StoreErrorKind::Conflict`], with
    /// every version of its envelope that the store keeps. After another error it may be
    /// there without its envelope; it can be removed again.
    async fn remove(&self, share: ShareId, expected: Revision) -> Result<(), StoreError>;

    /// Destroys what the store itself keeps of a row from before `current`: a version of it
    /// that was written over holds an envelope as good as the new one, under the wrapping
    /// or the DEK that was to be left behind. What is there now stays. Can be done again;
    /// nothing where a store keeps no older versions.
    async fn destroy_former(&self, _share: ShareId, _current: Revision) -> Result<(), StoreError> {
        Ok(())
    }

    /// How far an audit log is counted: the number of its first record that is not.
    ///
    /// This and the two below are [`StoreErrorKind::Lacking`] where a store says that it counts
    /// nothing, which then has none of them.
    async fn counted(&self, _log: Uuid) -> Result<u64, StoreError> {
        Err(StoreError::uncounted())
    }

    /// Counts what the records of a log from `from` to before `to` say of shares, and how
    /// far it is counted, in one transaction. False, with nothing done, where it was not
    /// counted up to `from`. Shares that are gone are not counted.
    async fn count(
        &self,
        _log: Uuid,
        _from: u64,
        _to: u64,
        _uses: &[ShareUse],
    ) -> Result<bool, StoreError> {
        Err(StoreError::uncounted())
    }

    /// Forgets how far a log is counted, where that is up to `at`: for one that is gone. One
    /// that came back would be counted again. Whether there was something to forget.
    async fn forget(&self, _log: Uuid, _at: u64) -> Result<bool, StoreError> {
        Err(StoreError::uncounted())
    }

    /// Whether the store would answer now.
    async fn status(&self) -> Result<(), StoreError>;

    /// Gives back what a shutdown should not leave behind, such as tokens.
    async fn close(&self) {}
}

/// What a store can do besides reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Records can be put and changed.
    pub writes: bool,
    /// Uses are counted. The audit log has every use also where they are not.
    pub counts: bool,
}

/// How often a share was used, and when last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareUse {
    /// The share.
    pub share: ShareId,
    /// How often.
    pub count: u64,
    /// When last.
    pub last: SystemTime,
}

/// Why a store did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What went wrong, as far as the caller and the operator act differently.
    pub kind: StoreErrorKind,
    /// For the log: what happened, without the row's contents.
    pub detail: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// No connection, or it broke.
    Unreachable,
    /// No answer within the time that there was.
    Timeout,
    /// The server's certificate or TLS version is not acceptable.
    Tls,
    /// The server does not accept the login, or denies the operation.
    Denied,
    /// The schema is missing, or needs a newer reader than this one.
    Schema,
    /// A row with this id is there already.
    Exists,
    /// The row was written since it was read.
    Conflict,
    /// The row is longer than any record, or breaks the rule of a column.
    Corrupt,
    /// The store has no such capability.
    Lacking,
    /// Anything else that the database says.
    Failed,
}

impl StoreError {
    /// An error of a kind, with what the log should say.
    pub fn new(kind: StoreErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The error of a call that the store cannot do.
    pub fn lacking(what: &str) -> Self {
        Self::new(StoreErrorKind::Lacking, format!("this store {what}"))
    }

    fn uncounted() -> Self {
        Self::lacking("does not count uses: read them in the audit log")
    }
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self { writes: true, counts: true };

    /// Refuses early what would have to be written in the end.
    ///
    /// # Errors
    /// `Lacking`.
    pub fn require_writes(self) -> Result<(), StoreError> {
        match self.writes {
            true => Ok(()),
            false => Err(StoreError::lacking("is read-only: write where its records come from")),
        }
    }
}

/// Leaves a share out whose record is none, and says so.
fn readable(
    described: Result<Option<ShareDescription>, StoreError>,
) -> Result<Option<ShareDescription>, StoreError> {
    match described {
        Err(error) if error.kind == StoreErrorKind::Corrupt => {
            tracing::warn!(%error, "A record cannot be read");
            Ok(None)
        }
        described => described,
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail)
    }
}

impl std::error::Error for StoreError {}
