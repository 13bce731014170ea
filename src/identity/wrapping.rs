//! The wrapped DEK of an instance's key, which a rotation moves like any other: once the
//! KEK's floor is above it, the instance could not open its key any more.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::process::geteuid;

use super::{FILE, Stored, read};
use crate::{
    audit,
    envelope::{Envelope, KekContext, KekRef, WrappedDek},
    kms::BoundDek,
};

/// The file of an instance's key, and the envelope in it.
pub struct Wrapping {
    path: PathBuf,
    public_key: String,
    envelope: Envelope,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WrappingError {
    /// It cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// It holds no envelope.
    #[error("{0} holds no key of an instance")]
    Malformed(PathBuf),
    /// It would be replaced by a file of another user, who may not be the one to read it.
    #[error("{0} belongs to another user: run this as the user of that instance")]
    Owner(PathBuf),
}

impl Wrapping {
    /// That of the instance whose audit log is in a directory; none where it has no key
    /// that is kept.
    ///
    /// # Errors
    /// [`WrappingError`].
    pub fn beside(directory: &Path) -> Result<Option<Self>, WrappingError> {
        let path = directory.join(FILE);
        let stored = match read(&path) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(None),
            Err(error) => return Err(WrappingError::File(path, error)),
        };
        let bytes = STANDARD.decode(&stored.envelope).ok();
        let envelope = bytes.and_then(|bytes| Envelope::decode(&bytes).ok());
        match envelope {
            Some(envelope) => Ok(Some(Self { path, public_key: stored.public_key, envelope })),
            None => Err(WrappingError::Malformed(path)),
        }
    }

    /// The KEK.
    pub fn kek(&self) -> &KekRef {
        &self.envelope.header().kek
    }

    /// The version of the KEK that wraps the DEK, where it says so.
    pub fn kek_version(&self) -> Option<u32> {
        self.envelope.wrapped_dek().kek_version()
    }

    /// What a KMS needs in order to rewrap the DEK.
    pub fn dek(&self) -> BoundDek {
        BoundDek {
            context: KekContext::of(&self.envelope.header().identity),
            wrapped: self.envelope.wrapped_dek().clone(),
        }
    }

    /// Puts another wrapping of the DEK in the file's place. An instance reads the file
    /// at its start alone, and writes it only where there is none.
    ///
    /// # Errors
    /// [`WrappingError`]; the file is as it was.
    pub fn replace(&self, wrapped: WrappedDek) -> Result<(), WrappingError> {
        let failed = |error| WrappingError::File(self.path.clone(), error);
        let owner = std::fs::metadata(&self.path).map_err(failed)?.uid();
        if owner != geteuid().as_raw() {
            return Err(WrappingError::Owner(self.path.clone()));
        }
        let header = self.envelope.header().clone();
        let envelope = Envelope::new(header, wrapped, self.envelope.sealed().clone());
        let stored = Stored {
            public_key: self.public_key.clone(),
            envelope: STANDARD.encode(envelope.encode()),
        };
        let text = serde_json::to_vec(&stored).map_err(|error| failed(error.into()))?;
        audit::replace(&self.path, &text).map_err(failed)
    }
}
