//! A read-only directory of envelope files, such as a mounted Kubernetes Secret.
//!
//! ```text
//! DIR/<share id>.json                      a file, or a link to one inside of DIR
//! DIR/<share id>.json ─▶ ..data/<share id>.json,  ..data ─▶ ..2026_11_27_…   as Kubernetes does
//! ```
//! Each request reads what it is about: nothing is kept, so that the renaming of `..data`
//! holds from the next request on, without a watch that could miss it. That costs a
//! tenth of a millisecond at most on a tmpfs, which a mounted Secret is; most of it is the
//! way to a thread that may wait, and back.
//!
//! Who writes the directory can do what a writer of a database can: the envelope decides.
//! `share backup` writes such directories.
#![forbid(unsafe_code)]

mod backup;
mod files;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use tokio::task;

pub use self::backup::Backup;
use self::files::{Files, within};
use super::{
    Capabilities, ShareStore, StoreError, StoreErrorKind, document::Document, readable,
    row::corrupt,
};
use crate::{
    key::{Environment, PublicKey, Revision, ShareId, ShareState, WalletId},
    policy::Opening,
    record::{ShareDescription, ShareRecord},
};

/// A directory store reads, and nothing else.
const CAPABILITIES: Capabilities = Capabilities { writes: false, counts: false };

/// The directory store.
#[derive(Clone)]
pub struct Directory(Arc<Files>);

impl Directory {
    /// Over a directory that is there.
    ///
    /// # Errors
    /// `Unreachable` when it is not, or is no directory; `Denied` when it may not be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let files = Files::of(path.into());
        files.status()?;
        Ok(Self(Arc::new(files)))
    }

    /// Every share that has a file, of whichever environment, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn shares(&self) -> Result<Vec<ShareId>, StoreError> {
        self.on_thread(Files::shares).await
    }

    /// Files are read on a thread that may wait: a directory can be on a disk or a network.
    async fn on_thread<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Files) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let files = Arc::clone(&self.0);
        let read = task::spawn_blocking(move || read(&files)).await;
        read.map_err(|error| StoreError::new(StoreErrorKind::Failed, error.to_string()))?
    }
}

#[async_trait]
impl ShareStore for Directory {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        self.on_thread(move |files| describe(files, share)).await
    }

    /// One that is no record is left out: whoever holds it has nothing to hold on to, and the
    /// others are not its trouble.
    async fn describe_all(&self, shares: &[ShareId]) -> Result<Vec<ShareDescription>, StoreError> {
        let shares = shares.to_vec();
        self.on_thread(move |files| {
            let described = shares.into_iter().map(|share| readable(describe(files, share)));
            described.filter_map(Result::transpose).collect()
        })
        .await
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        let (share, known) = (opening.share(), opening.public_key());
        self.on_thread(move |files| {
            let Some(text) = files.read(share)? else { return Ok(None) };
            within(share, || {
                let document = Document::parse(&text)?;
                let description = named(share, &document, Some(known))?;
                let envelope = document.envelope()?;
                let envelope =
                    envelope.ok_or_else(|| corrupt("encrypted_key_shares", "missing"))?;
                Ok(Some(ShareRecord { description, envelope }))
            })
        })
        .await
    }

    async fn put(
        &self,
        _record: &ShareRecord,
        _expected: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        read_only()
    }

    async fn list(
        &self,
        environment: &Environment,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        let (environment, wallet) = (environment.clone(), wallet.cloned());
        self.on_thread(move |files| {
            let mut listed = Vec::new();
            for share in files.shares()?.into_iter().filter(|share| Some(*share) > after) {
                if listed.len() == limit {
                    break;
                }
                // None: it went away meanwhile.
                let Some(found) = describe(files, share)? else { continue };
                let identity = &found.identity;
                let is_wanted = identity.environment == environment
                    && wallet.as_ref().is_none_or(|wallet| *wallet == identity.wallet);
                listed.extend(is_wanted.then_some(found));
            }
            Ok(listed)
        })
        .await
    }

    async fn set_state(
        &self,
        _share: ShareId,
        _state: ShareState,
        _expected: Revision,
    ) -> Result<Revision, StoreError> {
        read_only()
    }

    async fn schedule(
        &self,
        _share: ShareId,
        _after: Option<SystemTime>,
        _expected: Revision,
    ) -> Result<Revision, StoreError> {
        read_only()
    }

    async fn remove(&self, _share: ShareId, _expected: Revision) -> Result<(), StoreError> {
        read_only()
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.on_thread(Files::status).await
    }
}

fn read_only<T>() -> Result<T, StoreError> {
    Err(StoreError::lacking("is a read-only directory: write where its files come from"))
}

fn describe(files: &Files, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
    let Some(text) = files.read(share)? else { return Ok(None) };
    within(share, || named(share, &Document::parse(&text)?, None).map(Some))
}

/// The description of the share that the file is named after.
fn named(
    share: ShareId,
    document: &Document<'_>,
    known: Option<PublicKey>,
) -> Result<ShareDescription, StoreError> {
    let description = document.describe(known)?;
    if description.identity.share != share {
        return Err(corrupt("id", "not the share that the file is named after"));
    }
    Ok(description)
}
