//! Binding a Unix socket: with its mode from the first moment, and never over
//! one that somebody answers on.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// The longest path that fits into a socket address (`sun_path`, unix(7)).
const PATH_MAX: usize = 107;

/// A bound socket; its file is removed on drop if it is still ours.
pub struct Socket {
    /// Accepts connections.
    pub listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

/// Why a socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The path does not fit into a socket address.
    #[error("{0}: a socket's path has at most {PATH_MAX} bytes: use a shorter directory")]
    TooLong(PathBuf),
    /// Another process answers on the socket.
    #[error("{0}: another process answers on this socket: stop it, or use another path")]
    InUse(PathBuf),
    /// Something that is not a socket has this name.
    #[error("{0}: is there and not a socket: remove it, or use another path")]
    NotASocket(PathBuf),
    /// The operating system refuses.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

impl Socket {
    /// Binds `path` with `mode`.
    ///
    /// The socket is bound under a temporary name beside `path`, given its mode,
    /// and renamed, so that nobody can connect before the mode is right (until
    /// then the process's umask lets the same user only). A
    /// socket file that is there is replaced only when nobody answers on it.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(path: &Path, mode: u32) -> Result<Self, SocketError> {
        let io = |error| SocketError::Io(path.to_owned(), error);
        if Self::is_too_long(path) {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        let temporary = temporary(path);
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(SocketError::NotASocket(path.to_owned()));
            }
            Ok(_) => match StdUnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(io(error)),
                Ok(_) => return Err(SocketError::InUse(path.to_owned())),
            },
        }
        let _ = fs::remove_file(&temporary);
        let listener = UnixListener::bind(&temporary).map_err(io)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(mode)).map_err(io)?;
        let inode = inode(&temporary).map_err(io)?;
        fs::rename(&temporary, path).map_err(io)?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }
}

impl Socket {
    /// Whether the path, or the temporary name beside it, does not fit into a
    /// socket address.
    pub fn is_too_long(path: &Path) -> bool {
        // Process ids have at most seven digits (proc(5), pid_max).
        path.as_os_str().len().max(temporary(path).as_os_str().len()) > PATH_MAX
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension(format!("{:07}", std::process::id()))
}

fn inode(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;

    Ok(fs::symlink_metadata(path)?.ino())
}
