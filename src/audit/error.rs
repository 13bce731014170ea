//! Why a log is not opened.

use std::{io, path::PathBuf};

/// Why a log is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What is in memory alone is no log.
    #[error("{path}: this file system is in memory, and the environment a production one: use a directory on a disk", path = .0.display())]
    InMemory(PathBuf),
    /// Who may write there can put files in the log's place.
    #[error("{path}: everybody may write here: use a directory below it, or take that right away (chmod o-w)", path = .0.display())]
    WorldWritable(PathBuf),
    /// The directory or a file in it cannot be used.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The end is not there.
    #[error("{path}: the log was cut: the checkpoint beside it has {size} records: keep it, run `countersign audit verify`, and start with another directory", path = .path.display())]
    Cut {
        /// The directory.
        path: PathBuf,
        /// How many records a checkpoint has.
        size: u64,
    },
    /// Another process writes here.
    #[error("{path}: another process writes this log: give every process its own directory", path = .0.display())]
    Locked(PathBuf),
    /// What is there is not what was written.
    #[error("{path}, byte {offset}: the log was changed here: keep it, run `countersign audit verify`, and start with another directory", path = path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
}
