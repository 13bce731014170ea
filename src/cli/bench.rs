//! `countersign bench`: ratios with their baselines, measured in one run.

mod default;
mod disk;
mod echo;
mod https;
mod library;
mod load;
mod process;
mod report;
mod request;
mod rounds;
mod stream;
mod vault;

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use default::Bench as Comparison;
use report::{Report, Section};
use request::Share;

use super::{block_on_threads, embedded, failure::Failure};
use crate::{
    app,
    caller::Caller,
    client,
    config::{Config, KmsConfig},
    enclave::Enclave,
    harden::harden,
    key::{Algorithm, ShareId},
    payload::Payload,
    permitted::PermittedEnvelope,
    policy, proto,
    sign::Signing,
};

/// The policy of a run on a configuration.
const POLICY: &str = include_str!("bench/bench.cedar");
/// The wallet of the shares that the bench makes.
const WALLET: &str = "countersign-bench";

/// Measure this machine: what the enclave costs beyond what it is made of
///
/// Prints ratios with their baselines, all measured in one run by one process,
/// in turns, over the same kind of Unix socket: a bare gRPC echo, the same
/// library's sign and verify in plain memory, and with --config the configured
/// Vault asked directly. Clients and enclave share the cores. Nothing is logged
/// while it runs.
///
/// With --config the configured store and KMS are used, under the bench's own
/// policy and on temporary sockets: one Ed25519 share of the wallet
/// `countersign-bench` is made in the store and left there disabled. A
/// configuration of a production environment is refused.
#[derive(clap::Args)]
pub struct Bench {
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Seconds for each measurement
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Also measure with the store and the KMS of this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    direct: vault::Direct,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match seconds {
        0.1..=600.0 => Ok(seconds),
        _ => Err("from 0.1 to 600".to_owned()),
    }
}

impl Bench {
    pub fn run(self) -> Result<(), Failure> {
        harden()?;
        let configured = self.config.as_deref().map(Config::load).transpose()?;
        if configured.as_ref().is_some_and(|config| config.environment.is_production()) {
            return Err(Failure::new(
                "the bench replaces the policies and leaves a share behind: not in production",
            ));
        }
        let temporary = tempfile::tempdir()?;
        let dir = temporary.path();
        let file = embedded::prepare(dir)?;
        let default = Config::load(&file)?;
        let workers = configured.as_ref().unwrap_or(&default).workers;
        // One for both, as one process has.
        let larger = configured.iter().chain([&default]);
        let larger = larger.max_by_key(|config| config.budget().kib());
        let enclave = app::enclave(larger.unwrap_or(&default))?;
        let report = block_on_threads(workers, async {
            let echo = dir.join("echo.sock");
            let _echo = echo::start(&echo)?;
            let cores = std::thread::available_parallelism()?.get();
            let mut sections = vec![
                process::section(&file, &default.listen.enclave).await?,
                default::library(self.seconds, cores).await?,
            ];
            let on = On { echo: &echo, seconds: self.seconds, cores, enclave };
            sections.extend(on.default(default).await?);
            if let Some(config) = configured {
                sections.extend(on.configured(config, dir, &self.direct).await?);
            }
            Ok(Report {
                machine: report::machine(workers),
                optimised: !cfg!(debug_assertions),
                sections,
            })
        })?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        } else {
            report.print(&mut out)?;
        }
        Ok(())
    }
}

/// What every comparison is made on.
struct On<'a> {
    echo: &'a Path,
    seconds: f64,
    cores: usize,
    enclave: Enclave,
}

