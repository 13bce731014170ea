//! Shipping: the signed head of the tree, put where it outlives the log. A log that was
//! cut at its end is found by a head that left the machine before, and by nothing else.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{log::Log, note::Signer};
use crate::telemetry::Metrics;

/// The file beside the log.
pub const FILE: &str = "checkpoint";

/// When a head was shipped, and when the next one is.
pub(super) struct Shipping {
    directory: PathBuf,
    every: Duration,
    at: Instant,
    size: u64,
}

impl Shipping {
    pub(super) fn to(directory: &Path, every: Duration) -> Self {
        Self { directory: directory.to_owned(), every, at: Instant::now(), size: 0 }
    }

    /// When the next head is to be shipped, if the log grew.
    pub(super) fn due(&self, log: &Log) -> Option<Instant> {
        (log.head_on_disk().0 > self.size).then(|| self.at + self.every)
    }

    /// Ships the head of what is on disk, with the process's log and in a file.
    pub(super) fn ship(&mut self, log: &Log, signer: &Signer, metrics: &Metrics) {
        let (size, root) = log.head_on_disk();
        self.at = Instant::now();
        let Some(note) = signer.checkpoint(size, &root) else {
            return tracing::error!("The enclave did not sign the head of the audit log");
        };
        self.size = size;
        tracing::info!(size, note, "Checkpoint");
        match replace(&self.directory, &note) {
            Ok(()) => metrics.audit_shipped(),
            Err(error) => tracing::warn!(%error, "The file of the checkpoint cannot be written"),
        }
    }
}

/// Whole or not at all.
fn replace(directory: &Path, note: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(note.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(directory.join(FILE)).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}
