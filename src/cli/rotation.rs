//! `countersign rotation`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand};
use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use serde::Serialize;
use tokio::time::Instant;

use super::{block_on_threads, failure::Failure, progress, rotator::Rotator};
use crate::{
    identity::Wrapping,
    kms::{KekVersions, Rewrapper},
    rotation::{Behind, Census, may_rise},
};

/// How long the KMS may take.
const PATIENCE: Duration = Duration::from_secs(30);
const DAY: u64 = 24 * 3600;

/// Versions of the KEK: what they wrap, how old they are, which may go
#[derive(Subcommand)]
pub enum Rotation {
    /// Show how many records each version of the KEK wraps, and how old the newest is
    ///
    /// Looks at every record. Exit code 1 where the newest version is older than 90 days,
    /// or older than 14 days while records are wrapped by an older one.
    Status {
        #[command(flatten)]
        of: Of,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print OpenMetrics, for a collector of text files or a gateway
        #[arg(long, conflicts_with = "json")]
        openmetrics: bool,
    },
    /// Stop older versions of the KEK from unwrapping: raise `min_decryption_version`
    ///
    /// Refused while a record of the store, or the key of an instance, is wrapped by one of
    /// them. Backups are not looked at: what they hold could not be opened any more.
    Floor {
        #[command(flatten)]
        of: Of,
        /// The lowest version that still unwraps
        #[arg(long, value_name = "VERSION")]
        to: u32,
    },
}

#[derive(Args)]
pub struct Of {
    /// The configuration file: environment, store and KMS, with [vault.rotator]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The audit log's directory of another instance, whose key is looked at as well; the
    /// configured one always is. May be given more than once
    #[arg(long, value_name = "DIR")]
    instance: Vec<PathBuf>,
}

/// All that there is to know.
struct Looked {
    kms: Rewrapper,
    versions: KekVersions,
    census: Census,
    instances: Vec<(PathBuf, Wrapping)>,
}

/// What `status` prints.
#[derive(Serialize)]
struct Printed {
    kek: String,
    newest_version: u32,
    age_days: Option<u64>,
    floor: u32,
    /// The lowest version that was not destroyed.
    kept: u32,
    versions: Vec<Version>,
    other_kek: u64,
    unreadable: BTreeMap<String, String>,
    instances: BTreeMap<String, Option<u32>>,
    rotation_overdue: Option<bool>,
    rewrapping_overdue: Option<bool>,
}

#[derive(Serialize)]
struct Version {
    version: u32,
    created: Option<String>,
    records: u64,
}

impl Rotation {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Status { of, json, openmetrics } => {
                let rotator = Rotator::load(&of.config)?;
                block_on_threads(1, async {
                    let looked = of.look(&rotator).await?;
                    looked.kms.close().await;
                    let behind = looked.census.behind(&looked.versions, SystemTime::now());
                    let printed = looked.printed(behind);
                    if openmetrics {
                        printed.measure()?;
                    } else {
                        printed.print(json)?;
                    }
                    let overdue = [behind.rotation, behind.rewrapping].contains(&Some(true));
                    if overdue { Err(Failure::told()) } else { Ok(()) }
                })
            }
            Self::Floor { of, to } => {
                let rotator = Rotator::load(&of.config)?;
                block_on_threads(1, async {
                    let looked = of.look(&rotator).await?;
                    let raised = looked.raise(to).await;
                    looked.kms.close().await;
                    raised
                })
            }
        }
    }
}

impl Of {
    async fn look(&self, rotator: &Rotator) -> Result<Looked, Failure> {
        let kms = rotator.kms()?;
        let records = rotator.records(&kms).await?;
        let store = |error| Failure::new(format!("store: {error}"));
        let versions = kms.versions(Instant::now() + PATIENCE).await;
        let versions = versions.map_err(|error| Failure::new(format!("kms: {error}")))?;
        let bar = progress::bar(records.count().await.map_err(store)?);
        let census = Census::take(&records, |count| bar.set_position(count)).await;
        bar.finish_and_clear();
        records.close().await;
        let instances = rotator.instances(&self.instance, &kms)?;
        Ok(Looked { kms, versions, census: census.map_err(store)?, instances })
    }
}

