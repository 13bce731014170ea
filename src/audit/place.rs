//! The directory of a log, and where it may be.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
};

use super::error::OpenError;

/// The file beside the log that has its last signed head.
pub const CHECKPOINT: &str = "checkpoint";

/// Where a log may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it outlives the machine's power.
    Disk,
    /// In memory, too.
    Anywhere,
}

/// Makes the directory of a log, where it is not there.
///
/// # Errors
/// It cannot be made, or everybody may write there.
pub fn make(directory: &Path) -> Result<(), OpenError> {
    let at = |error| OpenError::Io { path: directory.to_owned(), error };
    let is_new = !directory.exists();
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at)?;
    let mode = directory.metadata().map_err(at)?.mode();
    if mode & 0o002 != 0 {
        return Err(OpenError::WorldWritable(directory.to_owned()));
    }
    match directory.parent() {
        Some(parent) if is_new => sync_directory(parent).map_err(at),
        _ => Ok(()),
    }
}

impl Place {
    /// Whether a directory is where a log may be; of one that is not there, whether what
    /// would hold it is.
    ///
    /// # Errors
    /// It is not.
    pub fn allows(self, directory: &Path) -> Result<(), OpenError> {
        let there = directory.ancestors().find(|one| one.exists()).unwrap_or(Path::new("."));
        let at = |error| OpenError::Io { path: directory.to_owned(), error };
        match self == Self::Disk && is_in_memory(there).map_err(at)? {
            false => Ok(()),
            true => Err(OpenError::InMemory(directory.to_owned())),
        }
    }
}

/// Whether a directory's file system forgets it without power.
fn is_in_memory(directory: &Path) -> io::Result<bool> {
    /// `linux/magic.h`: tmpfs, ramfs.
    const MAGIC: [i64; 2] = [0x0102_1994, 0x8584_58f6];
    let file_system = rustix::fs::statfs(directory)?.f_type;
    Ok(MAGIC.contains(&file_system))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Removes a file; where there is none, nothing needs to be done.
pub(super) fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
