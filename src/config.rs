//! The configuration: one TOML file, read whole before anything is started.
//!
//! Every problem is reported at once, with its line and what to write instead.
//! Keys that nobody knows are refused. Secrets are never written into the file:
//! where one is needed, the file names a path.
#![forbid(unsafe_code)]

pub(crate) mod amount;
mod audit;
pub(crate) mod callers;
pub(crate) mod document;
mod kms;
mod limits;
mod rate;
mod store;
pub(crate) mod tags;
mod tls;
mod traces;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tracing::Level;

use crate::{
    audit::Settings,
    caller::Callers,
    enclave,
    grpc::{Service, Socket},
    import,
    key::Environment,
    kms::local,
    memory::{self, Budget},
    policy::{Facts, Known, Tags, amount::AmountLimits},
    store::postgres,
    telemetry,
};

pub use document::Problem;
use document::Table;
pub use kms::KmsConfig;
pub use limits::Limits;
pub use store::StoreConfig;
pub use tls::TlsConfig;

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The environment that this process serves.
    pub environment: Environment,
    /// Where it listens.
    pub listen: Listen,
    /// Who may call at all.
    pub callers: Callers,
    /// The directory of Cedar policies.
    pub policies: PathBuf,
    /// The limits on amounts that policies name.
    pub amounts: AmountLimits,
    /// What policies are told about shares.
    pub tags: Tags,
    /// Where records are kept.
    pub store: StoreConfig,
    /// What wraps DEKs.
    pub kms: KmsConfig,
    /// How long a share waits for its destruction.
    pub destroy_after: Duration,
    /// How long store or KMS may be away before the process is not ready.
    pub unready_after: Duration,
    /// Where requests are recorded.
    pub audit: Settings,
    /// Which database the records are copied into, if any.
    pub central: Option<postgres::Settings>,
    /// What may be in flight, and for how long.
    pub limits: Limits,
    /// What is logged.
    pub log_level: Level,
    /// Where `GET /metrics` is served, if at all: on loopback, unless the configuration says
    /// in so many words that the network may reach it.
    pub metrics: Option<SocketAddr>,
    /// Which collector requests are told of, if any.
    pub traces: Option<telemetry::traces::Settings>,
    /// The runtime's worker threads.
    pub workers: usize,
    /// What must protect secret memory at least.
    pub require: memory::Level,
    /// SHA-256 of the text that it was read from.
    pub fingerprint: [u8; 32],
}

/// Shares of more than 4 KiB that are open at once: few keys are so long.
const LARGE_SLOTS: usize = 2;

/// The sockets and the TLS listeners.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The application's socket.
    pub enclave: PathBuf,
    /// The operators' socket, if custody is offered at all.
    pub custody: Option<PathBuf>,
    /// The application's service over TLS, if it is offered at all.
    pub tls: Option<TlsConfig>,
    /// The operators' service over TLS, if it is offered at all.
    pub custody_tls: Option<TlsConfig>,
    /// The mode of the application's socket.
    pub mode: u32,
    /// The mode of the operators' socket.
    pub custody_mode: u32,
}

impl Listen {
    /// The TLS listeners.
    pub fn over_tls(&self) -> impl Iterator<Item = &TlsConfig> {
        self.tls.iter().chain(&self.custody_tls)
    }

    /// Whether custody is offered, in whichever way.
    pub fn offers_custody(&self) -> bool {
        self.custody.is_some() || self.custody_tls.is_some()
    }
}

