//! TLS to Vault: 1.3 only, `ring`, one private CA.

use std::{error::Error, path::Path, sync::Arc};

use rustls::{ClientConfig, client::Resumption, crypto::ring, version::TLS13};

use super::{SettingsError, authority};

/// What every connection to Vault is made with.
pub(crate) fn config(ca_file: &Path) -> Result<ClientConfig, SettingsError> {
    let roots = authority::read(ca_file)?;
    let failed = |error: &dyn Error| SettingsError::Client(error.to_string());
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| failed(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Connections are few and live long. Eight tickets per address would be
    // kept, each as long as the server likes.
    tls.resumption = Resumption::disabled();
    Ok(tls)
}
