//! Listeners: connections on a Unix socket or over TLS, and what a connection may
//! use.
//!
//! ```text
//!  Unix socket ─▶ uid of the peer ──────────────────┐
//!  TCP ─▶ TLS handshake (tls.rs) ─▶ SPIFFE ID of it ─┤
//!      ┌────────────────────────────────────────────┘
//!      └▶ limits on connections (in all, per caller) ─▶ HTTP/2 limits ─▶ routes
//!  routes  ─▶ SigningEnclave or ShareCustody behind the gate (gate.rs), or health
//! ```
#![forbid(unsafe_code)]

mod admission;
mod allowance;
mod answer;
mod authority;
pub(crate) mod codec;
mod connections;
mod custody;
mod deadline;
mod enclave;
mod gate;
mod health;
mod message;
mod peer;
mod server;
mod service;
mod socket;
pub mod status;
mod tls;

use std::{future::pending, io, pin::pin, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tonic::service::Routes;

use crate::shutdown::Draining;
use server::Server;

pub use admission::{Admission, Room};
pub use allowance::Allowed;
pub use connections::Connections;
pub use custody::ShareCustody;
pub use enclave::{SigningEnclave, frame};
pub use gate::{Gate, Gated};
pub use health::{Health, HealthService, MEMORY, POLICIES, PolicyHealth};
pub use service::Service;
pub use socket::{Socket, SocketError};
pub(crate) use tls::{ClientFiles, is_h2};
pub use tls::{Credentials, FileProblem, Files, Material, TlsListener, serve_tls};

/// The longest message, encoded: twice the longest payload.
pub const MESSAGE_LIMIT: usize = 128 * 1024;
/// The longest header list, in bytes.
const HEADER_LIMIT: u32 = 16 * 1024;
/// Twice the longest message may be under way on a stream.
const STREAM_WINDOW: u32 = 2 * MESSAGE_LIMIT as u32;
/// What one connection may have under way in all.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// A client that resets streams faster than they can be refused is cut off.
const RESET_LIMIT: usize = 64;

/// What connections may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections, in all and per caller.
    pub connections: Room,
    /// Streams on one connection, each carrying one request.
    pub streams: u32,
    /// A connection on which nothing is received for this long is closed.
    pub idle: Duration,
    /// How long open connections may take to finish at shutdown.
    pub grace: Duration,
}

/// Serves `routes` on `socket` until `draining` starts, then lets what is in
/// flight finish within the grace period.
pub async fn serve(
    socket: Socket,
    routes: Routes,
    connections: Connections,
    limits: ConnectionLimits,
    draining: Draining,
) {
    let server = Arc::new(Server::new(routes, limits, draining.clone()));
    let mut open = JoinSet::new();
    let mut stop = pin!(draining.started());
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = open.join_next() => continue,
            accepted = socket.listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let peer = peer::of(&stream);
        let Some(admitted) = connections.admit(&peer) else {
            continue;
        };
        let server = Arc::clone(&server);
        open.spawn(async move {
            server.serve(stream, peer, pending()).await;
            drop(admitted);
        });
    }
    drop(socket);
    while open.join_next().await.is_some() {}
}

/// Running out of descriptors passes; a loop that spins on it would not help.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "Connection not accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}
