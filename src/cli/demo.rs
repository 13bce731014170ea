//! `countersign demo`: the product in one command, on the embedded default.

mod report;
mod run;
mod tamper;

use std::{io::Write, path::PathBuf, time::Duration};

use tokio::task::JoinHandle;

use super::{block_on, failure::Failure};
use crate::{
    app::{self, App},
    caller::{Caller, Callers},
    config::{Config, KmsConfig, Limits, Listen, StoreConfig},
    harden::harden,
    shutdown::{Shutdown, signalled},
    sign::Signing,
};

/// What the demo's callers may do.
const POLICY: &str = include_str!("demo/demo.cedar");

/// Show everything on this machine: no configuration, no server
///
/// Starts the enclave on a Unix socket with a KEK in a file and SQLite, makes a
/// key of every algorithm, signs over gRPC with Sign and with UseShare, verifies
/// each signature, and tries three things that must be refused.
#[derive(clap::Args)]
pub struct Demo {
    /// Print one JSON document instead of a summary
    #[arg(long)]
    json: bool,
    /// Keep running until Ctrl-C, and say what to try next
    #[arg(long, requires = "dir")]
    serve: bool,
    /// Where sockets, KEK and database go; a temporary directory when left out
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Demo {
    pub fn run(self) -> Result<(), Failure> {
        harden()?;
        let temporary = tempfile::tempdir()?;
        let dir = self.dir.clone();
        let dir = std::path::absolute(dir.unwrap_or_else(|| temporary.path().to_owned()))?;
        std::fs::create_dir_all(dir.join("policies"))?;
        std::fs::write(dir.join("policies/demo.cedar"), POLICY)?;
        let config = config(&dir)?;

        block_on(config.workers, async {
            let signing = app::signing(&config).await?;
            let (shutdown, running) = start(signing.clone(), config.clone()).await?;

            // The same enclave for a world in which nobody knows this uid.
            let mut elsewhere = config.clone();
            elsewhere.listen.enclave = dir.join("stranger.sock");
            elsewhere.listen.custody = None;
            elsewhere.callers = Callers::default();
            let (end_elsewhere, stranger) = start(signing, elsewhere).await?;

            let report = run::run(&dir).await?;
            end_elsewhere.start();
            let _ = stranger.await;
            let mut out = std::io::stdout().lock();
            if self.json {
                writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
            } else {
                report.print(&mut out)?;
            }
            if self.serve {
                if !self.json {
                    report.print_next(&mut out, &dir)?;
                }
                out.flush()?;
                drop(out);
                signalled().await?;
            }
            shutdown.start();
            let _ = running.await;
            if report.is_as_expected() {
                Ok(())
            } else {
                Err(Failure::new("the demo did not go as it must; see above"))
            }
        })
    }
}

async fn start(signing: Signing, config: Config) -> Result<(Shutdown, JoinHandle<()>), Failure> {
    let app = App::over(signing, config).await?;
    let (shutdown, draining) = Shutdown::new();
    Ok((shutdown, tokio::spawn(app.run(draining))))
}

fn config(dir: &std::path::Path) -> Result<Config, Failure> {
    let uid = rustix::process::getuid().as_raw();
    let demo = Caller {
        name: "demo".into(),
        uid,
        groups: Box::default(),
    };
    let mut limits = Limits::default();
    limits.connections.grace = Duration::from_secs(2);
    Ok(Config {
        environment: "demo"
            .parse()
            .map_err(|error| Failure::new(format!("{error}")))?,
        listen: Listen {
            enclave: dir.join("enclave.sock"),
            custody: Some(dir.join("custody.sock")),
            mode: 0o600,
            custody_mode: 0o600,
        },
        callers: [demo].into_iter().collect(),
        policies: dir.join("policies"),
        store: StoreConfig::Sqlite {
            path: dir.join("shares.db"),
        },
        kms: KmsConfig::Local {
            kek_file: dir.join("kek"),
        },
        limits,
        log_level: tracing::Level::WARN,
        metrics: None,
        workers: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8)),
    })
}
