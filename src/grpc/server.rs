//! What serves a connection, from whichever listener it comes, and how it ends.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tonic::service::Routes;
use tower::ServiceExt;

use super::{
    CONNECTION_WINDOW, ConnectionLimits, HEADER_LIMIT, RESET_LIMIT, STREAM_WINDOW,
    authority::LenientAuthority,
};
use crate::{caller::Peer, shutdown::Draining};

/// How long what is in flight may take, at most, where the peer is no longer who it
/// was.
const LAPSED_GRACE: Duration = Duration::from_secs(5);

/// Serves the connections of one listener.
pub(super) struct Server {
    http: auto::Builder<TokioExecutor>,
    routes: Routes,
    limits: ConnectionLimits,
    draining: Draining,
}

impl Server {
    /// Over these routes, within these limits.
    pub(super) fn new(routes: Routes, limits: ConnectionLimits, draining: Draining) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new()).http2_only();
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(HEADER_LIMIT)
            .max_pending_accept_reset_streams(RESET_LIMIT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Self { http, routes: routes.prepare(), limits, draining }
    }

    /// Serves until the client goes or draining starts; then what is in flight has
    /// the grace period. When `lapsed` comes first, the transport no longer vouches
    /// for the peer: it is nobody for every further request, whatever it makes of
    /// being asked to go.
    pub(super) async fn serve<S>(&self, stream: S, peer: Peer, lapsed: impl Future<Output = ()>)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let routes = self.routes.clone();
        let is_peer = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&is_peer);
        let service = routes.map_request(move |mut request: http::Request<_>| {
            let peer = match still.load(Ordering::Relaxed) {
                true => peer.clone(),
                false => Peer::Nobody("its certificate is no longer trusted"),
            };
            request.extensions_mut().insert(peer);
            request
        });
        let stream = Box::pin(bounded(stream, self.limits.idle));
        let connection = self.http.serve_connection(
            TokioIo::new(LenientAuthority::new(stream)),
            TowerToHyperService::new(service),
        );
        let mut connection = pin!(connection);
        // How a connection ends is the client's affair; its requests are logged one
        // by one.
        let grace = tokio::select! {
            _ = connection.as_mut() => return,
            () = self.draining.clone().started() => self.limits.grace,
            () = lapsed => {
                is_peer.store(false, Ordering::Relaxed);
                self.limits.grace.min(LAPSED_GRACE)
            }
        };
        connection.as_mut().graceful_shutdown();
        let _ = timeout(grace, connection).await;
    }
}

fn bounded<S: AsyncRead + AsyncWrite>(stream: S, idle: Duration) -> TimeoutStream<S> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(idle));
    stream
}
