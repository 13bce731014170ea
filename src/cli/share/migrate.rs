//! `countersign share migrate`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use rustix::process::getuid;
use serde::Serialize;

use super::why;
use crate::{
    app, audit,
    caller::Caller,
    cli::{block_on_threads, failure::Failure, progress},
    config::{Config, KmsConfig, StoreConfig},
    enclave::Enclave,
    harden::{Reach, confine, filter, harden},
    key::Why,
    kms::{Kms, local},
    memory::Budget,
    migration::{Migration, Report},
    shutdown::{Shutdown, Signals},
    telemetry::log,
};

/// Move every record from one KEK to another, by sealing its share anew
///
/// An enclave of its own, which needs a login to both KMSs that wraps and unwraps, and a
/// caller whom policy permits `ReencryptShare`: the user who runs it. Signers cannot open
/// what is moved until they have the new configuration. Run it again after it was stopped
/// or killed. Exit code 1 where a record is not moved.
#[derive(Args)]
pub struct Migrate {
    /// The configuration of the store, the policies and the KMS that wraps now
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The configuration with the KMS that is to wrap; of the same environment and store
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The directory of this process's own audit log
    #[arg(long, value_name = "DIR")]
    audit: PathBuf,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", value_parser = why)]
    reason: Option<Why>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A report as it is printed.
#[derive(Serialize)]
struct Printed {
    looked_at: u64,
    moved: u64,
    current: u64,
    other_kek: u64,
    failed: BTreeMap<String, String>,
    stopped: bool,
}

impl Migrate {
    pub fn run(self) -> Result<(), Failure> {
        harden()?;
        let mut config = Config::load(&self.config)?;
        let to = Config::load(&self.to)?;
        self.fits(&config, &to)?;
        let caller = config.callers.by_uid(getuid().as_raw()).ok_or_else(|| {
            Failure::configuration(format!(
                "{}: no [[caller]] has the uid {}, which runs this",
                self.config.display(),
                getuid().as_raw()
            ))
        })?;
        log::start(config.log_level, None);
        config.audit.directory = self.audit.clone();
        config.audit.webhook = None;
        config.central = None;
        let enclave = Enclave::start(budget(&config, &to), config.require);
        let enclave = enclave.map_err(|error| Failure::new(error.to_string()))?;
        enclave.self_test().map_err(|error| Failure::new(format!("self-test: {error}")))?;
        audit::make(&config.audit.directory)
            .map_err(|error| Failure::new(format!("--audit: {error}")))?;
        confine(&reach(&config, &self.config, &to, &self.to))?;
        let metrics = app::metrics(&config);
        let (audit, writing) = app::audit(&config, &metrics)?;
        let done = block_on_threads(config.workers, async {
            let signing = app::signing(&config, enclave.clone(), audit, metrics).await?;
            let target = app::kms(&to.kms, &to.environment, enclave.pool())?;
            filter()?;
            let (source, store) = (Arc::clone(&signing.kms), Arc::clone(&signing.store));
            let moved = match differ(&*source, &*target) {
                Ok(()) => self.move_all(signing, Arc::clone(&target), caller).await,
                Err(failure) => Err(failure),
            };
            tokio::join!(source.close(), target.close(), store.close());
            moved
        });
        writing.stop();
        done
    }

    /// Whether both configurations are of the same records.
    fn fits(&self, config: &Config, to: &Config) -> Result<(), Failure> {
        let refused = |what: &str| {
            let (from, to) = (self.config.display(), self.to.display());
            Err(Failure::configuration(format!("{from} and {to} {what}")))
        };
        if config.environment != to.environment {
            return refused("are of different environments: a record is sealed for one");
        }
        if !is_same_store(&config.store, &to.store) {
            return refused("have different stores: records are moved within one");
        }
        Ok(())
    }

