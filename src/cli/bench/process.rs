//! A process of its own: how long it takes to start, and what it holds idle.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    report::{Aim, Line, Section, Unit},
    rounds::median,
};
use crate::{cli::failure::Failure, client};

/// How often a process is started.
const STARTS: usize = 5;
/// How long it is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(1);
/// How long it may take to start at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures `countersign serve` on a configuration whose enclave listens on
/// `socket`.
pub(super) async fn section(config: &Path, socket: &Path) -> Result<Section, Failure> {
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..STARTS {
        let started = Instant::now();
        let mut process = Process::start(config)?;
        while !is_ready(socket).await {
            if process.has_ended() || started.elapsed() > PATIENCE {
                return Err(Failure::new("`countersign serve` does not become ready"));
            }
            sleep(Duration::from_micros(500)).await;
        }
        starts.push(started.elapsed().as_secs_f64() * 1e3);
        sleep(IDLE).await;
        memory.push(process.resident_mib()?);
    }
    Ok(Section {
        title: "A process of its own, embedded default".to_owned(),
        lines: vec![
            Line::new("start to ready", median(starts), Unit::Milliseconds).aim(Aim::AtMost(100.0)),
            Line::new("idle memory (VmRSS)", median(memory), Unit::Mebibytes)
                .aim(Aim::AtMost(20.0)),
        ],
    })
}

async fn is_ready(socket: &Path) -> bool {
    let Ok(channel) = client::connect(socket).await else {
        return false;
    };
    let request = HealthCheckRequest { service: "readiness".to_owned() };
    let answer = HealthClient::new(channel).check(request).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

/// A running `countersign serve`; ends with the value.
struct Process(Child);

impl Process {
    fn start(config: &Path) -> Result<Self, Failure> {
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    fn resident_mib(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let kib = status.lines().find_map(|line| {
            let (_, value) = line.split_once("VmRSS:")?;
            value.trim().strip_suffix(" kB")?.parse::<f64>().ok()
        });
        kib.map(|kib| kib / 1024.0)
            .ok_or_else(|| Failure::new("the kernel does not say how much memory is resident"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}
