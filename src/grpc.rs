//! Listeners: connections on a Unix socket, and what a connection may use.
//!
//! ```text
//!  connect ─▶ limits on connections (in all, per uid) ─▶ HTTP/2 limits ─▶ routes
//!  routes  ─▶ SigningEnclave or ShareCustody behind the gate (gate.rs), or health
//! ```
#![forbid(unsafe_code)]

mod admission;
mod answer;
mod authority;
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

use crate::{shutdown::Draining, telemetry::Metrics};
use authority::LenientAuthority;

pub use admission::{Admission, Room};
pub use custody::ShareCustody;
pub use enclave::{SigningEnclave, frame};
pub use gate::{Gate, Gated};
pub use health::{Health, HealthService};
pub use peer::Peer;
pub use socket::{Socket, SocketError};

/// The longest message, encoded: twice the longest payload.
pub const MESSAGE_LIMIT: usize = 128 * 1024;
/// The longest header list, in bytes.
const HEADER_LIMIT: u32 = 16 * 1024;
/// A client that resets streams faster than they can be refused is cut off.
const RESET_LIMIT: usize = 64;

/// What connections may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections, in all and per uid.
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
    limits: ConnectionLimits,
    metrics: Metrics,
    draining: Draining,
) {
    let mut server = auto::Builder::new(TokioExecutor::new()).http2_only();
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(HEADER_LIMIT)
        .max_pending_accept_reset_streams(RESET_LIMIT)
        .adaptive_window(false);
    let server = Arc::new(server);
    let routes = routes.prepare();
    let admission = Admission::new(limits.connections);
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
        let peer = Peer::of(&stream);
        // Without a uid nobody is a caller; such a peer counts as the overflow uid.
        let uid = peer.uid.unwrap_or(crate::caller::OVERFLOW_UID);
        let Ok(admitted) = admission.admit(uid) else {
            metrics.connection_refused();
            continue;
        };
        metrics.set_connections(admission.in_flight());
        let service = routes
            .clone()
            .map_request(move |mut request: http::Request<_>| {
                request.extensions_mut().insert(peer);
                request
            });
        let connection = server
            .serve_connection(
                TokioIo::new(LenientAuthority::new(bounded(stream, limits.idle))),
                TowerToHyperService::new(service),
            )
            .into_owned();
        let connection = graceful.watch(connection);
        let (metrics, admission) = (metrics.clone(), admission.clone());
        tokio::spawn(async move {
            // How a connection ends is the client's affair; its requests are
            // logged one by one.
            let _ = connection.await;
            drop(admitted);
            metrics.set_connections(admission.in_flight());
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
