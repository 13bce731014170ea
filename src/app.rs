//! The composition root: the only place where a configured backend becomes a
//! trait object, and where the parts are put together.
#![forbid(unsafe_code)]

mod listeners;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::future::OptionFuture;
use tokio::{task::JoinSet, time::Instant};
use tonic::service::Routes;

use crate::{
    audit::{
        Audit, OpenError, Writing,
        record::{Event, Start},
        webhook::{Webhook, WebhookError},
    },
    central::{CentralLog, Copier, Table},
    config::{Config, KmsConfig, Limits, StoreConfig},
    custody::Custody,
    enclave::{self, Enclave, EnclaveError, SecretPool},
    grpc::{
        self, Admission, Connections, Credentials, FileProblem, Gate, Health, MESSAGE_LIMIT,
        Service, ShareCustody, SigningEnclave, SocketError, TlsListener,
    },
    held::HeldShares,
    identity::{IdentityError, InstanceKey},
    key::Environment,
    kms::{
        Kms, Rewrapper,
        local::{KekFileError, Local},
        vault_transit::{self, SettingsError, VaultTransit},
    },
    memory::{Budget, SecretMemoryError},
    policy::{Policies, PolicyProblem},
    projection::Counting,
    proto::{
        share_custody_server::ShareCustodyServer, signing_enclave_server::SigningEnclaveServer,
    },
    rate::Rates,
    refresh::{self, Reloading},
    rotation,
    shutdown::Draining,
    sign::Signing,
    store::{
        ShareStore, StoreError,
        directory::Directory,
        postgres::{self, Postgres},
        sqlite::Sqlite,
        vault_kv::VaultKv,
    },
    telemetry::{
        Metrics, endpoint,
        traces::{Queued, Traces, TracesError},
    },
};
use listeners::Listeners;

pub use listeners::{Tls, tls};

/// Everything that is started, bound and ready to run.
pub struct App {
    signing: Signing,
    config: Config,
    listeners: Listeners,
    webhook: Option<Webhook>,
    central: Option<CentralLog>,
    traces: Option<Traces>,
    reloading: Reloading,
}

/// A listener or the watching of readiness panicked.
#[derive(Debug, thiserror::Error)]
#[error("a part of the server failed")]
pub struct PartFailed;

