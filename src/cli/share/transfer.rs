//! `countersign share copy`, `backup` and `restore`: processes of their own, which move
//! envelopes from store to store. They speak to no KMS and to no enclave.

mod report;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use self::report::Report;
use crate::{
    app,
    cli::{block_on, failure::Failure},
    config::Config,
    envelope::KekRef,
    harden::harden,
    store::{
        ShareStore, StoreError,
        directory::{Backup, Directory},
    },
    transfer::{Differing, Fate, Source, Transfer},
};

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

impl Move {
    pub fn run(self) -> Result<(), Failure> {
        harden()?;
        block_on(async {
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
    let empty = (how.dry_run && !out.exists()).then(tempfile::tempdir).transpose()?;
    let target = empty.as_ref().map_or(out, |empty| empty.path());
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
    let mut report = Report::new(how.dry_run, how.json);
    if whole {
        let mut unfit = 0;
        let checked = transfer.check(|share, why| {
            unfit += 1;
            report.tell(share, &Fate::Unfit(why));
        });
        checked.await.map_err(failed)?;
        if unfit > 0 {
            report.end()?;
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

fn store(error: StoreError) -> Failure {
    Failure::new(format!("store: {error}"))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{error}; doing it again goes on from here"))
}
