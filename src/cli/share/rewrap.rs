//! `countersign share rewrap`.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{share_id, wallet_id};
use crate::{
    audit::{Audit, Settings, record::Start},
    cli::{block_on_threads, failure::Failure, progress, rotator::Rotator},
    enclave,
    key::{ShareId, WalletId},
    kms::BATCH_MAX,
    rotation::{Canary, Census, Failed, Report, Rewrapping},
    shutdown::{Shutdown, signalled},
    telemetry::{Metrics, log},
};

/// Move every wrapped DEK to the newest version of the KEK
///
/// A process of its own, with the rotator's login and an audit log of its own. It sees no
/// plaintext, and signers go on signing. What was done is in the records: run it again
/// after it was stopped or killed. Exit code 1 where a record stays behind.
#[derive(Args)]
pub struct Rewrap {
    /// The configuration file: environment, store and KMS, with [vault.rotator]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The directory of the rotator's own audit log
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    audit: Option<PathBuf>,
    /// Count what would be rewrapped, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The most records a second
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// The most records of one request to the KMS
    #[arg(long, value_name = "N", default_value_t = BATCH_MAX as u32,
          value_parser = clap::value_parser!(u32).range(1..=BATCH_MAX as i64))]
    batch: u32,
    /// A signer's socket: it opens the canary's share after that was rewrapped, first of
    /// all, and at the end
    #[arg(long, value_name = "PATH", requires_all = ["share_id", "wallet_id"])]
    canary: Option<PathBuf>,
    /// The canary's share
    #[arg(long, value_name = "UUID", value_parser = share_id, requires = "canary")]
    share_id: Option<ShareId>,
    /// Its wallet
    #[arg(long, value_name = "ID", value_parser = wallet_id, requires = "canary")]
    wallet_id: Option<WalletId>,
    /// The audit log's directory of another instance, whose key is moved as well; the
    /// configured one always is. May be given more than once
    #[arg(long, value_name = "DIR")]
    instance: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A report as it is printed.
#[derive(Serialize)]
struct Printed {
    newest_version: u32,
    looked_at: u64,
    rewrapped: u64,
    current: u64,
    other_kek: u64,
    gone: u64,
    instances: usize,
    failed: BTreeMap<String, String>,
    stopped: bool,
}

impl Rewrap {
    pub fn run(self) -> Result<(), Failure> {
        let rotator = Rotator::load(&self.config)?;
        log::start(rotator.config.log_level);
        let writing = match &self.audit {
            _ if self.dry_run => None,
            Some(directory) => Some(open_audit(&rotator, directory)?),
            None => return Err(Failure::new("--audit is missing")),
        };
        let audit = writing.as_ref().map(|(audit, _)| audit.clone());
        let done = block_on_threads(1, async {
            match audit {
                None => self.count(&rotator).await,
                Some(audit) => self.rewrap(&rotator, audit).await,
            }
        });
        if let Some((audit, writing)) = writing {
            drop(audit);
            writing.stop();
        }
        done
    }

    async fn count(&self, rotator: &Rotator) -> Result<(), Failure> {
        let kms = rotator.kms()?;
        let records = rotator.records(&kms).await?;
        let counted = async {
            let versions = kms.versions(soon()).await;
            let versions = versions.map_err(|error| Failure::new(format!("kms: {error}")))?;
            let newest = versions.newest().map_or(0, |newest| newest.number);
            let bar = progress::bar(records.count().await.map_err(store)?);
            let census = Census::take(&records, |count| bar.set_position(count)).await;
            bar.finish_and_clear();
            let census = census.map_err(store)?;
            let (behind, other) = (census.before(newest), census.other_kek);
            let mut out = io::stdout();
            if self.json {
                let told = serde_json::json!({
                    "newest_version": newest, "to_rewrap": behind, "other_kek": other,
                    "unreadable": census.unreadable.len(),
                });
                writeln!(out, "{told}")?;
            } else {
                writeln!(out, "{behind} records are to be rewrapped by version {newest}")?;
            }
            Ok(())
        };
        let counted = counted.await;
        tokio::join!(kms.close(), records.close());
        counted
    }

