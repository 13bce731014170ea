//! Who is at the other end of a connection.

use tokio::net::UnixStream;

/// The peer of a connection, as the kernel reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user id at the time of `connect` (SO_PEERCRED). The process id is
    /// not used: it can be reused by the time that it is looked up.
    pub uid: Option<u32>,
}

impl Peer {
    /// Asks the kernel.
    pub fn of(stream: &UnixStream) -> Self {
        Self { uid: stream.peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}
