//! `countersign share copy`, `backup` and `restore`: processes of their own, which move
//! envelopes from store to store. They speak to no KMS and to no enclave.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::{
    app,
    cli::{block_on_threads, failure::Failure},
    config::Config,
    envelope::KekRef,
    harden::harden,
    key::ShareId,
    store::{
        ShareStore, StoreError,
        directory::{Backup, Directory},
    },
    transfer::{Differing, Fate, Source, Transfer, Unfit},
};

/// How often the work says how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

#[derive(Subcommand)]
pub enum Move {
    /// Copy all records of an environment from one store to another
    ///
    /// Both configurations have the same environment. Each record is checked against its
    /// envelope, written, read back and compared byte for byte. Nothing is decrypted, and no
    /// KMS is asked: the KEK stays the same. Doing it again copies what is new.
    Copy {
        /// The configuration whose store is read
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The configuration whose store is written
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Write all records of an environment into a directory, one file each
    ///
    /// The files hold envelopes and public metadata, nothing that is decrypted. They are of
    /// use only with the KEK. The directory can be restored from, and be mounted as a store
    /// of the kind "directory".
    Backup {
        /// The configuration whose store is read
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The directory; made with mode 0700 when it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Write the records of a directory into a store
    ///
    /// Every file is checked before the first is written: the envelope must decode, and be
    /// bound to what the file says and to the environment of the configuration.
    Restore {
        /// The configuration whose store is written
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The directory that `backup` wrote
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Args)]
pub struct How {
    /// What becomes of a record that is there already and differs
    #[arg(long, value_name = "WHAT", value_enum, default_value = "refuse")]
    differing: DifferingName,
    /// Say what would be done, and write no record
    ///
    /// A database is still opened, which brings its schema up to date.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON, one document per record that is not simply copied, and one in the end
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum DifferingName {
    /// It stays, is told, and the command fails in the end
    Refuse,
    /// It stays, and is told
    Keep,
    /// It is replaced, also by an older version; another wallet's never
    Replace,
}

/// What was done, in numbers.
#[derive(Default, Serialize)]
struct Tally {
    copied: u64,
    there_already: u64,
    replaced: u64,
    kept: u64,
    differing: u64,
    unfit: u64,
    gone: u64,
    dry_run: bool,
}

/// A record that somebody may want to look at.
#[derive(Serialize)]
struct Told {
    share_id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    what: String,
}

impl Move {
    pub fn run(self) -> Result<(), Failure> {
        harden()?;
        block_on_threads(1, async {
            match self {
                Self::Copy { from, to, how } => {
                    let (from, to) = (Config::load(&from)?, Config::load(&to)?);
                    copy(&from, &to, &how).await
                }
                Self::Backup { config, out, how } => {
                    backup(&Config::load(&config)?, &out, &how).await
                }
                Self::Restore { config, directory, how } => {
                    restore(&Config::load(&config)?, &directory, &how).await
                }
            }
        })
    }
}

async fn copy(from: &Config, to: &Config, how: &How) -> Result<(), Failure> {
    if from.environment != to.environment {
        return Err(Failure::configuration(format!(
            "records of \"{}\" open in no other environment, and so not in \"{}\"",
            from.environment, to.environment
        )));
    }
    let (source, target) = (app::store(&from.store).await?, app::store(&to.store).await?);
    let result = transfer(Source::Store(&*source), &*target, to, how).await;
    source.close().await;
    target.close().await;
    result
}

async fn backup(config: &Config, out: &Path, how: &How) -> Result<(), Failure> {
    let source = app::store(&config.store).await?;
    // A directory that is not there is as good as an empty one, and is not made for nothing.
    let empty = tempfile::tempdir()?;
    let target = if how.dry_run && !out.exists() { empty.path() } else { out };
    let target = Backup::open(target).map_err(store)?;
    let result = transfer(Source::Store(&*source), &target, config, how).await;
    source.close().await;
    result
}

async fn restore(config: &Config, directory: &Path, how: &How) -> Result<(), Failure> {
    let source = Directory::open(directory).map_err(store)?;
    let target = app::store(&config.store).await?;
    let result = transfer(Source::Directory(&source), &*target, config, how).await;
    target.close().await;
    result
}

async fn transfer(
    source: Source<'_>,
    target: &dyn ShareStore,
    config: &Config,
    how: &How,
) -> Result<(), Failure> {
    let differing = match how.differing {
        DifferingName::Refuse => Differing::Refuse,
        DifferingName::Keep => Differing::Keep,
        DifferingName::Replace => Differing::Replace,
    };
    // A store goes on changing; a directory of files can be looked through beforehand.
    let whole = matches!(source, Source::Directory(_));
    let (environment, dry_run) = (&config.environment, how.dry_run);
    let transfer = Transfer { source, target, environment, differing, dry_run };
    let mut report = Report::new(how);
    if whole {
        let mut unfit = 0;
        let checked = transfer.check(|share, why| {
            unfit += 1;
            report.unfit(share, &why);
        });
        checked.await.map_err(failed)?;
        if unfit > 0 {
            let nothing = "nothing was written: move these files away to restore the others";
            return Err(Failure::new(format!("{unfit} records are unfit; {nothing}")));
        }
    }
    let kek = config.kms.kek(environment);
    let mut others = 0;
    let done = transfer.run(|share, fate, record| {
        let other = |kek: &KekRef| record.is_some_and(|record| record.description.kek != *kek);
        others += u64::from(kek.as_ref().is_some_and(other));
        report.tell(share, &fate);
    });
    let done = done.await.map_err(failed);
    report.end()?;
    if let (Some(kek), 1..) = (&kek, others) {
        eprintln!("{others} records are wrapped by another KEK than {kek} of this configuration");
    }
    done?;
    report.failure().map_or(Ok(()), Err)
}

/// What is printed: records on standard output, progress on standard error.
struct Report {
    tally: Tally,
    json: bool,
    told: Instant,
    failed: io::Result<()>,
}

impl Report {
    fn new(how: &How) -> Self {
        let tally = Tally { dry_run: how.dry_run, ..Tally::default() };
        Self { tally, json: how.json, told: Instant::now(), failed: Ok(()) }
    }

    fn tell(&mut self, share: ShareId, fate: &Fate) {
        let tally = &mut self.tally;
        let (count, line) = match fate {
            Fate::Copied => (&mut tally.copied, None),
            Fate::There => (&mut tally.there_already, None),
            Fate::Gone => (&mut tally.gone, None),
            Fate::Replaced(what) => (&mut tally.replaced, Some(("replaced", what.join(", ")))),
            Fate::Kept(what) => (&mut tally.kept, Some(("kept", what.join(", ")))),
            Fate::Differs(what) => (&mut tally.differing, Some(("differs", what.join(", ")))),
            Fate::Unfit(why) => (&mut tally.unfit, Some(("unfit", why.to_string()))),
        };
        *count += 1;
        if let Some((outcome, what)) = line {
            self.line(share, outcome, what);
        }
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            eprintln!("{} records so far", self.tally.all());
        }
    }

    fn unfit(&mut self, share: ShareId, why: &Unfit) {
        self.tally.unfit += 1;
        self.line(share, "unfit", why.to_string());
    }

    fn line(&mut self, share: ShareId, outcome: &'static str, what: String) {
        let mut out = io::stdout();
        let told = Told { share_id: share.to_string(), outcome, what };
        let written = match (self.json, serde_json::to_string(&told)) {
            (true, Ok(json)) => writeln!(out, "{json}"),
            _ => writeln!(out, "{}  {outcome}: {}", told.share_id, told.what),
        };
        if self.failed.is_ok() {
            self.failed = written;
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        std::mem::replace(&mut self.failed, Ok(()))?;
        let mut out = io::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&self.tally)?)?;
            return Ok(());
        }
        let Tally { copied, there_already, replaced, kept, differing, unfit, gone, dry_run } =
            &self.tally;
        let would = if *dry_run { "would be " } else { "" };
        writeln!(out, "{would}copied    {copied}\nthere already      {there_already}")?;
        for (what, count) in [
            ("replaced", replaced),
            ("kept as they were", kept),
            ("differing", differing),
            ("unfit", unfit),
            ("gone meanwhile", gone),
        ] {
            if *count > 0 {
                writeln!(out, "{what:17}  {count}")?;
            }
        }
        Ok(())
    }

    fn failure(&self) -> Option<Failure> {
        let Tally { differing, unfit, .. } = self.tally;
        (differing + unfit > 0).then(|| {
            Failure::new(format!(
                "{differing} records differ and {unfit} are unfit: these were not written. \
                 --differing says what becomes of those that differ"
            ))
        })
    }
}

impl Tally {
    fn all(&self) -> u64 {
        let Self { copied, there_already, replaced, kept, differing, unfit, gone, dry_run: _ } =
            self;
        copied + there_already + replaced + kept + differing + unfit + gone
    }
}

fn store(error: StoreError) -> Failure {
    Failure::new(format!("store: {error}"))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{error}; doing it again goes on from here"))
}
