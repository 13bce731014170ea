//! The files of a directory, by share.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::fd::OwnedFd,
    path::PathBuf,
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
};

use crate::{
    key::ShareId,
    store::{StoreError, StoreErrorKind, document::DOCUMENT_MAX},
};

/// What the name of a file ends with. A key of a Kubernetes Secret may have such a name.
const SUFFIX: &str = ".json";

/// A directory whose files are read one by one.
pub(super) struct Files {
    path: PathBuf,
}

impl Files {
    pub fn of(path: PathBuf) -> Self {
        Self { path }
    }

    /// The name of a share's file.
    pub fn name(share: ShareId) -> String {
        format!("{share}{SUFFIX}")
    }

    /// Where the files are.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Whether the directory can be read.
    pub fn status(&self) -> Result<(), StoreError> {
        let mut entries = fs::read_dir(&self.path).map_err(|error| self.unreadable(&error))?;
        entries.next().transpose().map(drop).map_err(|error| self.unreadable(&error))
    }

    /// The shares that have a file, in order. Other names are nobody's.
    pub fn shares(&self) -> Result<Vec<ShareId>, StoreError> {
        let mut shares = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|error| self.unreadable(&error))? {
            let name = entry.map_err(|error| self.unreadable(&error))?.file_name();
            let share: Option<ShareId> =
                name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
            shares.extend(share);
        }
        shares.sort_unstable();
        Ok(shares)
    }

    /// A share's file, whole; none when there is none.
    pub fn read(&self, share: ShareId) -> Result<Option<Vec<u8>>, StoreError> {
        // By its name each time: another directory may be in its place by now.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, &self.path, flags, Mode::empty());
        let directory = directory.map_err(|error| self.unreadable(&error.into()))?;
        let Some(file) = self.open(&directory, share)? else { return Ok(None) };
        within(share, || {
            let failed = |error: io::Error| {
                StoreError::new(StoreErrorKind::Unreachable, error.kind().to_string())
            };
            let corrupt = |what: &str| StoreError::new(StoreErrorKind::Corrupt, what);
            if !file.metadata().map_err(failed)?.is_file() {
                return Err(corrupt("is no regular file"));
            }
            let mut text = Vec::new();
            file.take(DOCUMENT_MAX as u64 + 1).read_to_end(&mut text).map_err(failed)?;
            match text.len() {
                0..=DOCUMENT_MAX => Ok(Some(text)),
                _ => Err(corrupt("is longer than any record")),
            }
        })
    }

    /// Follows links as far as they stay in the directory: `..data` does.
    fn open(&self, directory: &OwnedFd, share: ShareId) -> Result<Option<File>, StoreError> {
        // A pipe without a writer would keep the thread.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        // The kernel asks to try again where something was renamed meanwhile.
        for _ in 0..16 {
            match openat2(directory, Self::name(share), flags, Mode::empty(), resolve) {
                Ok(file) => return Ok(Some(file.into())),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return within(share, || Err(unopened(error))),
            }
        }
        within(share, || Err(StoreError::new(StoreErrorKind::Unreachable, "is being renamed")))
    }

    fn unreadable(&self, error: &io::Error) -> StoreError {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => StoreErrorKind::Denied,
            _ => StoreErrorKind::Unreachable,
        };
        StoreError::new(kind, format!("{}: {error}", self.path.display()))
    }
}

fn unopened(error: Errno) -> StoreError {
    let (kind, what) = match error {
        Errno::XDEV => (StoreErrorKind::Corrupt, "is a link that leads out of the directory"),
        Errno::LOOP => (StoreErrorKind::Corrupt, "is a link that cannot be followed"),
        Errno::ACCESS | Errno::PERM => (StoreErrorKind::Denied, "may not be read"),
        Errno::NOSYS => (StoreErrorKind::Failed, "cannot be opened safely: use Linux 5.6 or newer"),
        _ => (StoreErrorKind::Unreachable, "cannot be opened"),
    };
    StoreError::new(kind, format!("{what} ({error})"))
}

/// Says of which file an error is.
pub(super) fn within<T>(
    share: ShareId,
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    read().map_err(|StoreError { kind, detail }| {
        StoreError::new(kind, format!("{}: {detail}", Files::name(share)))
    })
}