    async fn move_all(
        self,
        signing: crate::sign::Signing,
        to: Arc<dyn Kms>,
        caller: Arc<Caller>,
    ) -> Result<(), Failure> {
        let (shutdown, draining) = Shutdown::new();
        let total = count(&signing).await?;
        let bar = progress::bar(total);
        let migration = Migration { signing, to, caller, why: self.reason, draining };
        let working = migration.run(|count| bar.set_position(count));
        tokio::pin!(working);
        let mut signals = Signals::new()?;
        let (report, ended) = loop {
            tokio::select! {
                ended = &mut working => break ended,
                _ = signals.next() => shutdown.start(),
            }
        };
        bar.finish_and_clear();
        let is_whole = report.failed.is_empty() && !report.stopped && report.other_kek == 0;
        Printed::from(report).print(self.json)?;
        ended.map_err(|error| Failure::new(format!("store: {error}")))?;
        if is_whole { Ok(()) } else { Err(Failure::told()) }
    }
}

/// Two KMSs whose KEKs have one name cannot be told apart in a record.
fn differ(source: &dyn Kms, target: &dyn Kms) -> Result<(), Failure> {
    if source.kek() != target.kek() {
        return Ok(());
    }
    Err(Failure::configuration(format!(
        "both KEKs are {}: give the new one another name or mount, so that records say which wraps \
         them; to seal shares anew under the same KEK, use `countersign share reencrypt`",
        source.kek()
    )))
}

/// Secret memory for both KMSs and one share at a time.
fn budget(config: &Config, to: &Config) -> Budget {
    let locals = [&config.kms, &to.kms];
    let locals = locals.iter().filter(|kms| matches!(kms, KmsConfig::Local { .. })).count();
    Budget {
        slots: 8 + locals * local::VERSIONS_MAX,
        large_slots: 4,
        sections: config.workers,
        threads: 2 - locals,
    }
}

/// What both configurations take.
fn reach(config: &Config, file: &Path, to: &Config, to_file: &Path) -> Reach {
    let mut reach = Reach::of(config, file);
    let other = Reach::of(to, to_file);
    reach.reads.extend(other.reads);
    reach.writes.extend(other.writes);
    reach.connects.extend(other.connects);
    // Nothing listens here.
    reach.sockets.clear();
    reach.listens.clear();
    reach
}

fn is_same_store(a: &StoreConfig, b: &StoreConfig) -> bool {
    match (a, b) {
        (StoreConfig::Sqlite { path: a }, StoreConfig::Sqlite { path: b }) => a == b,
        (StoreConfig::Postgres(a), StoreConfig::Postgres(b)) => {
            (&a.host, a.port, &a.database) == (&b.host, b.port, &b.database)
        }
        (StoreConfig::VaultKv(a), StoreConfig::VaultKv(b)) => {
            (&a.server.addresses, &a.server.namespace, &a.mount, &a.prefix)
                == (&b.server.addresses, &b.server.namespace, &b.mount, &b.prefix)
        }
        _ => false,
    }
}

/// How many records there are.
async fn count(signing: &crate::sign::Signing) -> Result<u64, Failure> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = signing.store.list(&signing.environment, None, after, 1000).await;
        let page = page.map_err(|error| Failure::new(format!("store: {error}")))?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.identity.share);
        count += page.len() as u64;
    }
}

impl From<Report> for Printed {
    fn from(report: Report) -> Self {
        let failed = report.failed.into_iter();
        Self {
            looked_at: report.looked_at,
            moved: report.moved,
            current: report.current,
            other_kek: report.other_kek,
            failed: failed.map(|(share, problem)| (share.to_string(), problem)).collect(),
            stopped: report.stopped,
        }
    }
}

impl Printed {
    fn print(&self, json: bool) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        writeln!(out, "looked at    {} records", self.looked_at)?;
        writeln!(out, "moved        {}", self.moved)?;
        writeln!(out, "moved before {}", self.current)?;
        if self.other_kek > 0 {
            writeln!(out, "a third KEK  {}", self.other_kek)?;
        }
        for (share, problem) in &self.failed {
            writeln!(out, "failed       {share}: {problem}")?;
        }
        if self.stopped {
            writeln!(out, "stopped before the end: run it again, and it goes on")?;
        }
        Ok(())
    }
}
