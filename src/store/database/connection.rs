//! A connection: TLS 1.3, a login bound to it, and every statement prepared.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::TLS13,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tokio_postgres::{
    Client, Config,
    config::{ChannelBinding, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::{
    Settings,
    error::failed,
    schema::{self, Schema},
};
use crate::store::{StoreError, StoreErrorKind};

/// Makes connections for the pool.
pub struct Connector<S> {
    settings: Settings,
    tls: MakeRustlsConnect,
    schema: Schema,
    statements: PhantomData<fn() -> S>,
}

/// An open connection.
pub struct Connection<S> {
    pub(super) statements: S,
    login: Login,
}

/// The statements of whoever uses a connection.
pub trait Prepared: Sized + Send {
    /// Prepares them. The driver sends all that are waited for at once before it waits for
    /// any, so that they take one round trip.
    fn prepare(client: &Client)
    -> impl Future<Output = Result<Self, tokio_postgres::Error>> + Send;
}

/// A client and the task that drives it.
struct Login {
    client: Client,
    driver: Driver,
}

/// Ends with its login, also when the server never answers again.
struct Driver(JoinHandle<()>);

impl<S> Connector<S> {
    /// Reads the certificate authority.
    ///
    /// # Errors
    /// `Tls` when there is none, or the host is nothing that a certificate names.
    pub fn new(settings: Settings, schema: Schema) -> Result<Self, StoreError> {
        let tls = client_config(&settings)
            .map_err(|detail| StoreError::new(StoreErrorKind::Tls, detail))?;
        let tls = MakeRustlsConnect::new(tls);
        Ok(Self { settings, tls, schema, statements: PhantomData })
    }

    /// Brings the schema up to date, on a connection of its own.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut login =
            timeout_at(self.deadline(), self.login()).await.map_err(|_| self.timeout())??;
        let migrated = self.schema.migrate(&mut login.client);
        let migrated = timeout(schema::PATIENCE, migrated).await;
        login.close().await;
        migrated.map_err(|_| self.timeout())?
    }

    async fn login(&self) -> Result<Login, StoreError> {
        let settings = &self.settings;
        let mut config = Config::new();
        config
            .host(&settings.host)
            .port(settings.port)
            .dbname(&settings.database)
            .user(&settings.user)
            .password(self.password().await?.trim_ascii())
            .application_name("countersign")
            .ssl_mode(SslMode::Require)
            .channel_binding(ChannelBinding::Require)
            // A write that returned is on disk, whatever the role's default is.
            .options(format!(
                "-c statement_timeout={} -c synchronous_commit=on",
                settings.statement_timeout.as_millis().max(1)
            ))
            // The kernel gives up on a silent server when we do.
            .tcp_user_timeout(settings.statement_timeout)
            .keepalives_idle(Duration::from_secs(30));
        let (client, connection) = config.connect(self.tls.clone()).await.map_err(failed)?;
        // How it ended, the client's next statement says.
        let driver = Driver(tokio::spawn(async { drop(connection.await) }));
        Ok(Login { client, driver })
    }

    /// Read for each login, so that a rotated password needs no restart. The
    /// driver's copy lives until the login is done.
    async fn password(&self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let file = &self.settings.password_file;
        tokio::fs::read(file).await.map(Zeroizing::new).map_err(|error| {
            let detail = format!("the password file {}: {error}", file.display());
            StoreError::new(StoreErrorKind::Denied, detail)
        })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.settings.connect_timeout
    }

    fn timeout(&self) -> StoreError {
        let Settings { host, port, connect_timeout, .. } = &self.settings;
        StoreError::new(
            StoreErrorKind::Timeout,
            format!("no connection to {host}:{port} within {connect_timeout:?}"),
        )
    }
}

impl<S: Prepared> Manager for Connector<S> {
    type Type = Connection<S>;
    type Error = StoreError;

    async fn create(&self) -> Result<Connection<S>, StoreError> {
        let connect = async {
            let login = self.login().await?;
            self.schema.require_current(&login.client).await?;
            let statements = S::prepare(&login.client).await.map_err(failed)?;
            Ok(Connection { statements, login })
        };
        timeout_at(self.deadline(), connect).await.map_err(|_| self.timeout())?
    }

    async fn recycle(
        &self,
        connection: &mut Connection<S>,
        _: &Metrics,
    ) -> RecycleResult<StoreError> {
        if connection.client().is_closed() {
            return Err(RecycleError::message("closed"));
        }
        Ok(())
    }
}

impl<S> Connection<S> {
    pub fn client(&self) -> &Client {
        &self.login.client
    }
}

impl Login {
    /// Says goodbye, so that the server does not log a lost client.
    async fn close(self) {
        let Self { client, mut driver } = self;
        drop(client);
        let _ = timeout(Duration::from_secs(1), &mut driver.0).await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn client_config(settings: &Settings) -> Result<ClientConfig, String> {
    // Also keeps Unix sockets out, on which Postgres speaks no TLS.
    ServerName::try_from(&*settings.host)
        .map_err(|_| format!("{:?} is no host that a certificate can name", settings.host))?;
    let file = settings.ca_file.display();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&settings.ca_file)
        .map_err(|error| format!("the CA file {file}: {error}"))?
    {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
            .map_err(|error| format!("the CA file {file}: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("the CA file {file} holds no certificate"));
    }
    let provider = Arc::new(ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
