//! `countersign serve`.

use std::path::PathBuf;

use tokio::task::JoinError;

use super::{block_on_threads, failure::Failure};
use crate::{
    app::{self, App, PartFailed, StartError},
    audit,
    config::Config,
    enclave,
    harden::{Enforcement, Landlock, Reach, confine, filter, harden},
    shutdown::{Shutdown, at_hang_up, signalled},
    telemetry::log,
};

/// Run the enclave until SIGTERM or SIGINT
///
/// On the signal readiness goes off, the listeners close, and what is in flight
/// finishes within `limits.grace`. A second signal ends the process at once. At SIGHUP
/// policies and certificates are read again.
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
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            environment = %config.environment,
            memory = enclave::level().0.as_str(),
            locked_kib = config.budget().kib(),
            "Starting"
        );
        if let (level, Some(why)) = enclave::level() {
            let level = level.as_str();
            tracing::warn!(level, %why, "This kernel gives no memfd_secret: root reads open shares");
        }
        let enclave = app::enclave(&config)?;
        let tls = app::tls(&config)?;
        // What is not there yet is out of reach afterwards.
        audit::make(&config.audit.directory).map_err(StartError::Audit)?;
        let landlock = confine(&Reach::of(&config, &self.config))?;
        // From here on there are other threads.
        let metrics = app::metrics(&config);
        let (audit, writing) = app::audit(&config, &metrics)?;
        let served = block_on_threads(config.workers, async {
            let listen = config.listen.clone();
            let app = App::build(config, enclave, audit, metrics, tls).await?;
            report(&landlock, filter()?);
            tracing::info!(
                enclave = %listen.enclave.display(),
                custody = listen.custody.map(|path| path.display().to_string()),
                tls = app.tls_address().map(|address| address.to_string()),
                "Listening"
            );
            let (kms, store) = (app.kms(), app.store());
            let reloading = app.reloading();
            at_hang_up(move || reloading.ask())?;
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
            tokio::join!(kms.close(), store.close());
            Ok(())
        });
        // Every task is gone, and has said what became of its request.
        writing.stop();
        served
    }
}

/// What the kernel does not enforce is worth a warning: it is no reason to stay
/// down, and no setting of ours.
fn report(landlock: &Landlock, seccomp: Enforcement) {
    let Landlock { level, abi, missing } = landlock;
    tracing::info!(landlock = %level, abi, %seccomp, "Confined");
    if *level != Enforcement::Full {
        tracing::warn!(
            "This kernel confines files and ports in part or not at all: use Linux 6.12 or newer, \
             with landlock among its security modules (/sys/kernel/security/lsm)"
        );
    }
    if seccomp != Enforcement::Full {
        tracing::warn!(
            "This kernel does not filter system calls: use one with CONFIG_SECCOMP_FILTER"
        );
    }
    for directory in missing {
        tracing::warn!(
            directory = %directory.display(),
            "This directory is not there; what is put there later cannot be reached: make it \
             before the start"
        );
    }
}

fn failed(ended: Result<Result<(), PartFailed>, JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failed)) => Err(Failure::new(failed.to_string())),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}
