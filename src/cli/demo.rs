//! `countersign demo`: the product in one command, on the embedded default.

mod report;
mod run;
mod tamper;

use std::{io::Write, path::PathBuf};

use super::{block_on_threads, embedded, failure::Failure};
use crate::{app, caller::Callers, config::Config, harden::harden, shutdown::Signals};

/// Show everything on this machine: no configuration, no server
///
/// Starts the enclave on a Unix socket with a KEK in a file and SQLite, makes a
/// key of every algorithm, signs over gRPC with Sign and with UseShare, verifies
/// each signature, tries three things that must be refused, and verifies the audit log.
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
        let config = Config::load(&embedded::prepare(&dir)?)?;

        let enclave = app::enclave(&config)?;
        let metrics = app::metrics(&config);
        let (audit, _writing) = app::audit(&config, &metrics)?;
        block_on_threads(config.workers, async {
            let signing = app::signing(&config, enclave, audit, metrics).await?;
            let running = embedded::start(signing.clone(), config.clone()).await?;

            let signing_key = signing.identity.name().cloned();
            // The same enclave for a world in which nobody knows this uid.
            let mut elsewhere = config.clone();
            elsewhere.listen.enclave = dir.join("stranger.sock");
            elsewhere.listen.custody = None;
            elsewhere.callers = Callers::default();
            let stranger = embedded::start(signing, elsewhere).await?;

            let key = signing_key.map(|name| name.to_string());
            let report = run::run(&dir, &config.audit.directory, key).await?;
            stranger.stop().await;
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
                Signals::new()?.next().await;
            }
            running.stop().await;
            if report.is_as_expected() {
                Ok(())
            } else {
                Err(Failure::new("the demo did not go as it must; see above"))
            }
        })
    }
}
