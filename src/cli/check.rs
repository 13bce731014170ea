//! `countersign check`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use super::{block_on_threads, failure::Failure};
use crate::{
    app,
    audit::Settings,
    config::{Config, KmsConfig, TlsConfig},
    enclave::{Enclave, level},
    grpc::Service,
    harden::{Enforcement, Landlock, Reach, confine, filter, harden, rehearse},
    memory::too_low_a_limit,
    policy::Policy,
    telemetry::traces,
};

/// How long store and KMS may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Check a configuration and its policies without starting anything
///
/// Prints every problem at once, with file, line and what to write instead; the
/// secret memory that the configured limits need; and how far this kernel
/// confines the process.
#[derive(clap::Args)]
pub struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also open the store and the table of the audit log, which brings their schemas
    /// up to date, and ask the KMS, which makes a local KEK file that is not there
    #[arg(long)]
    online: bool,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        let config = Config::load(&self.config)?;
        let policies = Policy::load(&config.policies, config.facts());
        let mut problems = config.kms.missing_files();
        problems.extend(config.store.missing_files());
        problems.dedup();
        problems.extend(policies.as_ref().err().into_iter().flatten().map(ToString::to_string));
        let tls = app::tls(&config);
        problems.extend(tls.as_ref().err().map(ToString::to_string));
        let traces = config.traces.as_ref().map(traces::endpoint).transpose();
        problems.extend(traces.err().map(|error| format!("traces: {error}")));
        let Settings { place, directory: audit, .. } = &config.audit;
        let central = config.central.as_ref().map(app::central).transpose();
        problems.extend(central.as_ref().err().map(ToString::to_string));
        problems.extend(place.allows(audit).err().map(|error| format!("audit.directory: {error}")));
        if !problems.is_empty() {
            return Err(Failure::configuration(problems.join("\n")));
        }
        let mut out = io::stdout();
        writeln!(out, "configuration  {}", self.config.display())?;
        writeln!(out, "environment    {}", config.environment)?;
        writeln!(out, "callers        {}", config.callers.iter().count())?;
        let policies = policies.ok();
        let count = policies.as_ref().map_or(0, Policy::count);
        writeln!(out, "policies       {}, {count} policies", config.policies.display())?;
        for warning in policies.iter().flat_map(Policy::warnings) {
            writeln!(out, "warning        {warning}")?;
        }
        for (TlsConfig { address, files }, material) in tls.iter().flatten() {
            let key = match files.service {
                Service::Signing => "tls          ",
                Service::Custody => "custody tls  ",
            };
            let not_after = humantime::format_rfc3339_seconds(material.not_after());
            writeln!(out, "{key}  {address}, certificate valid until {not_after}")?;
        }
        let (require, kib) = (config.require, config.budget().kib());
        writeln!(
            out,
            "secret memory  {kib} KiB to be locked; {}, at least {} required",
            level().0.as_str(),
            require.as_str()
        )?;
        let reach = Reach::of(&config, &self.config);
        if self.online {
            // As the server does it, so that what stops the server stops this.
            harden()?;
            let enclave = app::enclave(&config)?;
            let landlock = confine(&reach)?;
            block_on_threads(1, async {
                // Not the audit log: the server may be writing it.
                let store = app::store(&config.store).await?;
                let kms = app::kms(&config.kms, &config.environment, enclave.pool())?;
                confinement(&mut out, &landlock, audit, filter()?)?;
                let status = tokio::time::timeout(PATIENCE, store.status()).await;
                let status = status.map_err(|_| Failure::new("store: no answer"))?;
                status.map_err(|error| Failure::new(format!("store: {error}")))?;
                writeln!(out, "store          answers")?;
                let status = kms.status(Instant::now() + PATIENCE).await;
                status.map_err(|error| Failure::new(format!("kms: {error}")))?;
                writeln!(out, "kms            answers, {}", kms.kek())?;
                let apart = kms.tells_apart(&config.environment, Instant::now() + PATIENCE).await;
                match apart.map_err(|error| Failure::new(format!("kms: {error}")))? {
                    None => {}
                    Some(true) => writeln!(out, "environments   told apart by the KMS, too")?,
                    Some(false) => return Err(Failure::new(OTHERS)),
                }
                tokio::join!(kms.close(), store.close());
                rotator(&mut out, &config, &enclave).await?;
                if let Ok(Some(central)) = &central {
                    let opened = central.open().await;
                    opened.map_err(|error| Failure::new(format!("audit.postgres: {error}")))?;
                    writeln!(out, "audit table    answers")?;
                }
                Ok(())
            })?;
        } else {
            // What holds here and for who runs this: the server may run elsewhere.
            if let Err(error) = require.met_by(level()) {
                writeln!(out, "warning        {error}")?;
            }
            if let Some(allowed) = too_low_a_limit(kib) {
                writeln!(out, "warning        only {allowed} KiB can be locked here (ulimit -l)")?;
            }
            let (landlock, seccomp) = rehearse(&reach)?;
            confinement(&mut out, &landlock, audit, seccomp)?;
        }
        writeln!(out, "no problem found")?;
        Ok(())
    }
}

/// The rotator's login, where there is one, and the KEK as it sees it.
async fn rotator(out: &mut io::Stdout, config: &Config, enclave: &Enclave) -> Result<(), Failure> {
    if !matches!(&config.kms, KmsConfig::VaultTransit(settings) if settings.rotator.is_some()) {
        return Ok(());
    }
    let kms = app::rewrapper(&config.kms, &config.environment, enclave.pool())?;
    let versions = kms.versions(Instant::now() + PATIENCE).await;
    kms.close().await;
    let versions = versions.map_err(|error| Failure::new(format!("kms, rotator: {error}")))?;
    let newest = versions.newest().map_or(0, |newest| newest.number);
    writeln!(out, "rotator        is let in, the newest version is {newest}")?;
    Ok(())
}

/// A login that may do too much.
const OTHERS: &str = "kms: a login may wrap or unwrap under the contexts of other environments: write \
    its policy anew, as `countersign vault policy` prints it";

/// The server makes the directory of its audit log itself.
fn confinement(
    out: &mut impl Write,
    landlock: &Landlock,
    made: &Path,
    seccomp: Enforcement,
) -> io::Result<()> {
    writeln!(out, "landlock       {}, ABI {}", landlock.level, landlock.abi)?;
    writeln!(out, "seccomp        {seccomp}")?;
    for directory in landlock.missing.iter().filter(|missing| *missing != made) {
        let directory = directory.display();
        writeln!(
            out,
            "warning        {directory} is not there: what is put there later is out of reach"
        )?;
    }
    Ok(())
}
