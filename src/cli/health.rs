//! `countersign health`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{block_on, failure::Failure};
use crate::client;

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
        block_on(1, async {
            let service = if self.liveness { "liveness" } else { "readiness" };
            let request = HealthCheckRequest { service: service.to_owned() };
            let channel = client::connect(&self.socket).await?;
            let answer = HealthClient::new(channel).check(request).await?;
            match answer.into_inner().status() {
                ServingStatus::Serving => {
                    writeln!(io::stdout(), "{service}: serving")?;
                    Ok(())
                }
                other => Err(Failure::new(format!("{service}: {}", other.as_str_name()))),
            }
        })
    }
}
