//! Vault's KV engine, version 2: one secret per share.
//!
//! ```text
//! <mount>/data/<prefix>/<environment>/<share id>   {"record": the document, "write": a random id}
//! ```
//! - The version of the secret is the revision, and every write is check-and-set on it. A
//!   write whose answer was lost is found by its random id, and not taken for another's.
//! - Removing destroys the secret with its whole history. It is written over first, which is
//!   the compare-and-swap that removing alone has not: a share whose removal broke off is
//!   there without its envelope, and can be removed again.
//! - What was written over stays in the history until the share is rewrapped or sealed anew:
//!   then the versions before are destroyed, each by its number.
//! - Uses are not counted: each would be a version.
//! - Describing reads the whole secret, and so does fetching. Listing reads every secret of
//!   the environment, or up to the last one of the page.
#![forbid(unsafe_code)]

mod engine;
pub mod policy;
mod secret;

use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, future::ready, stream};

use self::{engine::Engine, secret::Found};
use super::{
    Capabilities, ShareStore, StoreError, StoreErrorKind,
    document::Document,
    readable,
    row::{conflict, exists, require_size},
};
use crate::{
    key::{Environment, Revision, ShareId, ShareState, WalletId},
    kms::vault_transit::{Login, Server, SettingsError, kv::Kv},
    policy::Opening,
    record::{ShareDescription, ShareRecord},
};

/// Secrets that are read at a time where many are listed.
const AT_ONCE: usize = 8;

/// Versions are positive numbers of 63 bits.
const VERSION_MAX: u64 = i64::MAX as u64;

const CAPABILITIES: Capabilities = Capabilities { writes: true, counts: false };

/// Where in Vault the records are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Vault is.
    pub server: Server,
    /// Who reads and writes.
    pub login: Login,
    /// Where the KV engine is mounted.
    pub mount: String,
    /// The path below which the records of all environments are.
    pub prefix: String,
    /// The environment whose records are read and written.
    pub environment: Environment,
}

/// The store in Vault.
pub struct VaultKv {
    engine: Engine,
    environment: Environment,
}

impl VaultKv {
    /// Begins to log in, and reaches nothing yet: a Vault that is down is reported by each
    /// call. Called inside a Tokio runtime, in which the login is kept alive.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn open(settings: Settings) -> Result<Self, SettingsError> {
        let Settings { server, login, mount, prefix, environment } = settings;
        let kv = Kv::begin(&server, login)?;
        let engine = Engine::new(kv, mount, format!("{prefix}/{environment}"));
        Ok(Self { engine, environment })
    }

    async fn found(&self, share: ShareId) -> Result<Option<Found>, StoreError> {
        self.engine.read(share, &self.environment, None).await
    }

    /// What is at this revision, and not about to be removed.
    async fn at(&self, share: ShareId, expected: Revision) -> Result<ShareRecord, StoreError> {
        let found = self.found(share).await?.filter(|found| found.revision() == expected);
        let found = found.ok_or_else(|| conflict(expected))?;
        found.into_record().ok_or_else(|| {
            let detail = "its envelope is gone: it can be removed, and nothing else";
            StoreError::new(StoreErrorKind::Conflict, detail)
        })
    }
}

#[async_trait]
impl ShareStore for VaultKv {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        Ok(self.found(share).await?.map(Found::into_description))
    }

    /// One that is no record is left out: whoever holds it has nothing to hold on to, and the
    /// others are not its trouble.
    async fn describe_all(&self, shares: &[ShareId]) -> Result<Vec<ShareDescription>, StoreError> {
        let described = stream::iter(shares.to_vec()).map(|share| self.describe(share));
        let described = described.buffer_unordered(AT_ONCE).map(readable);
        described.filter_map(|found| ready(found.transpose())).try_collect().await
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        let known = Some(opening.public_key());
        let found = self.engine.read(opening.share(), &self.environment, known).await?;
        Ok(found.and_then(Found::into_record))
    }

    async fn put(
        &self,
        record: &ShareRecord,
        expected: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        require_size(record)?;
        if record.description.identity.environment != self.environment {
            let detail = format!("this store has records of \"{}\" only", self.environment);
            return Err(StoreError::new(StoreErrorKind::Failed, detail));
        }
        let share = record.description.identity.share;
        // Zero inserts.
        if let Some(expected) = expected.filter(|cas| !(1..VERSION_MAX).contains(&cas.get())) {
            return Err(conflict(expected));
        }
        let cas = expected.unwrap_or(Revision::from(0));
        match self.engine.write(share, Document::of(record), cas).await? {
            true => Ok(cas.next()),
            false => Err(expected.map_or_else(exists, conflict)),
        }
    }

    async fn list(
        &self,
        environment: &Environment,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        if *environment != self.environment {
            return Ok(Vec::new());
        }
        let shares = self.engine.shares().await?.into_iter();
        let shares = shares.filter(|share| Some(*share) > after);
        let mut found = stream::iter(shares).map(|share| self.describe(share)).buffered(AT_ONCE);
        let mut listed = Vec::new();
        while listed.len() < limit
            && let Some(described) = found.next().await
        {
            // None: it went away meanwhile.
            let described = described?;
            let is_wanted = |described: &ShareDescription| {
                wallet.is_none_or(|wallet| *wallet == described.identity.wallet)
            };
            listed.extend(described.filter(is_wanted));
        }
        Ok(listed)
    }

    async fn set_state(
        &self,
        share: ShareId,
        state: ShareState,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let mut record = self.at(share, expected).await?;
        record.description.state = state;
        record.description.destroy_after = None;
        self.put(&record, Some(expected)).await
    }

    async fn schedule(
        &self,
        share: ShareId,
        after: Option<SystemTime>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let mut record = self.at(share, expected).await?;
        record.description.destroy_after = after;
        self.put(&record, Some(expected)).await
    }

    async fn remove(&self, share: ShareId, expected: Revision) -> Result<(), StoreError> {
        let found = self.found(share).await?.filter(|found| found.revision() == expected);
        let found = found.ok_or_else(|| conflict(expected))?;
        if found.has_envelope() {
            let description = found.into_description();
            let left = Document::without_envelope(&description);
            if !self.engine.write(share, left, expected).await? {
                return Err(conflict(expected));
            }
        }
        self.engine.destroy(share).await
    }

    async fn destroy_former(&self, share: ShareId, current: Revision) -> Result<(), StoreError> {
        self.engine.destroy_former(share, current).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.engine.status().await
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