/// The problems of one file: a configuration, or cases for policies.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.report())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    fn report(&self) -> String {
        let file = self.file.display();
        let lines = self.problems.iter().map(|problem| {
            let Problem { line, message } = problem;
            format!("{file}:{line}: {message}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or every problem that it has.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        load(file, Self::parse)
    }

    /// How much secret memory this configuration takes.
    pub fn budget(&self) -> Budget {
        let (kek_slots, threads) = match self.kms {
            KmsConfig::Local { .. } => (local::VERSIONS_MAX, 0),
            KmsConfig::VaultTransit(_) => (0, 1),
        };
        let imports = if self.listen.offers_custody() { import::LIVE_MAX } else { 0 };
        Budget {
            // One for the key that signs the audit log.
            slots: self.limits.slots() + kek_slots + 1 + imports,
            large_slots: LARGE_SLOTS,
            // A section occupies a worker, not a request; the audit log's thread has few.
            sections: self.workers,
            threads,
        }
    }

    /// What policies are told by this configuration and this machine.
    pub fn facts(&self) -> Facts {
        let groups = self.callers.iter().flat_map(|caller| &caller.groups);
        let known = Known {
            callers: self.callers.iter().map(|caller| caller.name.to_string()).collect(),
            groups: groups.map(ToString::to_string).collect(),
            environment: self.environment.to_string(),
            limits: self.amounts.names().map(ToOwned::to_owned).collect(),
        };
        Facts {
            limits: self.amounts.clone(),
            tags: self.tags.clone(),
            protection: enclave::level().0,
            known: Some(known),
        }
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Every problem that it has.
    pub fn parse(source: &str) -> Result<Self, Vec<Problem>> {
        let fingerprint = Sha256::digest(source).into();
        document::parse(source, |root| read(root, fingerprint))
    }
}

/// Reads a file with `parse`.
///
/// # Errors
/// It cannot be read, or every problem that it has.
pub(crate) fn load<T>(
    file: &Path,
    parse: impl FnOnce(&str) -> Result<T, Vec<Problem>>,
) -> Result<T, ConfigError> {
    let file = file.to_owned();
    match std::fs::read_to_string(&file) {
        Ok(source) => parse(&source).map_err(|problems| ConfigError { file, problems }),
        Err(error) => {
            let message = format!("cannot be read: {error}");
            Err(ConfigError { file, problems: vec![Problem { line: 1, message }] })
        }
    }
}

/// Reads everything before giving up on anything.
fn read(root: Table<'_>, fingerprint: [u8; 32]) -> Option<Config> {
    let environment: Option<Environment> =
        root.name_of("environment", "the name of this environment, such as \"staging\"");
    let listen = listen(root.table("listen"));
    let callers = callers::read(root.tables("caller"), &root, listen.as_ref());
    let policy = root.table("policy");
    let policies = policy.path("directory", "the directory of Cedar policies");
    policy.finish();
    let amounts = amount::read(root.tables("amount_limit"));
    let tags = tags::read(root.tables("tags"));
    let store = store::read(root.table("store"));
    let in_vault = matches!(store, Some(store::Told::VaultKv { .. }));
    let (kms, vault) =
        kms::read(root.table("kms"), root.table("vault"), in_vault, environment.as_ref());
    let store = store.and_then(|store| store.with(vault, environment.as_ref()));
    let destroy_after = destroy_after(root.table("custody"));
    let unready_after = unready_after(root.table("health"));
    let audit = audit::read(root.table("audit"), environment.as_ref());
    let limits = limits::read(root.table("limits"), root.table("session"));
    let log_level = log_level(root.table("log"));
    let metrics = metrics(root.table("metrics"), listen.as_ref());
    let traces = traces::read(root.table("traces"));
    let workers = workers(root.table("runtime"));
    let require = require(root.table("memory"), environment.as_ref());
    root.finish();
    let (audit, central) = audit?;
    Some(Config {
        environment: environment?,
        listen: listen?,
        callers: callers?,
        policies: policies?,
        amounts: amounts?,
        tags: tags?,
        store: store?,
        kms: kms?,
        destroy_after: destroy_after?,
        unready_after: unready_after?,
        audit,
        central,
        limits: limits?,
        log_level: log_level?,
        metrics: metrics?,
        traces: traces?,
        workers: workers?,
        require: require?,
        fingerprint,
    })
}

fn listen(table: Table<'_>) -> Option<Listen> {
    let enclave = table.path("enclave", "the path of the application's socket");
    let custody = table.optional_text("custody").map(PathBuf::from);
    let mode = |key| {
        table.or(key, "\"0600\", \"0660\" or \"0666\"", 0o660, |value| match value.as_str()? {
            "0600" => Some(0o600),
            "0660" => Some(0o660),
            "0666" => Some(0o666),
            _ => None,
        })
    };
    let (mode, custody_mode) = (mode("mode"), mode("custody_mode"));
    let tls = tls::read(table.table("tls"), Service::Signing, None);
    let signing = tls.as_ref().and_then(Option::as_ref);
    let custody_tls = tls::read(table.table("custody_tls"), Service::Custody, signing);
    for socket in [&enclave, &custody].into_iter().flatten() {
        if Socket::is_too_long(socket) {
            table.note(format!(
                "the path {} is too long for a socket: use a shorter directory",
                socket.display()
            ));
        }
    }
    if enclave.is_some() && enclave == custody {
        table.note("`listen.enclave` and `listen.custody` must be different sockets");
    }
    table.finish();
    Some(Listen {
        enclave: enclave?,
        custody,
        tls: tls?,
        custody_tls: custody_tls?,
        mode: mode?,
        custody_mode: custody_mode?,
    })
}

/// Long enough for somebody to notice, unless told otherwise.
fn destroy_after(table: Table<'_>) -> Option<Duration> {
    let week = Duration::from_secs(7 * 24 * 3600);
    let after = table.duration("destroy_after", week, Duration::ZERO..=52 * week);
    table.finish();
    after
}

/// Longer than a leader election or a rolling restart takes, unless told otherwise.
fn unready_after(table: Table<'_>) -> Option<Duration> {
    let longest = Duration::from_secs(3600);
    let after = table.duration("unready_after", Duration::from_secs(30), Duration::ZERO..=longest);
    table.finish();
    after
}

fn log_level(table: Table<'_>) -> Option<Level> {
    let what = "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"";
    let level = table.or("level", what, Level::INFO, |value| value.as_str()?.parse().ok());
    table.finish();
    level
}

fn metrics(table: Table<'_>, listeners: Option<&Listen>) -> Option<Option<SocketAddr>> {
    let what = "an IP address and a port, such as \"127.0.0.1:9464\"";
    let listen: Option<Option<SocketAddr>> =
        table.or("listen", what, None, |value| Some(Some(value.as_str()?.parse().ok()?)));
    let from_network =
        table.or("reachable_from_network", "true or false", false, |value| value.as_bool());
    if let (Some(Some(address)), Some(false)) = (listen, from_network)
        && !address.ip().is_loopback()
    {
        table.note(format!(
            "`metrics.listen` {address} is not a loopback address: whoever is on its network can \
             read the metrics; write `reachable_from_network = true` if that is meant"
        ));
    }
    if let Some(Some(address)) = listen {
        for other in listeners.into_iter().flat_map(Listen::over_tls) {
            other.refuse_beside(&table, "metrics.listen", address);
        }
    }
    table.finish();
    from_network?;
    listen
}

fn workers(table: Table<'_>) -> Option<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let default = u32::try_from(cores.min(8)).unwrap_or(8);
    let workers = table.number("workers", Some(default), 1..=64);
    table.finish();
    workers.map(|workers| workers as usize)
}

/// Where real keys are, the weaker protection is not fallen back to unasked.
fn require(table: Table<'_>, environment: Option<&Environment>) -> Option<memory::Level> {
    let default = match environment.is_some_and(Environment::is_production) {
        true => memory::Level::MemfdSecret,
        false => memory::Level::Mlock,
    };
    let levels = memory::Level::ALL;
    let require = table.or("require", "\"memfd_secret\" or \"mlock\"", default, |value| {
        let name = value.as_str()?;
        levels.into_iter().find(|level| level.as_str() == name)
    });
    table.finish();
    require
}
