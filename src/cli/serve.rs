//! `countersign serve`.

use std::path::PathBuf;

use super::{block_on, failure::Failure};
use crate::{
    app::App,
    config::Config,
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
                protection = "mlock",
                slots = config.limits.slots(),
                "Starting"
            );
            let listen = config.listen.clone();
            let app = App::build(config).await?;
            tracing::info!(
                enclave = %listen.enclave.display(),
                custody = listen.custody.map(|path| path.display().to_string()),
                "Listening"
            );
            let (shutdown, draining) = Shutdown::new();
            let running = tokio::spawn(app.run(draining));
            let signal = signalled().await?;
            tracing::info!(signal, "Draining");
            shutdown.start();
            tokio::select! {
                _ = running => tracing::info!("Stopped"),
                signal = signalled() => tracing::warn!(signal = signal?, "Stopped at once"),
            }
            Ok(())
        })
    }
}
