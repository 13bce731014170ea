//! A KEK in a file: for development only.
//!
//! Whoever can read the file can unwrap every DEK, which is why the
//! configuration refuses this backend in a production environment. The file
//! holds 32 bytes per version, oldest first, with mode 0600; a rotation appends
//! 32 random bytes. A wrapped DEK is `local:v<version>:` ‖ base64(nonce ‖
//! ciphertext ‖ tag), AES-256-GCM with the KEK context as associated data.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::time::Instant;

use super::{Kms, KmsError, KmsErrorKind, Unwrapped, require_kek};
use crate::{
    enclave::{Dek, EnclaveError, KEK_LEN, LocalKek, SecretPool, Slot},
    envelope::{KekContext, KekRef, WrappedDek},
    key::Environment,
    permitted::PermittedDek,
};

/// The provider's name in KEK references.
pub const PROVIDER: &str = "local";

/// The KEK file's owner may read and write it, nobody else anything.
const MODE: u32 = 0o600;

/// The local KMS.
pub struct Local {
    kek: KekRef,
    key: LocalKek,
    pool: SecretPool,
}

/// Why the KEK file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KekFileError {
    /// It cannot be opened, read or created.
    #[error("the KEK file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Others than the owner may read or write it.
    #[error("the KEK file has mode {0:04o}: run `chmod 0600` on it")]
    Mode(u32),
    /// It holds no whole number of versions, or more than a slot of them.
    #[error("the KEK file must hold 32 bytes per version, 1 to 128 versions")]
    Length,
    /// There is no secret memory to hold it.
    #[error("there is no secret memory for the KEK: {0}")]
    Memory(#[from] EnclaveError),
}

impl Local {
    /// Opens the KEK file, and makes it with one random version first when it is
    /// not there.
    ///
    /// # Errors
    /// See [`KekFileError`].
    pub fn open(
        path: &Path,
        environment: &Environment,
        pool: &SecretPool,
    ) -> Result<Self, KekFileError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, pool)?,
            opened => opened?,
        };
        let mode = file.metadata()?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KekFileError::Mode(mode));
        }
        let key = LocalKek::load(pool, |mut page| {
            let mut length = 0;
            loop {
                match file.read(page)? {
                    0 if page.is_empty() && file.read(&mut [0])? > 0 => return Ok(0),
                    0 => return Ok::<_, KekFileError>(length),
                    read => {
                        length += read;
                        page = page.get_mut(read..).unwrap_or_default();
                    }
                }
            }
        })?;
        Ok(Self {
            kek: KekRef::new(PROVIDER, "", &format!("countersign-{environment}"))
                .expect("an environment fits into a KEK name"),
            key: key.ok_or(KekFileError::Length)?,
            pool: pool.clone(),
        })
    }
}

/// A new KEK goes from the generator through secret memory into the file.
fn create(path: &Path, pool: &SecretPool) -> Result<File, KekFileError> {
    let mut slot = pool.take().ok_or(EnclaveError::Exhausted)?;
    slot.fill(|page| {
        let key = page.get_mut(..KEK_LEN).unwrap_or_default();
        getrandom::fill(key).map_err(io::Error::other)?;
        Ok::<_, io::Error>(KEK_LEN)
    })?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    slot.reveal(|key| file.write_all(key))?;
    file.sync_all()?;
    Ok(File::open(path)?)
}

#[async_trait]
impl Kms for Local {
    fn kek(&self) -> &KekRef {
        &self.kek
    }

    async fn wrap(
        &self,
        context: &KekContext,
        dek: &Dek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        in_time(deadline)?;
        let wrapped = self.key.wrap(context.as_bytes(), dek).map_err(failed)?;
        encode(self.key.newest(), &wrapped)
    }

    async fn unwrap(
        &self,
        dek: PermittedDek<'_>,
        slot: Slot,
        deadline: Instant,
    ) -> Result<Unwrapped, KmsError> {
        in_time(deadline)?;
        require_kek(&self.kek, &dek)?;
        let dek = self.open_dek(&dek.context(), dek.wrapped(), slot)?;
        Ok(Unwrapped { dek, request_id: None })
    }

    async fn rewrap(
        &self,
        context: &KekContext,
        wrapped: &WrappedDek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        in_time(deadline)?;
        let slot = self.pool.take().ok_or_else(|| failed(EnclaveError::Exhausted))?;
        let dek = self.open_dek(context, wrapped, slot)?;
        self.wrap(context, &dek, deadline).await
    }

    async fn status(&self, deadline: Instant) -> Result<(), KmsError> {
        in_time(deadline)
    }
}

impl Local {
    fn open_dek(
        &self,
        context: &KekContext,
        wrapped: &WrappedDek,
        slot: Slot,
    ) -> Result<Dek, KmsError> {
        let (version, bytes) = decode(wrapped).ok_or_else(|| {
            KmsError::new(KmsErrorKind::Rejected, "not a DEK that a local KEK wrapped")
        })?;
        if version > self.key.newest() {
            let detail = format!("the KEK file has no version {version}");
            return Err(KmsError::new(KmsErrorKind::KeyMissing, detail));
        }
        self.key.unwrap(version, context.as_bytes(), &bytes, slot).map_err(failed)
    }
}

/// Nothing here waits, so that a deadline can be past but does not pass.
fn in_time(deadline: Instant) -> Result<(), KmsError> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(KmsError::new(KmsErrorKind::Timeout, "not tried: the deadline is past"))
}

fn encode(version: usize, bytes: &[u8]) -> Result<WrappedDek, KmsError> {
    let text = format!("local:v{version}:{}", STANDARD.encode(bytes));
    WrappedDek::new(text.into_bytes())
        .map_err(|error| KmsError::new(KmsErrorKind::Protocol, error.to_string()))
}

fn decode(wrapped: &WrappedDek) -> Option<(usize, Vec<u8>)> {
    let text = std::str::from_utf8(wrapped.as_bytes()).ok()?;
    let (version, bytes) = text.strip_prefix("local:v")?.split_once(':')?;
    // One spelling per version: no sign, no leading zero.
    let number: usize = version.parse().ok()?;
    (number.to_string() == version).then_some((number, STANDARD.decode(bytes).ok()?))
}

fn failed(error: EnclaveError) -> KmsError {
    let kind = match error {
        EnclaveError::Tag => KmsErrorKind::Rejected,
        _ => KmsErrorKind::Unavailable,
    };
    KmsError::new(kind, error.to_string())
}
