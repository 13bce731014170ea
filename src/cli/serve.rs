//! `countersign serve`.

use std::{path::PathBuf, time::Duration};

use tokio::{
    task::JoinError,
    time::{Instant, sleep},
};

use super::{block_on, block_on_threads, failure::Failure};
use crate::{
    app::{self, App, PartFailed, StartError},
    audit::{self, Audit, OpenError, Writing},
    config::Config,
    enclave,
    grpc::Service,
    harden::{Enforcement, Landlock, Reach, confine, filter, harden},
    shutdown::{Shutdown, Signals, at_hang_up},
    telemetry::{Metrics, log, traces},
};

/// Run the enclave until SIGTERM or SIGINT
///
/// On the signal readiness goes off, the listeners close, and what is in flight
/// finishes within `limits.grace`. A second signal ends the process at once. At SIGHUP
/// policies and certificates are read again. An audit log that the process before still
/// writes is waited for, up to a minute.
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
        let (recorder, spans) = config.traces.as_ref().map(traces::record).unzip();
        log::start(config.log_level, recorder.as_ref());
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
        let (audit, writing) = match app::audit(&config, &metrics) {
            Err(StartError::Audit(OpenError::Locked(_))) => {
                let Some(opened) = block_on(succeed(&config, &metrics))? else { return Ok(()) };
                opened
            }
            opened => opened?,
        };
        let served = block_on_threads(config.workers, async {
            let mut signals = Signals::new()?;
            let listen = config.listen.clone();
            let app = tokio::select! {
                app = App::build(config, enclave, audit, metrics, tls, spans) => app?,
                signal = signals.next() => {
                    stopped_early(signal);
                    return Ok(());
                }
            };
            report(&landlock, filter()?);
            let address = |service| app.tls_address(service).map(|address| address.to_string());
            tracing::info!(
                enclave = %listen.enclave.display(),
                custody = listen.custody.map(|path| path.display().to_string()),
                tls = address(Service::Signing),
                custody_tls = address(Service::Custody),
                "Listening"
            );
            let (kms, store) = (app.kms(), app.store());
            let reloading = app.reloading();
            at_hang_up(move || reloading.ask())?;
            let (shutdown, draining) = Shutdown::new();
            let mut running = tokio::spawn(app.run(draining));
            tokio::select! {
                ended = &mut running => return failed(ended),
                signal = signals.next() => tracing::info!(signal, "Draining"),
            }
            shutdown.start();
            tokio::select! {
                ended = running => {
                    failed(ended)?;
                    tracing::info!("Stopped");
                }
                signal = signals.next() => {
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

/// How long the process before may take to end. Longer than a pod's applications usually
/// have.
const SUCCESSION: Duration = Duration::from_secs(60);

/// The audit log, once the process before has let go of it; none where it is this one that is
/// to end.
async fn succeed(config: &Config, metrics: &Metrics) -> Result<Option<(Audit, Writing)>, Failure> {
    let directory = config.audit.directory.display();
    tracing::warn!(%directory, "Another process writes the audit log: waiting for its end");
    let mut signals = Signals::new()?;
    let give_up = Instant::now() + SUCCESSION;
    loop {
        tokio::select! {
            () = sleep(Duration::from_millis(100)) => {}
            signal = signals.next() => {
                stopped_early(signal);
                return Ok(None);
            }
        }
        match app::audit(config, metrics) {
            Err(StartError::Audit(OpenError::Locked(_))) if Instant::now() < give_up => {}
            opened => return Ok(Some(opened?)),
        }
    }
}

fn stopped_early(signal: &str) {
    tracing::info!(signal, "Stopped before it was ready");
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
