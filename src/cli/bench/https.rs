//! A client for asking Vault directly: what is trusted is as the enclave has it,
//! the rest is what one would take.

use reqwest::{Client, redirect::Policy};

use crate::{
    cli::failure::Failure,
    kms::vault_transit::{Settings, tls},
};

/// The client; its token is the caller's business.
pub(super) fn client(settings: &Settings) -> Result<Client, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::new(error.to_string());
    Client::builder()
        .tls_backend_preconfigured(tls::config(&settings.ca_file).map_err(|error| failed(&error))?)
        .https_only(true)
        // A redirect would take the token to a host that nobody configured.
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(settings.timeouts.connect)
        .timeout(settings.timeouts.request)
        .build()
        .map_err(|error| failed(&error))
}
