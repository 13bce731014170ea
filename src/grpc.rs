//! Listeners: connections on a Unix socket, and what a connection may use.
//!
//! ```text
//!  connect ─▶ limits on connections (in all, per caller) ─▶ HTTP/2 limits ─▶ routes
//!  routes  ─▶ SigningEnclave or ShareCustody behind the gate (gate.rs), or health
//! ```
#![forbid(unsafe_code)]

mod admission;
mod allowance;
mod answer;
mod authority;
mod connections;
mod custody;
mod deadline;
mod enclave;
mod gate;
mod health;
mod message;
mod peer;
mod socket;
pub mod status;

use std::{io, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::UnixStream;
use tokio_io_timeout::TimeoutStream;
use tonic::service::Routes;
use tower::ServiceExt;

use crate::shutdown::Draining;
use authority::LenientAuthority;

pub use admission::{Admission, Room};
pub use allowance::Allowed;
pub use connections::Connections;
pub use custody::ShareCustody;
pub use enclave::{SigningEnclave, frame};
pub use gate::{Gate, Gated};
pub use health::{Health, HealthService, MEMORY};
pub use socket::{Socket, SocketError};

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
    let mut server = auto::Builder::new(TokioExecutor::new()).http2_only();
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(HEADER_LIMIT)
        .max_pending_accept_reset_streams(RESET_LIMIT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let server = Arc::new(server);
    let routes = routes.prepare();
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(draining.started());
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
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
        let Some(open) = connections.admit(&peer) else {
            continue;
        };
        let service = routes.clone().map_request(move |mut request: http::Request<_>| {
            request.extensions_mut().insert(peer.clone());
            request
        });
        let connection = server
            .serve_connection(
                TokioIo::new(LenientAuthority::new(bounded(stream, limits.idle))),
                TowerToHyperService::new(service),
            )
            .into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // How a connection ends is the client's affair; its requests are
            // logged one by one.
            let _ = connection.await;
            drop(open);
        });
    }
    drop(socket);
    let _ = tokio::time::timeout(limits.grace, graceful.shutdown()).await;
}

fn bounded(stream: UnixStream, idle: Duration) -> std::pin::Pin<Box<TimeoutStream<UnixStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(idle));
    Box::pin(stream)
}

/// Running out of descriptors passes; a loop that spins on it would not help.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "Connection not accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}
