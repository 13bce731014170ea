//! The certificate authority of Vault's listener.

use std::{fs, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::SettingsError;

/// The only roots that are trusted: those of a PEM file.
pub(super) fn read(file: &Path) -> Result<RootCertStore, SettingsError> {
    let pem =
        fs::read(file).map_err(|error| SettingsError::CaFile { path: file.to_owned(), error })?;
    let unusable = || SettingsError::Ca(file.to_owned());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.is_empty() {
        return Err(unusable());
    }
    Ok(roots)
}
