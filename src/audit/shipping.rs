//! Shipping: the signed head of the tree, put where it outlives the log. A log that was
//! cut at its end is found by a head that left the machine before, and by nothing else.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    log::Log,
    notary::Notary,
    place::{CHECKPOINT, remove_if_there, sync_directory},
    webhook::Checkpoints,
};
use crate::telemetry::Metrics;

/// When a head was shipped, and when the next one is.
pub(super) struct Shipping {
    directory: PathBuf,
    every: Duration,
    at: Instant,
    size: u64,
    checkpoints: watch::Sender<Option<Arc<str>>>,
}

impl Shipping {
    pub(super) fn to(directory: &Path, every: Duration) -> Self {
        let (checkpoints, _) = watch::channel(None);
        Self { directory: directory.to_owned(), every, at: Instant::now(), size: 0, checkpoints }
    }

    /// The heads as they are shipped.
    pub(super) fn checkpoints(&self) -> Checkpoints {
        self.checkpoints.subscribe()
    }

    /// When the next head is to be shipped, if the log grew.
    pub(super) fn due(&self, log: &Log) -> Option<Instant> {
        (log.head_on_disk().0 > self.size).then(|| self.at + self.every)
    }

    /// Ships the head of what is on disk, with the process's log and in a file.
    pub(super) fn ship(&mut self, log: &Log, notary: &Notary, metrics: &Metrics) {
        let (size, root) = log.head_on_disk();
        self.at = Instant::now();
        notary.ask(size, root);
        let Some(note) = notary.note() else {
            return tracing::error!("The enclave did not sign the head of the audit log");
        };
        tracing::info!(size, note, "Checkpoint");
        self.checkpoints.send_replace(Some(note.as_str().into()));
        match replace(&self.directory.join(CHECKPOINT), note.as_bytes()) {
            Ok(()) => {
                self.size = size;
                metrics.audit_shipped();
            }
            Err(error) => tracing::warn!(%error, "The file of the checkpoint cannot be written"),
        }
    }
}

/// Puts a file in a file's place, whole or not at all.
///
/// # Errors
/// It cannot be written; what was there still is.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    remove_if_there(&new)?;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}
