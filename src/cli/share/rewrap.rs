//! `countersign share rewrap`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;

use super::{share_id, wallet_id};
use crate::{
    audit::Audit,
    cli::{block_on_threads, failure::Failure, progress, rotator::Rotator},
    key::{ShareId, WalletId},
    kms::{BATCH_MAX, Rewrapper},
    rotation::{Canary, Census, Failed, Records, Report, Rewrapping},
    shutdown::{Draining, Shutdown, Signals},
    telemetry::log,
};

/// Move every wrapped DEK to the newest version of the KEK
///
/// A process of its own, with the rotator's login and an audit log of its own. It sees no
/// plaintext, and signers go on signing. What was done is in the records: run it again
/// after it was stopped or killed. Exit code 1 where a record stays behind.
#[derive(Args)]
pub struct Rewrap {
    #[command(flatten)]
    how: How,
    /// The directory of the rotator's own audit log
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    audit: Option<PathBuf>,
    /// Count what would be rewrapped, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How records are moved to the newest version.
#[derive(Args)]
pub struct How {
    /// The configuration file: environment, store and KMS, with [vault.rotator]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
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
    pub instance: Vec<PathBuf>,
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
        let rotator = self.how.rotator()?;
        let writing = match &self.audit {
            _ if self.dry_run => None,
            Some(directory) => Some(rotator.audit(directory)?),
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
        let instances = rotator.instances(&self.how.instance, &kms)?;
        let (shutdown, draining) = Shutdown::new();
        let bar = progress::bar(records.count().await.map_err(store)?);
        let rewrapping = self.how.rewrapping(records, kms, audit, draining);
        let working = async {
            let report = rewrapping.run(|count| bar.set_position(count)).await?;
            for (_, wrapping) in &instances {
                let moved = rewrapping.instance(wrapping).await;
                moved.map_err(|error| Failed { report: report.clone(), error })?;
            }
            Ok::<_, Failed>(report)
        };
        tokio::pin!(working);
        let mut signals = Signals::new()?;
        let done = loop {
            tokio::select! {
                done = &mut working => break done,
                // The batch that is under way is brought to its end.
                _ = signals.next() => shutdown.start(),
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

impl How {
    /// Called before the process has other threads.
    pub fn rotator(&self) -> Result<Rotator, Failure> {
        let rotator = Rotator::load(&self.config)?;
        log::start(rotator.config.log_level, None);
        Ok(rotator)
    }

    pub fn rewrapping(
        &self,
        records: Records,
        kms: Rewrapper,
        audit: Audit,
        draining: Draining,
    ) -> Rewrapping {
        let canary = self.canary.clone().zip(self.share_id).zip(self.wallet_id.clone());
        let canary = canary.map(|((socket, share), wallet)| Canary { socket, share, wallet });
        let (batch, rate) = (self.batch as usize, self.rate);
        Rewrapping { records, kms, audit, batch, rate, canary, draining }
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

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(30)
}

pub fn store(error: crate::store::StoreError) -> Failure {
    Failure::new(format!("store: {error}"))
}
