//! Who is at the other end of a connection.

use tokio::net::UnixStream;

use crate::caller::Peer;

/// Asks the kernel.
pub(super) fn of(stream: &UnixStream) -> Peer {
    match stream.peer_cred() {
        Ok(credentials) => Peer::User(credentials.uid()),
        Err(_) => Peer::Nobody("the kernel gives no uid"),
    }
}
