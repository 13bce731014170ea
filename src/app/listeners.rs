//! The listeners of a configuration, all bound before the first request.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::StartError;
use crate::{
    config::{Config, TlsConfig},
    grpc::{Credentials, Material, Service, Socket, TlsListener},
    telemetry::Metrics,
};

/// A TLS listener's configuration, and what its files hold.
pub type Tls = (TlsConfig, Material);

/// What is bound.
pub(super) struct Listeners {
    pub(super) enclave: Socket,
    pub(super) custody: Option<Socket>,
    pub(super) tls: Vec<TlsListener>,
    pub(super) metrics: Option<TcpListener>,
}

/// What the TLS listeners are made of. Read before the process confines itself, so that
/// what they cannot begin with it learns first.
///
/// # Errors
/// `TlsFiles`, with the problems of all of them.
pub fn tls(config: &Config) -> Result<Vec<Tls>, StartError> {
    let (mut loaded, mut problems) = (Vec::new(), Vec::new());
    for tls in config.listen.over_tls() {
        match Material::load(&tls.files) {
            Ok(material) => loaded.push((tls.clone(), material)),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(StartError::TlsFiles(problems)) }
}

impl Listeners {
    pub(super) async fn bind(
        config: &Config,
        tls: Vec<Tls>,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let listen = &config.listen;
        let enclave = Socket::bind(&listen.enclave, listen.mode)?;
        let custody = listen.custody.as_deref();
        let custody = custody.map(|path| Socket::bind(path, listen.custody_mode)).transpose()?;
        let mut bound = Vec::new();
        for (TlsConfig { address, files }, material) in tls {
            let table = files.service.table();
            let credentials = Arc::new(Credentials::new(files, material, metrics.clone()));
            let listener = TlsListener::bind(address, credentials).await;
            bound.push(listener.map_err(|error| StartError::Tls(table, address, error))?);
        }
        let metrics = match config.metrics {
            None => None,
            Some(address) => Some(TcpListener::bind(address).await.map_err(StartError::Metrics)?),
        };
        Ok(Self { enclave, custody, tls: bound, metrics })
    }

    /// The TLS listener of a service, where it has one.
    pub(super) fn tls(&self, service: Service) -> Option<&TlsListener> {
        self.tls.iter().find(|tls| tls.credentials().service() == service)
    }
}