impl Looked {
    async fn raise(&self, to: u32) -> Result<(), Failure> {
        let Self { kms, versions, census, instances } = self;
        let refused = may_rise(to, versions, census, instances);
        refused.map_err(|refused| Failure::new(format!("refused: {refused}")))?;
        let raised = kms.raise_floor(to, Instant::now() + PATIENCE).await;
        raised.map_err(|error| Failure::new(format!("kms: {error}")))?;
        let now = kms.versions(Instant::now() + PATIENCE).await;
        let now = now.map_err(|error| Failure::new(format!("kms: {error}")))?;
        if now.floor != to {
            return Err(Failure::new(format!("kms: the floor is {} still", now.floor)));
        }
        writeln!(io::stdout(), "versions below {to} unwrap no more")?;
        Ok(())
    }

    fn printed(&self, behind: Behind) -> Printed {
        let Self { kms, versions, census, instances } = self;
        let newest = versions.newest();
        let age = newest.and_then(|newest| newest.age(SystemTime::now()));
        let mut told: BTreeMap<u32, Version> = BTreeMap::new();
        for version in &versions.versions {
            let created = version.created.map(humantime::format_rfc3339_seconds);
            let created = created.map(|created| created.to_string());
            let number = version.number;
            told.insert(number, Version { version: number, created, records: 0 });
        }
        for (&version, &records) in &census.versions {
            let unknown = || Version { version, created: None, records: 0 };
            told.entry(version).or_insert_with(unknown).records = records;
        }
        let unreadable = census.unreadable.iter();
        let instances = instances.iter();
        Printed {
            kek: kms.kek().to_string(),
            newest_version: newest.map_or(0, |newest| newest.number),
            age_days: age.map(|age| age.as_secs() / DAY),
            floor: versions.floor,
            kept: versions.kept,
            versions: told.into_values().collect(),
            other_kek: census.other_kek,
            unreadable: unreadable.map(|(id, problem)| (id.to_string(), problem.clone())).collect(),
            instances: instances
                .map(|(directory, key)| (directory.display().to_string(), key.kek_version()))
                .collect(),
            rotation_overdue: behind.rotation,
            rewrapping_overdue: behind.rewrapping,
        }
    }
}

impl Printed {
    /// As metrics.
    fn measure(&self) -> Result<(), Failure> {
        let mut registry = Registry::with_prefix("countersign");
        let records: Family<[(&str, String); 1], Gauge> = Family::default();
        registry.register(
            "records",
            "Records by the version of the KEK that wraps them; other for another KEK",
            records.clone(),
        );
        let unreadable = Gauge::<i64>::default();
        registry.register("records_unreadable", "Records that cannot be read", unreadable.clone());
        let rewrapping = Gauge::<i64>::default();
        registry.register(
            "rewrapping_overdue",
            "1 while older versions wrap records for more than 14 days",
            rewrapping.clone(),
        );
        let count = |version: String, count: u64| {
            let gauge = records.get_or_create_owned(&[("kek_version", version)]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        for version in &self.versions {
            count(version.version.to_string(), version.records);
        }
        if self.other_kek > 0 {
            count("other".to_owned(), self.other_kek);
        }
        unreadable.set(i64::try_from(self.unreadable.len()).unwrap_or(i64::MAX));
        rewrapping.set((self.rewrapping_overdue == Some(true)).into());
        let mut text = String::new();
        encode(&mut text, &registry).map_err(|error| Failure::new(error.to_string()))?;
        Ok(write!(io::stdout(), "{text}")?)
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        let age = self
            .age_days
            .map_or_else(|| "age unknown".to_owned(), |days| format!("{days} days old"));
        writeln!(out, "kek      {}", self.kek)?;
        writeln!(out, "newest   version {}, {age}", self.newest_version)?;
        writeln!(out, "floor    version {}", self.floor)?;
        writeln!(out, "kept     from version {}", self.kept)?;
        writeln!(out, "{:>7}  {:20}  RECORDS", "VERSION", "MADE")?;
        for Version { version, created, records } in &self.versions {
            let created = created.as_deref().unwrap_or("unknown");
            writeln!(out, "{version:>7}  {created:20}  {records}")?;
        }
        if self.other_kek > 0 {
            writeln!(out, "{:>7}  {:20}  {}", "other", "another KEK", self.other_kek)?;
        }
        for (directory, version) in &self.instances {
            let version = version.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
            writeln!(out, "instance {directory}: version {version}")?;
        }
        for (share, problem) in &self.unreadable {
            writeln!(out, "unreadable {share}: {problem}")?;
        }
        if self.rotation_overdue == Some(true) {
            writeln!(out, "overdue  rotate: the newest version is older than 90 days")?;
        }
        if self.rewrapping_overdue == Some(true) {
            writeln!(out, "overdue  rewrap: older versions wrap records for more than 14 days")?;
        }
        Ok(())
    }
}