impl On<'_> {
    fn compare<'a>(
        &'a self,
        enclave: &'a Path,
        unlogged: &'a Path,
        share: &'a Share,
    ) -> Comparison<'a> {
        let Self { echo, seconds, cores, .. } = *self;
        Comparison { echo, enclave, unlogged, share, seconds, cores }
    }

    async fn default(&self, config: Config) -> Result<Vec<Section>, Failure> {
        let listen = config.listen.clone();
        let metrics = app::metrics(&config);
        let (audit, writing) = app::audit(&config, &metrics)?;
        let signing = app::signing(&config, self.enclave.clone(), audit, metrics).await?;
        // The same without the log, for what that costs.
        let mut unlogged = config.clone();
        unlogged.listen.enclave = listen.enclave.with_extension("unlogged");
        unlogged.listen.custody = None;
        let without = unlogged.listen.enclave.clone();
        let audit = signing.audit.unwritten_but_acknowledged();
        let parts = Signing { audit, ..signing.clone() };
        let unlogged = embedded::start(parts, unlogged).await?;
        let running = embedded::start(signing, config).await?;
        let share = generate(listen.custody.as_deref()).await?;
        let comparison = self.compare(&listen.enclave, &without, &share);
        let sections = vec![comparison.unary().await?, comparison.stream().await?];
        unlogged.stop().await;
        running.stop().await;
        writing.stop();
        Ok(sections)
    }

    async fn configured(
        &self,
        mut config: Config,
        dir: &Path,
        direct: &vault::Direct,
    ) -> Result<Vec<Section>, Failure> {
        let KmsConfig::VaultTransit(settings) = config.kms.clone() else {
            return Err(Failure::new("--config: kms.kind is not \"vault-transit\""));
        };
        let caller = Caller {
            name: "bench".into(),
            uid: Some(rustix::process::getuid().as_raw()),
            spiffe_id: None,
            groups: Box::default(),
            rate: None,
        };
        config.callers = [caller.clone()].into_iter().collect();
        config.policies = dir.join("bench");
        std::fs::create_dir(&config.policies)?;
        std::fs::write(config.policies.join("bench.cedar"), POLICY)?;
        config.listen.enclave = dir.join("configured.sock");
        config.listen.custody = Some(dir.join("configured-custody.sock"));
        (config.listen.tls, config.listen.custody_tls) = (None, None);
        config.metrics = None;
        config.audit.directory = dir.join("configured-audit");

        let listen = config.listen.clone();
        let metrics = app::metrics(&config);
        let (audit, writing) = app::audit(&config, &metrics)?;
        let signing = app::signing(&config, self.enclave.clone(), audit, metrics).await?;
        let running = embedded::start(signing.clone(), config).await?;
        let share = generate(listen.custody.as_deref()).await?;
        let opened = permitted(&signing, caller, &share).await?;
        let comparison = self.compare(&listen.enclave, &listen.enclave, &share);
        let sections = direct.section(&comparison, &settings, &opened).await;
        disable(listen.custody.as_deref(), &share).await?;
        running.stop().await;
        writing.stop();
        sections
    }
}

/// The record of a share as `Sign` sees it, for its wrapped DEK and context.
async fn permitted(
    signing: &Signing,
    caller: Caller,
    share: &Share,
) -> Result<PermittedEnvelope<policy::Sign>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let id: ShareId = share.share_id.parse().map_err(|error| failed(&error))?;
    let described = signing.store.describe(id).await;
    let described = described.map_err(|error| failed(&error))?;
    let described = described.ok_or_else(|| Failure::new("the store lost the share"))?;
    let action = policy::Sign { payload: Payload::Message(request::MESSAGE.to_vec().into()) };
    let permit = signing
        .policy
        .current()
        .authorize(&Arc::new(caller), Arc::new(described), action)
        .map_err(|_| Failure::new("the bench's policy denies"))?;
    let record = signing.store.fetch(permit.opening()).await;
    let record = record.map_err(|error| failed(&error))?;
    let record = record.ok_or_else(|| Failure::new("the store lost the share"))?;
    PermittedEnvelope::new(permit, record).map_err(|error| failed(&error))
}

async fn generate(custody: Option<&Path>) -> Result<Share, Failure> {
    let custody = custody.ok_or_else(|| Failure::new("there is no custody socket"))?;
    let share = Share { share_id: ShareId::random().to_string(), wallet_id: WALLET.to_owned() };
    let request = proto::GenerateShareRequest {
        share_id: share.share_id.clone(),
        wallet_id: share.wallet_id.clone(),
        algorithm: Algorithm::Ed25519.number().into(),
    };
    client::custody(custody).await?.generate_share(request).await?;
    Ok(share)
}

async fn disable(custody: Option<&Path>, share: &Share) -> Result<(), Failure> {
    let custody = custody.ok_or_else(|| Failure::new("there is no custody socket"))?;
    let request =
        proto::DisableShareRequest { share_id: share.share_id.clone(), ..Default::default() };
    client::custody(custody).await?.disable_share(request).await?;
    Ok(())
}
