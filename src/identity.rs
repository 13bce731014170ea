//! The instance's own key: Ed25519, made for one audit log, sealed beside it as a share
//! is, and open in secret memory for as long as the process lives. It signs the heads of
//! the log's tree, and statements about keys for imports.
//!
//! Sealing takes a login that may wrap, opening one that may unwrap. Without both the key
//! lasts for one run, and the next run has another: each stands in the log that it signs.
#![forbid(unsafe_code)]

mod wrapping;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use tokio::{sync::OnceCell, time::Instant};

pub use crate::refusal::IdentityError;
pub use wrapping::{Wrapping, WrappingError};

use crate::{
    audit::{
        self, Audit,
        note::{Name, Signer},
    },
    enclave::{Enclave, EnclaveError, Generated, OpenShare},
    envelope::{Envelope, Identity, KekContext, WrappedDek},
    key::{
        AccountAddress, Algorithm, Binding, Environment, PublicKey, RecordVersion, Revision,
        ShareState,
    },
    kms::{Kms, KmsError, KmsErrorKind, Unwrapped},
    payload::Payload,
    permitted::{PermittedEnvelope, RecordError},
    policy::{GenerateShare, NewShare, Permit, Sign, UseShare, instance_wallet},
    record::{ShareDescription, ShareRecord},
};

/// What the key is made and opened with.
pub struct Parts<'a> {
    /// The environment that this process serves.
    pub environment: &'a Environment,
    /// The log.
    pub audit: &'a Audit,
    /// What wraps its DEK.
    pub kms: &'a dyn Kms,
    /// Where it is open.
    pub enclave: &'a Enclave,
}

/// The file beside the log.
const FILE: &str = "identity.json";

/// The instance's key, opened when the KMS can.
#[derive(Clone)]
pub struct InstanceKey {
    directory: PathBuf,
    open: Arc<OnceCell<Arc<Signer>>>,
}

/// The file: public key and envelope.
#[derive(Serialize, Deserialize)]
struct Stored {
    public_key: String,
    envelope: String,
}

impl InstanceKey {
    /// The key of the log in a directory, not open yet.
    pub fn beside(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), open: Arc::default() }
    }

    /// Under which name it signs, where it is open.
    pub fn name(&self) -> Option<&Name> {
        Some(self.open.get()?.name())
    }

    /// Opens it, unless it is open, and makes it before that where there is none. From
    /// then on the log is signed.
    ///
    /// # Errors
    /// [`IdentityError`]; the next call tries again.
    pub async fn open(
        &self,
        parts: &Parts<'_>,
        deadline: Instant,
    ) -> Result<&Signer, IdentityError> {
        let opened = self.open.get_or_try_init(|| self.begin(parts, deadline)).await?;
        Ok(opened)
    }

    async fn begin(
        &self,
        parts: &Parts<'_>,
        deadline: Instant,
    ) -> Result<Arc<Signer>, IdentityError> {
        let path = self.directory.join(FILE);
        let read = read(&path).map_err(|error| file(&path, error))?;
        let stored = match read {
            Some(stored) => Some(stored),
            None => self.make(parts, &path, deadline).await?,
        };
        let unsealed = match stored {
            Some(stored) => unseal(parts, &path, &stored, deadline).await,
            None => Err(no_login()),
        };
        let (share, kept, unwrapping) = match unsealed {
            Ok((share, unwrapping)) => (share, true, unwrapping),
            // Where no login may wrap, or none may unwrap.
            Err(IdentityError::Kms(error)) if error.kind == KmsErrorKind::NoLogin => {
                (for_one_run(parts)?, false, None)
            }
            Err(error) => return Err(error),
        };
        let origin = format!("countersign/{}/{}", parts.environment, parts.audit.instance());
        let key = share.permit().share().public_key;
        let key = key.as_bytes().try_into().map_err(|_| IdentityError::Other(path))?;
        let name = Name::new(origin, key);
        let signer = Arc::new(Signer::new(name, move |text| sign(&share, text)));
        parts.audit.sign_with(Arc::clone(&signer), kept, unwrapping);
        Ok(signer)
    }

    /// Makes a key and seals it; none where no login may wrap.
    async fn make(
        &self,
        parts: &Parts<'_>,
        path: &Path,
        deadline: Instant,
    ) -> Result<Option<Stored>, IdentityError> {
        let Generated { dek, header, sealed, public_key } = generate(parts)?;
        let context = KekContext::of(&header.identity);
        let wrapped = match parts.kms.wrap(&context, dek, deadline).await {
            Ok(wrapped) => wrapped,
            Err(error) if error.kind == KmsErrorKind::NoLogin => return Ok(None),
            Err(error) => return Err(IdentityError::Kms(error)),
        };
        let stored = Stored {
            public_key: hex::encode(public_key.as_bytes()),
            envelope: STANDARD.encode(Envelope::new(header, wrapped, sealed).encode()),
        };
        let text = serde_json::to_vec(&stored).map_err(|error| file(path, error.into()))?;
        audit::replace(path, &text).map_err(|error| file(path, error))?;
        Ok(Some(stored))
    }
}

