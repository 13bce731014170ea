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

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    BoundDek, KekVersion, KekVersions, Kms, KmsError, KmsErrorKind, Unwrapped, require_kek,
};
use crate::{
    enclave::{DEK_LEN, Dek, EnclaveError, SecretPool, Slot},
    envelope::{KekContext, KekRef, Nonce, TAG_LEN, WrappedDek},
    key::Environment,
    permitted::PermittedDek,
};

/// The provider's name in KEK references.
pub const PROVIDER: &str = "local";

/// The KEK file's owner may read and write it, nobody else anything.
const MODE: u32 = 0o600;
/// Each version takes a slot of secret memory.
pub(crate) const VERSIONS_MAX: usize = 8;

/// The local KMS.
pub struct Local {
    kek: KekRef,
    /// The versions, oldest first. Keys like a DEK's, and kept like one.
    versions: Vec<Dek>,
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
    /// It holds no whole number of versions, or too many.
    #[error("the KEK file must hold 32 bytes per version, 1 to {VERSIONS_MAX} versions")]
    Length,
    /// The enclave cannot hold it or make it.
    #[error("the KEK cannot be held or made: {0}")]
    Enclave(#[from] EnclaveError),
}

/// The reference of an environment's KEK.
pub(crate) fn kek_of(environment: &Environment) -> KekRef {
    KekRef::new(PROVIDER, "", &format!("countersign-{environment}"))
        .expect("an environment fits into a KEK name")
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
        let metadata = file.metadata()?;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KekFileError::Mode(mode));
        }
        let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if length == 0 || !length.is_multiple_of(DEK_LEN) || length / DEK_LEN > VERSIONS_MAX {
            return Err(KekFileError::Length);
        }
        let mut read = || {
            let slot = pool.take(DEK_LEN)?;
            let mut failed = None;
            let key = Dek::unwrapped(slot, |key| {
                file.read_exact(key).map_err(|error| {
                    failed = Some(error);
                    EnclaveError::Share
                })
            });
            failed.map_or(key.map_err(KekFileError::Enclave), |error| Err(error.into()))
        };
        let versions = (0..length / DEK_LEN).map(|_| read()).collect::<Result<_, _>>()?;
        Ok(Self { kek: kek_of(environment), versions, pool: pool.clone() })
    }
}

/// A new KEK goes from the generator through secret memory into the file.
fn create(path: &Path, pool: &SecretPool) -> Result<File, KekFileError> {
    let slot = pool.take(DEK_LEN)?;
    let key = Dek::generate(slot)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    let mut written = Ok(());
    key.reveal(|key| {
        written = file.write_all(key);
        Ok(())
    })?;
    written.and_then(|()| file.sync_all())?;
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
        dek: Dek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        in_time(deadline)?;
        encode(self.versions.len(), &self.wrap_dek(context, &dek)?)
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
        deks: Vec<BoundDek>,
        deadline: Instant,
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
        in_time(deadline)?;
        let rewrap = |BoundDek { context, wrapped }: &_| {
            let slot = self.pool.take(DEK_LEN)?;
            let dek = self.open_dek(context, wrapped, slot)?;
            encode(self.versions.len(), &self.wrap_dek(context, &dek)?)
        };
        Ok(deks.iter().map(rewrap).collect())
    }

    /// The file says nothing of when its versions were made.
    async fn versions(&self, deadline: Instant) -> Result<KekVersions, KmsError> {
        in_time(deadline)?;
        let numbers = 1..=u32::try_from(self.versions.len()).unwrap_or(u32::MAX);
        let versions = numbers.map(|number| KekVersion { number, created: None });
        Ok(KekVersions { floor: 1, kept: 1, versions: versions.collect() })
    }

    async fn rotate(&self, _: Instant) -> Result<(), KmsError> {
        Err(by_hand())
    }

    async fn raise_floor(&self, _: u32, _: Instant) -> Result<(), KmsError> {
        Err(by_hand())
    }

    async fn trim(&self, _: u32, _: Instant) -> Result<(), KmsError> {
        Err(by_hand())
    }

    async fn status(&self, deadline: Instant) -> Result<(), KmsError> {
        in_time(deadline)
    }
}

impl Local {
    /// AES-256-GCM of the DEK under the newest version: nonce ‖ ciphertext ‖ tag.
    fn wrap_dek(&self, context: &KekContext, dek: &Dek) -> Result<Vec<u8>, EnclaveError> {
        let context = context.as_bytes();
        let kek = self.versions.last().ok_or(EnclaveError::Share)?;
        let nonce = Nonce::random().map_err(|_| EnclaveError::Randomness)?;
        // Reserved here: what a section allocates stays in secret memory.
        let mut wrapped = Vec::with_capacity(nonce.0.len() + DEK_LEN + TAG_LEN);
        wrapped.extend_from_slice(&nonce.0);
        kek.reveal(|kek| {
            dek.reveal(|dek| {
                let mut buffer = Zeroizing::new(*dek);
                let tag = Aes256Gcm::new(kek.into())
                    .encrypt_inout_detached((&nonce.0).into(), context, (&mut buffer[..]).into())
                    .map_err(|_| EnclaveError::TooLong)?;
                wrapped.extend_from_slice(&*buffer);
                wrapped.extend_from_slice(&tag);
                Ok(())
            })
        })?;
        Ok(wrapped)
    }

    /// Undoes wrapping, into `slot`.
    fn open_dek(
        &self,
        context: &KekContext,
        wrapped: &WrappedDek,
        slot: Slot,
    ) -> Result<Dek, KmsError> {
        let rejected =
            || KmsError::new(KmsErrorKind::Rejected, "not a DEK that a local KEK wrapped");
        let (version, bytes) = decode(wrapped).ok_or_else(rejected)?;
        let (nonce, rest) = bytes.split_first_chunk::<12>().ok_or_else(rejected)?;
        let context = context.as_bytes();
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(rejected)?;
        let ciphertext: [u8; DEK_LEN] = ciphertext.try_into().map_err(|_| rejected())?;
        let kek = version.checked_sub(1).and_then(|index| self.versions.get(index));
        let kek = kek.ok_or_else(|| {
            let detail = format!("the KEK file has no version {version}");
            KmsError::new(KmsErrorKind::KeyMissing, detail)
        })?;
        let dek = Dek::unwrapped(slot, |dek| {
            *dek = ciphertext;
            kek.reveal(|kek| {
                Aes256Gcm::new(kek.into())
                    .decrypt_inout_detached(
                        nonce.into(),
                        context,
                        (&mut dek[..]).into(),
                        tag.into(),
                    )
                    .map_err(|_| EnclaveError::Tag)
            })
        })?;
        Ok(dek)
    }
}

/// Each process reads the file once, at its start: none can change it for the others.
fn by_hand() -> KmsError {
    let detail = "the versions of a KEK in a file are changed by hand, and it has no floor";
    KmsError::new(KmsErrorKind::Denied, detail)
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
    (number > 0 && number.to_string() == version).then_some((number, STANDARD.decode(bytes).ok()?))
}