    async fn rewrap(self, rotator: &Rotator, audit: Audit) -> Result<(), Failure> {
        let kms = rotator.kms()?;
        let records = rotator.records(&kms).await?;
        let instances = rotator.instances(&self.instance, &kms)?;
        let canary = self.canary.zip(self.share_id).zip(self.wallet_id);
        let canary = canary.map(|((socket, share), wallet)| Canary { socket, share, wallet });
        let (shutdown, draining) = Shutdown::new();
        let (batch, rate) = (self.batch as usize, self.rate);
        let bar = progress::bar(records.count().await.map_err(store)?);
        let rewrapping = Rewrapping { records, kms, audit, batch, rate, canary, draining };
        let working = async {
            let report = rewrapping.run(|count| bar.set_position(count)).await?;
            for (_, wrapping) in &instances {
                let moved = rewrapping.instance(wrapping).await;
                moved.map_err(|error| Failed { report: report.clone(), error })?;
            }
            Ok::<_, Failed>(report)
        };
        tokio::pin!(working);
        let done = loop {
            tokio::select! {
                done = &mut working => break done,
                // The batch that is under way is brought to its end.
                signal = signalled() => { signal?; shutdown.start(); }
            }
        };
        bar.finish_and_clear();
        tokio::join!(rewrapping.kms.close(), rewrapping.records.close());
        let (report, error) = match done {
            Ok(report) => (report, None),
            Err(Failed { report, error }) => (report, Some(error)),
        };
        let is_whole = report.failed.is_empty() && !report.stopped && report.other_kek == 0;
        Printed::new(report, instances.len()).print(self.json)?;
        match error {
            Some(error) => Err(Failure::new(error.to_string())),
            None if is_whole => Ok(()),
            None => Err(Failure::told()),
        }
    }
}

impl Printed {
    fn new(report: Report, instances: usize) -> Self {
        let failed = report.failed.into_iter();
        Self {
            newest_version: report.newest,
            looked_at: report.looked_at,
            rewrapped: report.rewrapped,
            current: report.current,
            other_kek: report.other_kek,
            gone: report.gone,
            instances,
            failed: failed.map(|(share, problem)| (share.to_string(), problem)).collect(),
            stopped: report.stopped,
        }
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        writeln!(out, "newest version  {}", self.newest_version)?;
        writeln!(out, "looked at       {} records", self.looked_at)?;
        writeln!(out, "rewrapped       {}", self.rewrapped)?;
        writeln!(out, "at it already   {}", self.current)?;
        if self.gone > 0 {
            writeln!(out, "gone meanwhile  {}", self.gone)?;
        }
        if self.other_kek > 0 {
            writeln!(out, "another KEK     {}: see `countersign share migrate`", self.other_kek)?;
        }
        writeln!(out, "instances' keys {}", self.instances)?;
        for (share, problem) in &self.failed {
            writeln!(out, "failed          {share}: {problem}")?;
        }
        if self.stopped {
            writeln!(out, "stopped before the end: run it again, and it goes on")?;
        }
        Ok(())
    }
}

/// The rotator's own log, which no other process may have.
fn open_audit(
    rotator: &Rotator,
    directory: &Path,
) -> Result<(Audit, crate::audit::Writing), Failure> {
    let config = &rotator.config;
    let same = |a: &Path, b: &Path| match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    if same(directory, &config.audit.directory) {
        return Err(Failure::new(format!(
            "{}: this is the log of the instance that the configuration is of; the rotator has one \
             of its own",
            directory.display()
        )));
    }
    let settings = Settings {
        directory: directory.to_owned(),
        // Nobody counts it, and nothing is removed that is not counted.
        keep: None,
        webhook: None,
        ..config.audit.clone()
    };
    let start = Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: config.environment.to_string(),
        configuration: Some(config.fingerprint.into()),
        protection: enclave::level().0.as_str().to_owned(),
    };
    Audit::open(&settings, start, Metrics::new())
        .map_err(|error| Failure::new(format!("--audit: {error}")))
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(30)
}

fn store(error: crate::store::StoreError) -> Failure {
    Failure::new(format!("store: {error}"))
}
