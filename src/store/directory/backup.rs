//! Writing a directory of envelope files: a backup, which can be mounted as a store.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use async_trait::async_trait;

use super::{Directory, Files, describe};
use crate::{
    key::{Environment, Revision, ShareId, ShareState, WalletId},
    policy::Opening,
    record::{ShareDescription, ShareRecord},
    store::{
        Capabilities, ShareStore, StoreError, StoreErrorKind,
        document::Document,
        row::{conflict, exists, require_size},
    },
};

/// A directory that a backup is written into, by one process at a time. It keeps the
/// revisions that the records have where they come from.
pub struct Backup(Directory);

impl Backup {
    /// Over a directory, which is made with mode 0700 when it is not there.
    ///
    /// # Errors
    /// `Unreachable` or `Denied`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(unwritten(&path, &error))
            }
            _ => Directory::open(path).map(Self),
        }
    }
}

#[async_trait]
impl ShareStore for Backup {
    fn capabilities(&self) -> Capabilities {
        Capabilities { writes: true, counts: false }
    }

    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        self.0.describe(share).await
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        self.0.fetch(opening).await
    }

    async fn put(
        &self,
        record: &ShareRecord,
        expected: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        require_size(record)?;
        let record = record.clone();
        self.0.on_thread(move |files| put(files, &record, expected)).await
    }

    async fn list(
        &self,
        environment: &Environment,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        self.0.list(environment, wallet, after, limit).await
    }

    async fn set_state(
        &self,
        share: ShareId,
        state: ShareState,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.0.set_state(share, state, expected).await
    }

    async fn schedule(
        &self,
        share: ShareId,
        after: Option<SystemTime>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.0.schedule(share, after, expected).await
    }

    async fn remove(&self, share: ShareId, expected: Revision) -> Result<(), StoreError> {
        self.0.remove(share, expected).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.0.status().await
    }
}

fn put(
    files: &Files,
    record: &ShareRecord,
    expected: Option<Revision>,
) -> Result<Revision, StoreError> {
    let share = record.description.identity.share;
    let path = files.path().join(Files::name(share));
    let text = serde_json::to_vec_pretty(&Document::of(record));
    let mut text =
        text.map_err(|error| StoreError::new(StoreErrorKind::Failed, error.to_string()))?;
    text.push(b'\n');
    let found = describe(files, share)?.map(|found| found.revision);
    match (expected, found) {
        (None, Some(_)) => return Err(exists()),
        (Some(expected), found) if found != Some(expected) => {
            return Err(conflict(expected));
        }
        _ => {}
    }
    write(&path, &text).map_err(|error| unwritten(&path, &error))?;
    Ok(record.description.revision)
}

/// The whole file or none of it, and on disk when this returns.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(directory)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(directory)?.sync_all()
}

fn unwritten(path: &Path, error: &io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => StoreErrorKind::Denied,
        _ => StoreErrorKind::Unreachable,
    };
    StoreError::new(kind, format!("{}: {error}", path.display()))
}
