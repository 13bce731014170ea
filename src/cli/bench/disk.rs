//! The floor under every record: a write and a flush of a file.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use super::rounds::{Figures, Measure};
use crate::cli::failure::Failure;

/// About as long as the record of a request.
const RECORD: [u8; 640] = [b'r'; 640];

/// Records that are flushed one by one.
pub(super) struct Disk(PathBuf);

impl Disk {
    /// In a file of this directory.
    pub(super) fn of(directory: &Path) -> Self {
        Self(directory.join("flushed"))
    }
}

#[async_trait]
impl Measure for Disk {
    async fn measure(&mut self, span: Duration) -> Result<Figures, Failure> {
        let path = self.0.clone();
        let flushed = spawn_blocking(move || flush(&path, span)).await;
        Ok(flushed.map_err(|error| Failure::new(error.to_string()))??)
    }
}

fn flush(path: &Path, span: Duration) -> io::Result<Figures> {
    let mut file = File::create(path)?;
    let begun = Instant::now();
    let mut latencies = Vec::new();
    let mut started = begun;
    while begun.elapsed() < span {
        file.write_all(&RECORD)?;
        file.sync_data()?;
        let now = Instant::now();
        latencies.push(now - started);
        started = now;
    }
    Ok(Figures::of(latencies, begun.elapsed()))
}
