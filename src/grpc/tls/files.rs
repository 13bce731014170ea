//! The files that TLS is made of, and what is in them at one moment.

use std::{
    fs::OpenOptions,
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::grpc::Service;

/// The longest file. A bundle of authorities has some kilobytes.
const LENGTH_MAX: u64 = 1024 * 1024;

/// Where certificate, key and trusted authorities are, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Whose listener it is.
    pub service: Service,
    /// The server's certificate, and after it its intermediates.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
    /// The authorities of client certificates.
    pub client_ca: PathBuf,
}

/// What is wrong with one of them, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`: {} {problem}", file.display())]
pub struct FileProblem {
    /// The key or the option that names it.
    pub name: String,
    /// Its path.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// What is in the three files.
pub(super) struct Contents {
    pub(super) certificate: Content,
    pub(super) key: Content,
    pub(super) client_ca: Content,
}

/// What is in one of them, or why that cannot be told.
pub(super) struct Content {
    pub(super) name: String,
    file: PathBuf,
    pem: Result<Zeroizing<Vec<u8>>, String>,
}

/// Contents are compared by it, so that no key is kept for that.
pub(super) type Fingerprint = [u8; 32];

impl Contents {
    /// Reads all three.
    pub(super) fn read(files: &Files) -> Self {
        let Files { service, certificate, key, client_ca } = files;
        let read = |key, file| Content::read(format!("{}.{key}", service.table()), file);
        Self {
            certificate: read("certificate_file", certificate),
            key: read("key_file", key),
            client_ca: read("client_ca_file", client_ca),
        }
    }

    /// The same exactly when all three are, in what they hold or why they cannot
    /// be read.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for content in [&self.certificate, &self.key, &self.client_ca] {
            let (tag, bytes) = match &content.pem {
                Ok(pem) => (0, pem.as_slice()),
                Err(problem) => (1, problem.as_bytes()),
            };
            hash.update([tag]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        hash.finalize().into()
    }
}

impl Content {
    /// Reads a file that a key or an option names.
    pub(super) fn read(name: impl Into<String>, file: &Path) -> Self {
        Self { name: name.into(), file: file.to_owned(), pem: read(file) }
    }

    /// What was read.
    pub(super) fn pem(&self) -> Result<&[u8], FileProblem> {
        match &self.pem {
            Ok(pem) => Ok(pem),
            Err(problem) => Err(self.problem(problem.as_str())),
        }
    }

    /// Something is wrong with it.
    pub(super) fn problem(&self, problem: impl Into<String>) -> FileProblem {
        let Self { name, file, .. } = self;
        FileProblem { name: name.clone(), file: file.clone(), problem: problem.into() }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {}", error.kind());
    // Opening a pipe would wait for whoever writes to it.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    let expected = usize::try_from(metadata.len().min(LENGTH_MAX)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    file.take(LENGTH_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > LENGTH_MAX {
        true => Err(format!("is longer than {} KiB", LENGTH_MAX / 1024)),
        false => Ok(bytes),
    }
}
