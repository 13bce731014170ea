//! `countersign health`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{block_on, failure::Failure};
use crate::{
    client,
    grpc::{MEMORY, POLICIES},
    memory::Level,
    shutdown::Signals,
};

/// For all answers together.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries to reach an enclave that is watched.
const PAUSE: Duration = Duration::from_secs(1);

/// Ask a running enclave for its health, for use as an exec probe
///
/// Exit code 0: serving; 1: not serving, or nobody answers within two seconds.
#[derive(clap::Args)]
pub struct Health {
    /// The enclave's socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Ask for liveness instead of readiness
    #[arg(long)]
    liveness: bool,
    /// Print every change until SIGTERM or SIGINT, through restarts of the enclave
    #[arg(long)]
    watch: bool,
}

impl Health {
    pub fn run(self) -> Result<(), Failure> {
        let service = if self.liveness { "liveness" } else { "readiness" };
        block_on(async {
            if self.watch {
                return watch(&self.socket, service).await;
            }
            let asked = timeout(PATIENCE, ask(&self.socket, service)).await;
            let late = || Failure::new(format!("{service}: no answer in {} s", PATIENCE.as_secs()));
            asked.map_err(|_| late())?
        })
    }
}

async fn ask(socket: &Path, service: &str) -> Result<(), Failure> {
    let mut health = HealthClient::new(client::connect(socket).await?);
    let mut status = async |service: String| {
        let answer = health.check(HealthCheckRequest { service }).await?;
        Ok::<_, Failure>(answer.into_inner().status())
    };
    match status(service.to_owned()).await? {
        ServingStatus::Serving => writeln!(io::stdout(), "{service}: serving")?,
        other => {
            return Err(Failure::new(format!("{service}: {}", other.as_str_name())));
        }
    }
    for level in Level::ALL.map(Level::as_str) {
        if status(format!("{MEMORY}{level}")).await? == ServingStatus::Serving {
            writeln!(io::stdout(), "secret memory: {level}")?;
        }
    }
    let policies = match status(POLICIES.to_owned()).await? {
        ServingStatus::Serving => "as in their directory",
        _ => "older than their directory, which holds refused ones: see the log",
    };
    writeln!(io::stdout(), "policies: {policies}")?;
    Ok(())
}

/// Prints each state that differs from the one before.
async fn watch(socket: &Path, service: &str) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let mut last = String::new();
    let mut tell = |state: &str| {
        if last != state {
            writeln!(io::stdout(), "{service}: {state}")?;
            state.clone_into(&mut last);
        }
        Ok(())
    };
    let watching = async {
        loop {
            match timeout(PATIENCE, client::connect(socket)).await {
                Ok(Ok(channel)) => follow(channel, service, &mut tell).await?,
                _ => tell("nobody answers")?,
            }
            // Whatever ended it, the enclave is tried again.
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        ended = watching => ended,
        _ = signals.next() => Ok(()),
    }
}

/// Tells what the enclave says, until it says no more.
async fn follow(
    channel: Channel,
    service: &str,
    tell: &mut impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let mut answers = match HealthClient::new(channel).watch(request).await {
        Ok(answers) => answers.into_inner(),
        Err(refused) => return tell(&format!("not told: {}", refused.message())),
    };
    while let Ok(Some(answer)) = answers.message().await {
        match answer.status() {
            ServingStatus::Serving => tell("serving")?,
            _ => tell("not serving")?,
        }
    }
    Ok(())
}
