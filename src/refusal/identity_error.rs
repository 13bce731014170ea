//! Why the instance's key is not open.

use std::{io, path::PathBuf, sync::Arc};

use super::EnclaveError;
use crate::kms::KmsError;

/// Nothing of the key is in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IdentityError {
    /// Its file cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Arc<io::Error>,
    },
    /// Its file holds something else.
    #[error("{path}: this is not the key of this log under the configured KEK: start with another audit.directory, or put the right file back", path = .0.display())]
    Other(PathBuf),
    /// The KMS did not wrap or unwrap it.
    #[error("the key that signs the log (identity.json): kms: {0}")]
    Kms(KmsError),
    /// The enclave did not make or open it.
    #[error("the key that signs the log (identity.json): enclave: {0}")]
    Enclave(EnclaveError),
}

impl From<EnclaveError> for IdentityError {
    fn from(error: EnclaveError) -> Self {
        Self::Enclave(error)
    }
}