/// Why the process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Secret memory cannot be had.
    #[error(transparent)]
    Memory(#[from] SecretMemoryError),
    /// An algorithm fails its self-test.
    #[error("self-test: {0}")]
    SelfTest(EnclaveError),
    /// The policies have problems.
    #[error("{}", join(.0))]
    Policy(Vec<PolicyProblem>),
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// Vault's settings are unusable.
    #[error("vault: {0}")]
    Vault(#[from] SettingsError),
    /// The KEK file cannot be used.
    #[error("{0}: {1}")]
    KekFile(std::path::PathBuf, KekFileError),
    /// The audit log cannot be opened.
    #[error("audit.directory: {0}")]
    Audit(#[from] OpenError),
    /// The webhook of the audit log cannot be used.
    #[error("audit.webhook: {0}")]
    Webhook(#[from] WebhookError),
    /// The database that the audit log is copied into cannot be used.
    #[error("audit.postgres: {0}")]
    Central(StoreError),
    /// The key that signs the audit log is not this instance's.
    #[error("audit: {0}")]
    Identity(#[from] IdentityError),
    /// A socket cannot be bound.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The files of the TLS listeners have problems.
    #[error("{}", join(.0))]
    TlsFiles(Vec<FileProblem>),
    /// A TLS listener cannot be bound.
    #[error("{0}.address: {1}: {2}")]
    Tls(&'static str, SocketAddr, std::io::Error),
    /// Traces cannot be sent.
    #[error("traces: {0}")]
    Traces(#[from] TracesError),
    /// The metrics listener cannot be bound.
    #[error("metrics.listen: {0}")]
    Metrics(std::io::Error),
}

fn join(problems: &[impl ToString]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The enclave that a configuration needs. First of all parts, because it decides
/// whether the process may run at all, and before the process starts a thread.
///
/// # Errors
/// `Memory` and `SelfTest`.
pub fn enclave(config: &Config) -> Result<Enclave, StartError> {
    let enclave = Enclave::start(config.budget(), config.require)?;
    enclave.self_test().map_err(StartError::SelfTest)?;
    Ok(enclave)
}

/// What is measured of a process with this configuration.
pub fn metrics(config: &Config) -> Metrics {
    let tls: Vec<_> = config.listen.over_tls().map(|tls| tls.files.service).collect();
    let metrics = if tls.is_empty() { Metrics::new() } else { Metrics::with_tls(&tls) };
    let Budget { slots, large_slots, .. } = config.budget();
    metrics.set_slots(slots + large_slots);
    metrics
}

/// The audit log of a configuration, and the thread that writes it: stopped last, when
/// nobody is left who could have something to say.
///
/// # Errors
/// `Audit`.
pub fn audit(config: &Config, metrics: &Metrics) -> Result<(Audit, Writing), StartError> {
    let start = Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: config.environment.to_string(),
        configuration: Some(config.fingerprint.into()),
        protection: enclave::level().0.as_str().to_owned(),
    };
    Ok(Audit::open(&config.audit, start, metrics.clone())?)
}

/// Puts together what signing needs, in the order of a request.
///
/// # Errors
/// See [`StartError`].
pub async fn signing(
    config: &Config,
    enclave: Enclave,
    audit: Audit,
    metrics: Metrics,
) -> Result<Signing, StartError> {
    let policy = Policies::load(&config.policies, config.facts()).map_err(StartError::Policy)?;
    audit.note(Event::Policies {
        count: policy.current().count(),
        fingerprint: policy.fingerprint().into(),
    });
    let store = store(&config.store).await?;
    let kms = kms(&config.kms, &config.environment, enclave.pool())?;
    let signing = Signing {
        environment: config.environment.clone(),
        policy: Arc::new(policy),
        audit,
        identity: InstanceKey::beside(&config.audit.directory),
        store,
        kms,
        enclave,
        rates: Rates::new(&config.callers, config.limits.rates, metrics.clone()),
        held: HeldShares::default(),
        metrics,
    };
    match signing.identify(Instant::now() + PATIENCE).await {
        Ok(_) => {}
        // Whoever needs it tries again.
        Err(IdentityError::Kms(error)) if !error.is_of_the_record() => {
            tracing::warn!(%error, "The log is not signed yet");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(signing)
}

/// How long a start waits for a KMS.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store of a configuration.
///
/// # Errors
/// `Store` and `Vault`.
pub async fn store(config: &StoreConfig) -> Result<Arc<dyn ShareStore>, StartError> {
    Ok(match config {
        StoreConfig::Sqlite { path } => Arc::new(Sqlite::open(path)?),
        StoreConfig::Postgres(settings) => Arc::new(Postgres::open(settings.clone()).await?),
        StoreConfig::VaultKv(settings) => Arc::new(VaultKv::open((**settings).clone())?),
        StoreConfig::Directory { path } => Arc::new(Directory::open(path)?),
    })
}

/// The table that the audit log is copied into. Its database may be away.
///
/// # Errors
/// `Central`.
pub fn central(settings: &postgres::Settings) -> Result<Table, StartError> {
    Table::new(settings).map_err(StartError::Central)
}

/// The KMS of a configuration, for who signs and makes shares: without the rotator's login,
/// which is another process's.
///
/// # Errors
/// `Vault` and `KekFile`.
pub fn kms(
    config: &KmsConfig,
    environment: &Environment,
    pool: &SecretPool,
) -> Result<Arc<dyn Kms>, StartError> {
    Ok(match config {
        KmsConfig::Local { kek_file } => Arc::new(local(kek_file, environment, pool)?),
        KmsConfig::VaultTransit(settings) => {
            let settings = vault_transit::Settings { rotator: None, ..(**settings).clone() };
            Arc::new(VaultTransit::start(settings)?)
        }
    })
}

/// What a rotation gets of the KMS of a configuration: the rotator's login alone.
///
/// # Errors
/// `Vault` and `KekFile`.
pub fn rewrapper(
    config: &KmsConfig,
    environment: &Environment,
    pool: &SecretPool,
) -> Result<Rewrapper, StartError> {
    let kms: Arc<dyn Kms> = match config {
        KmsConfig::Local { kek_file } => Arc::new(local(kek_file, environment, pool)?),
        KmsConfig::VaultTransit(settings) => {
            let settings =
                vault_transit::Settings { signer: None, custodian: None, ..(**settings).clone() };
            Arc::new(VaultTransit::start(settings)?)
        }
    };
    Ok(Rewrapper::new(kms))
}

fn local(file: &Path, environment: &Environment, pool: &SecretPool) -> Result<Local, StartError> {
    Local::open(file, environment, pool)
        .map_err(|error| StartError::KekFile(file.to_owned(), error))
}

impl App {
    /// Starts every part and binds every listener, so that what fails fails
    /// before the first request.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(
        config: Config,
        enclave: Enclave,
        audit: Audit,
        metrics: Metrics,
        tls: Vec<Tls>,
        spans: Option<Queued>,
    ) -> Result<Self, StartError> {
        let signing = signing(&config, enclave, audit, metrics).await?;
        Self::over(signing, config, tls, spans).await
    }

    /// Binds the listeners over parts that are there already; the TLS listeners are those
    /// of `tls`, and without spans nothing is traced.
    ///
    /// # Errors
    /// A listener cannot be bound.
    pub async fn over(
        signing: Signing,
        config: Config,
        tls: Vec<Tls>,
        spans: Option<Queued>,
    ) -> Result<Self, StartError> {
        let listeners = Listeners::bind(&config, tls, &signing.metrics).await?;
        let webhook = config.audit.webhook.as_ref();
        let webhook = webhook.map(|webhook| Webhook::new(webhook, signing.metrics.clone()));
        let webhook = webhook.transpose()?;
        let central = config.central.as_ref().map(central).transpose()?;
        let central = central.map(|table| {
            let audit = signing.audit.clone();
            let copier = Copier::new(table, audit.instance(), &config.audit.directory);
            CentralLog::new(copier, audit, signing.metrics.clone())
        });
        let traces = config.traces.as_ref().zip(spans);
        let traces = traces.map(|(settings, spans)| {
            Traces::new(settings, &config.environment, spans, signing.metrics.clone())
        });
        let traces = traces.transpose()?;
        let reloading = Reloading::default();
        Ok(Self { signing, config, listeners, webhook, central, traces, reloading })
    }

    /// The KMS, for whoever closes it when nothing uses it any more.
    pub fn kms(&self) -> Arc<dyn Kms> {
        Arc::clone(&self.signing.kms)
    }

    /// The store, for whoever closes it likewise.
    pub fn store(&self) -> Arc<dyn ShareStore> {
        Arc::clone(&self.signing.store)
    }

    /// Where the TLS listener of a service is bound.
    pub fn tls_address(&self, service: Service) -> Option<SocketAddr> {
        self.listeners.tls(service)?.address().ok()
    }

    /// What the TLS listener of a service is made of.
    pub fn credentials(&self, service: Service) -> Option<Arc<Credentials>> {
        Some(self.listeners.tls(service)?.credentials())
    }

    /// For whoever is told that policies or TLS files changed.
    pub fn reloading(&self) -> Reloading {
        self.reloading.clone()
    }

    /// Runs until `draining` starts and what is in flight has finished.
    ///
    /// # Errors
    /// A part ended before its time; the others were ended with it.
    pub async fn run(self, draining: Draining) -> Result<(), PartFailed> {
        let Self { signing, config, listeners, webhook, mut central, mut traces, reloading } = self;
        let limits = config.limits;
        let metrics = signing.metrics.clone();
        let credentials = listeners.tls.iter().map(TlsListener::credentials).collect();
        let gate = gate(&config, &signing);
        let room = limits.connections.connections;
        let connections = Connections::new(room, config.callers.clone(), metrics.clone());
        let (health, health_service) = Health::new(config.callers.clone(), metrics.clone()).await;
        let mut parts = JoinSet::new();
        let mut listen = |socket, routes| {
            let (connections, draining) = (connections.clone(), draining.clone());
            parts.spawn(grpc::serve(socket, routes, connections, limits.connections, draining));
        };

        let service = SigningEnclave::new(signing.clone(), limits.session, draining.clone());
        let service = SigningEnclaveServer::new(service).max_decoding_message_size(MESSAGE_LIMIT);
        let signing_routes = Routes::new(gate.before(service)).add_service(health_service.clone());
        // One for all its listeners: an import may begin on one and end on another.
        let service = ShareCustody(Custody::new(signing.clone(), config.destroy_after));
        let service = ShareCustodyServer::new(service).max_decoding_message_size(MESSAGE_LIMIT);
        let custody_routes = Routes::new(gate.before(service)).add_service(health_service);
        listen(listeners.enclave, signing_routes.clone());
        if let Some(custody) = listeners.custody {
            listen(custody, custody_routes.clone());
        }
        for tls in listeners.tls {
            parts.spawn(tls.credentials().follow(draining.clone()));
            let routes = match tls.credentials().service() {
                Service::Signing => signing_routes.clone(),
                Service::Custody => custody_routes.clone(),
            };
            parts.spawn(grpc::serve_tls(
                tls,
                routes,
                connections.clone(),
                limits.connections,
                metrics.clone(),
                draining.clone(),
            ));
        }
        if let Some(listener) = listeners.metrics {
            parts.spawn(endpoint::serve(listener, metrics.clone(), draining.clone()));
        }
        let policies = refresh::watch(
            Arc::clone(&signing.policy),
            signing.audit.clone(),
            credentials,
            reloading,
            health.of_policies(),
            metrics.clone(),
            draining.clone(),
        );
        parts.spawn(policies);
        parts.spawn(signing.held.clone().follow(Arc::clone(&signing.store), draining.clone()));
        let kms = Arc::clone(&signing.kms);
        parts.spawn(rotation::follow(kms, metrics.clone(), draining.clone()));
        let audit = signing.audit.clone();
        let mut counting = Counting::new(&signing, config.audit.directory);
        parts.spawn(health.watch(signing, config.unready_after, draining));
        let serving = async {
            while let Some(ended) = parts.join_next().await {
                // The rest is dropped, and with it every socket: a process that serves
                // in part would look alive.
                ended.map_err(|_| PartFailed)?;
            }
            Ok(())
        };
        let delivering =
            OptionFuture::from(webhook.as_ref().map(|webhook| webhook.follow(audit.checkpoints())));
        let copying = OptionFuture::from(central.as_mut().map(CentralLog::follow));
        let following = OptionFuture::from(counting.as_mut().map(Counting::follow));
        let tracing = OptionFuture::from(traces.as_mut().map(Traces::follow));
        let served = tokio::select! {
            served = serving => served,
            Some(()) = delivering => Err(PartFailed),
            Some(()) = copying => Err(PartFailed),
            Some(()) = following => Err(PartFailed),
            Some(()) = tracing => Err(PartFailed),
        };
        // With every request that was answered, and what became of it.
        audit.ship().await;
        let checkpoints = audit.checkpoints();
        let deliver = webhook.as_ref().map(|webhook| webhook.deliver_last(&checkpoints));
        let copy = central.as_mut().map(CentralLog::copy_last);
        let count = counting.as_mut().map(Counting::count_last);
        let send = traces.as_mut().map(Traces::send_last);
        tokio::join!(
            OptionFuture::from(deliver),
            OptionFuture::from(copy),
            OptionFuture::from(count),
            OptionFuture::from(send),
        );
        served
    }
}

fn gate(config: &Config, signing: &Signing) -> Gate {
    let Limits { unary, streams, session, deadline, longest_deadline, .. } = config.limits;
    Gate {
        callers: config.callers.clone(),
        own_deadline: deadline,
        longest_deadline,
        stream_deadline: session.idle + session.open_within + session.lifetime,
        rates: signing.rates.clone(),
        unary: Admission::new(unary),
        streams: Admission::new(streams),
        metrics: signing.metrics.clone(),
        audit: signing.audit.clone(),
    }
}