/// What the key is called: a share of the instance's own wallet, by the name of the log.
fn subject(parts: &Parts<'_>) -> Result<NewShare, IdentityError> {
    Ok(NewShare {
        environment: parts.environment.clone(),
        wallet: instance_wallet(),
        share: parts.audit.instance().try_into().map_err(|_| EnclaveError::Permit)?,
        algorithm: Algorithm::Ed25519,
        binding: Binding::Derived,
    })
}

fn identity(
    NewShare { environment, wallet, share, algorithm, binding }: NewShare,
    key: &PublicKey,
) -> Identity {
    Identity {
        environment,
        wallet,
        share,
        version: RecordVersion::FIRST,
        address: AccountAddress::of(key),
        algorithm,
        binding,
    }
}

fn generate(parts: &Parts<'_>) -> Result<Generated, IdentityError> {
    let subject = subject(parts)?;
    let permit = Permit::<GenerateShare>::for_instance(subject.clone());
    let permit = permit.ok_or(EnclaveError::Permit)?;
    let kek = parts.kms.kek().clone();
    Ok(parts.enclave.generate(&permit, kek, |key| identity(subject, key))?)
}

/// Opens a key that was sealed for this log; and how the KMS names the unwrapping.
async fn unseal(
    parts: &Parts<'_>,
    path: &Path,
    stored: &Stored,
    deadline: Instant,
) -> Result<(OpenShare, Option<String>), IdentityError> {
    let other = || IdentityError::Other(path.to_owned());
    let key = hex::decode(&stored.public_key).map_err(|_| other())?;
    let public_key = PublicKey::parse(Algorithm::Ed25519, &key).map_err(|_| other())?;
    let envelope = STANDARD.decode(&stored.envelope).map_err(|_| other())?;
    let description = ShareDescription {
        identity: identity(subject(parts)?, &public_key),
        public_key,
        state: ShareState::Enabled,
        kek: parts.kms.kek().clone(),
        destroy_after: None,
        created_at: SystemTime::UNIX_EPOCH,
        revision: Revision::FIRST,
    };
    let permitted = permitted(ShareRecord { description, envelope }).map_err(|_| other())?;
    let (ciphertext, _) = permitted.envelope().sealed().parts();
    let slot = parts.enclave.reserve(ciphertext.len())?;
    let unwrapped = parts.kms.unwrap(permitted.dek(), slot, deadline).await;
    let Unwrapped { dek, request_id } = unwrapped.map_err(IdentityError::Kms)?;
    Ok((parts.enclave.open(permitted, dek)?, request_id.map(String::from)))
}

fn no_login() -> IdentityError {
    IdentityError::Kms(KmsError::new(KmsErrorKind::NoLogin, "no login may wrap"))
}

/// Makes a key that is sealed under a DEK that nobody keeps.
fn for_one_run(parts: &Parts<'_>) -> Result<OpenShare, IdentityError> {
    let Generated { dek, header, sealed, public_key } = generate(parts)?;
    let unwrapped = WrappedDek::new(*b"-").map_err(|_| EnclaveError::Share)?;
    let envelope = Envelope::new(header, unwrapped, sealed);
    let record = ShareRecord::new(&envelope, public_key, SystemTime::now());
    let permitted = permitted(record).map_err(|_| EnclaveError::Permit)?;
    Ok(parts.enclave.open(permitted, dek)?)
}

fn permitted(record: ShareRecord) -> Result<PermittedEnvelope<UseShare>, RecordError> {
    let subject = Arc::new(record.description.clone());
    let permit = Permit::<UseShare>::for_instance(subject);
    PermittedEnvelope::new(permit.ok_or(RecordError::Mismatch("wallet id"))?, record)
}

fn sign(share: &OpenShare, text: &str) -> Option<[u8; 64]> {
    let payload = Payload::Message(text.as_bytes().to_vec().into());
    let permit = share.permit().instance_signs(Sign { payload })?;
    Some(share.sign(permit).ok()?.signature.bytes)
}

fn read(path: &Path) -> io::Result<Option<Stored>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn file(path: &Path, error: io::Error) -> IdentityError {
    IdentityError::File { path: path.to_owned(), error: Arc::new(error) }
}
