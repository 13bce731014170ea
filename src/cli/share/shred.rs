//! `countersign share shred`.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    rewrap::{How, store},
    share_id, why,
};
use crate::{
    audit::Audit,
    cli::{block_on_threads, failure::Failure, progress, rotator::Rotator},
    config::KmsConfig,
    key::{ShareId, Why},
    rotation::{Shredding, Step},
    shutdown::{Shutdown, Signals},
    store::directory::Backup,
};

/// Make shares that were destroyed unreadable in every backup, by destroying the versions of
/// the KEK that wrapped them
///
/// Every older backup becomes unreadable, for every record: so a fresh one is written first.
/// Adds a version to the KEK, moves every record of the store and the keys of the named
/// instances to it, backs the store up, raises the KEK's floor, and destroys the versions
/// below. Until the floor is raised nothing is lost, and it can be run again. Without --yes
/// it says what it would do.
#[derive(Args)]
pub struct Shred {
    /// The shares, which are gone from the store
    #[arg(required = true, value_name = "UUID", value_parser = share_id)]
    shares: Vec<ShareId>,
    #[command(flatten)]
    how: How,
    /// The directory of the rotator's own audit log
    #[arg(long, value_name = "DIR")]
    audit: PathBuf,
    /// Where the fresh backup goes: a directory that is empty, or is made
    #[arg(long, value_name = "DIR")]
    backup: PathBuf,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", value_parser = why)]
    reason: Option<Why>,
    /// Do it: every older backup becomes unreadable, for every record
    #[arg(long)]
    yes: bool,
}

impl Shred {
    pub fn run(self) -> Result<(), Failure> {
        let rotator = self.how.rotator()?;
        if matches!(rotator.config.kms, KmsConfig::Local { .. }) {
            return Err(Failure::configuration(
                "a KEK in a file has no versions that can be destroyed one by one: make another file, \
                 and move the records to it (`countersign share migrate`)",
            ));
        }
        require_empty(&self.backup)?;
        if !self.yes {
            return block_on_threads(1, self.plan(&rotator));
        }
        let (audit, writing) = rotator.audit(&self.audit)?;
        let done = block_on_threads(1, self.shred(&rotator, audit));
        writing.stop();
        done
    }

    /// Says what would be done.
    async fn plan(&self, rotator: &Rotator) -> Result<(), Failure> {
        let kms = rotator.kms()?;
        let records = rotator.records(&kms).await?;
        let count = records.count().await;
        let kek = kms.kek().to_string();
        tokio::join!(kms.close(), records.close());
        let count = count.map_err(|error| Failure::new(format!("store: {error}")))?;
        let instances = rotator.instances(&self.how.instance, &kms)?.len();
        let mut out = io::stdout();
        writeln!(out, "would add a version to {kek}")?;
        writeln!(out, "would move {count} records and {instances} instances' keys to it")?;
        writeln!(out, "would back up {count} records into {}", self.backup.display())?;
        writeln!(out, "would destroy the versions before it:")?;
        writeln!(out, "EVERY OLDER BACKUP BECOMES UNREADABLE, FOR EVERY RECORD")?;
        Err(Failure::new("nothing was done: --yes does it"))
    }

    async fn shred(self, rotator: &Rotator, audit: Audit) -> Result<(), Failure> {
        let kms = rotator.kms()?;
        let records = rotator.records(&kms).await?;
        let instances = rotator.instances(&self.how.instance, &kms)?;
        let instances = instances.into_iter().map(|(directory, _)| directory).collect();
        let backup = Backup::open(&self.backup);
        let backup = backup.map_err(|error| Failure::new(format!("--backup: {error}")))?;
        let (shutdown, draining) = Shutdown::new();
        let bar = progress::bar(records.count().await.map_err(store)?);
        let shredding = Shredding {
            rewrapping: self.how.rewrapping(records, kms, audit, draining),
            instances,
            shares: self.shares,
            why: self.reason,
            backup: &backup,
            // A second for clocks and for the way back.
            settle: rotator.config.limits.longest_deadline + Duration::from_secs(1),
        };
        let (mut written, at) = (Ok(()), self.backup.as_path());
        let shredded = {
            let tell = |step| bar.suspend(|| written = tell(step, at));
            let working = shredding.run(|count| bar.set_position(count), tell);
            tokio::pin!(working);
            let mut signals = Signals::new()?;
            loop {
                tokio::select! {
                    done = &mut working => break done,
                    // It ends before the floor is raised, or not at all.
                    _ = signals.next() => shutdown.start(),
                }
            }
        };
        bar.finish_and_clear();
        let Shredding { rewrapping, .. } = &shredding;
        tokio::join!(rewrapping.kms.close(), rewrapping.records.close());
        shredded.map_err(|error| Failure::new(error.to_string()))?;
        Ok(written?)
    }
}

/// One line of the report.
fn tell(step: Step, backup: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match step {
        Step::Rotated(version) => writeln!(out, "rotated    version {version} wraps from now on"),
        Step::Rewrapped { records, instances } => {
            writeln!(out, "rewrapped  {records} records and {instances} instances' keys are at it")
        }
        Step::Waited(time) => {
            writeln!(out, "waited     {} s, for requests that began before", time.as_secs())
        }
        Step::BackedUp(records) => {
            writeln!(out, "backed up  {records} records into {}", backup.display())
        }
        Step::Raised(version) => {
            writeln!(out, "raised     versions below {version} unwrap no more")
        }
        Step::Trimmed(version) => writeln!(
            out,
            "trimmed    versions below {version} are gone: every backup older than this one is \
             unreadable, for every record"
        ),
    }
}

/// A fresh backup is alone in its directory.
fn require_empty(directory: &Path) -> Result<(), Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries.count(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => {
            let directory = directory.display();
            return Err(Failure::new(format!("--backup: {directory}: {error}")));
        }
    };
    if entries == 0 {
        return Ok(());
    }
    let directory = directory.display();
    let other = "name another for the fresh backup";
    Err(Failure::new(format!("--backup: {directory} is not empty: {other}")))
}
