//! `countersign serve`.

use std::path::PathBuf;

use tokio::task::JoinError;

use super::{block_on, failure::Failure};
use crate::{
    app::{App, PartFailed},
    config::Config,
    enclave,
    harden::harden,
    shutdown::{Shutdown, signalled},
    telemetry::log,
};

/// Run the enclave until SIGTERM or SIGINT
///
/// On the signal readiness goes off, the listeners close, and what is in flight
/// finishes within `limits.grace`. A second signal ends the process at once.
#[derive(clap::Args)]
pub struct Serve {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub fn run(self) -> Result<(), Failure> {
        harden()?;
        let config = Config::load(&self.config)?;
        log::start(config.log_level);
        block_on(config.workers, async {
            tracing::info!(
                version = env!("CARGO_PKG_VERSION"),
                environment = %config.environment,
                memory = enclave::level().0.as_str(),
                locked_kib = config.budget().kib(),
                "Starting"
            );
            let listen = config.listen.clone();
            let app = App::build(config).await?;
            tracing::info!(
                enclave = %listen.enclave.display(),
                custody = listen.custody.map(|path| path.display().to_string()),
                "Listening"
            );
            let kms = app.kms();
            let (shutdown, draining) = Shutdown::new();
            let mut running = tokio::spawn(app.run(draining));
            tokio::select! {
                ended = &mut running => return failed(ended),
                signal = signalled() => tracing::info!(signal = signal?, "Draining"),
            }
            shutdown.start();
            tokio::select! {
                ended = running => {
                    failed(ended)?;
                    tracing::info!("Stopped");
                }
                signal = signalled() => {
                    let signal = signal?;
                    tracing::warn!(signal, "Stopped at once");
                    return Err(Failure::new(format!("{signal} before all was finished")));
                }
            }
            kms.close().await;
            Ok(())
        })
    }
}

fn failed(ended: Result<Result<(), PartFailed>, JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failed)) => Err(Failure::new(failed.to_string())),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}
