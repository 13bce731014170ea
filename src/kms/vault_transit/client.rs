//! The HTTPS client: TLS 1.3, one private CA, one connection pool.

use std::{error::Error, sync::Arc};

use reqwest::{Client, redirect::Policy};
use rustls::{ClientConfig, crypto::ring, version::TLS13};

use super::{Settings, SettingsError, authority};

/// Idle connections kept per address: about the requests in flight of a busy
/// instance.
const IDLE_MAX: usize = 64;

/// The client that `settings` describe. It has no token and no address.
///
/// # Errors
/// The CA file cannot be used.
pub fn new(settings: &Settings) -> Result<Client, SettingsError> {
    let roots = authority::read(&settings.ca_file)?;
    let failed = |error: &dyn Error| SettingsError::Client(error.to_string());
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| failed(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        // A redirect would take the token to a host that nobody configured.
        .redirect(Policy::none())
        // Environment variables do not reroute a key.
        .no_proxy()
        .referer(false)
        // What is tried again is decided in one place.
        .retry(reqwest::retry::never())
        .connect_timeout(settings.timeouts.connect)
        .timeout(settings.timeouts.request)
        .pool_max_idle_per_host(IDLE_MAX)
        .build()
        .map_err(|error| failed(&error))
}
