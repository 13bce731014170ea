//! `countersign health`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{block_on, failure::Failure};
use crate::{
    client,
    grpc::{MEMORY, POLICIES},
    memory::Level,
};

/// Ask a running enclave for its health, for use as an exec probe
///
/// Exit code 0: serving; 1: not serving, or nobody answers.
#[derive(clap::Args)]
pub struct Health {
    /// The enclave's socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Ask for liveness instead of readiness
    #[arg(long)]
    liveness: bool,
}

impl Health {
    pub fn run(self) -> Result<(), Failure> {
        block_on(async {
            let service = if self.liveness { "liveness" } else { "readiness" };
            let mut health = HealthClient::new(client::connect(&self.socket).await?);
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
        })
    }
}
