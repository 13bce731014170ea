//! A TLS listener: TCP on which a client certificate says who calls.
//!
//! ```text
//!  accept ─▶ handshake, within its time and room (handshakes.rs)
//!         ─▶ SPIFFE ID of the verified client certificate (certificate.rs) ─▶ Peer
//!         ─▶ limits on connections ─▶ the same routes as on the Unix socket of its service
//!         ─▶ ends when the client's certificate is no longer trusted (credentials.rs)
//! ```
//! The peer of a connection is what its handshake proved, for as long as that holds.

mod certificate;
mod client;
mod credentials;
mod failures;
mod files;
mod handshakes;
mod material;
mod pair;

use std::{io, net::SocketAddr, pin::pin, sync::Arc};

use rustls::pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::service::Routes;

use super::{ConnectionLimits, Connections, pause_after, server::Server};
use crate::{caller::Peer, shutdown::Draining, telemetry::Metrics};
use certificate::Certificate;
use credentials::VERIFY;
use failures::Failures;
use handshakes::Handshakes;

pub(crate) use client::{ClientFiles, is_h2};
pub use credentials::Credentials;
pub use files::{FileProblem, Files};
pub use material::Material;

/// A bound TCP socket that speaks TLS alone.
pub struct TlsListener {
    listener: TcpListener,
    credentials: Arc<Credentials>,
}

/// A handshake that is under way.
type Handshake = JoinHandle<Option<io::Result<TlsStream<TcpStream>>>>;

impl TlsListener {
    /// Binds an address.
    ///
    /// # Errors
    /// The operating system refuses.
    pub async fn bind(address: SocketAddr, credentials: Arc<Credentials>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, credentials })
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What it is made of.
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials)
    }
}

/// What every connection of a listener shares.
struct Listening {
    server: Server,
    connections: Connections,
    credentials: Arc<Credentials>,
    metrics: Metrics,
    failures: Failures,
}

/// Serves `routes` on `listener` until `draining` starts, then lets what is in
/// flight finish within the grace period.
pub async fn serve_tls(
    listener: TlsListener,
    routes: Routes,
    connections: Connections,
    limits: ConnectionLimits,
    metrics: Metrics,
    draining: Draining,
) {
    let TlsListener { listener, credentials } = listener;
    let server = Server::new(routes, limits, draining.clone());
    let failures = Failures::new();
    let listening = Listening { server, connections, credentials, metrics, failures };
    let listening = Arc::new(listening);
    let mut handshakes = Handshakes::new();
    let mut open = JoinSet::new();
    let mut stop = pin!(draining.started());
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // Answers are small, and none waits for another.
        let _ = stream.set_nodelay(true);
        let tls = TlsAcceptor::from(listening.credentials.server());
        let (handshake, full) = handshakes.begin(async move { tls.accept(stream).await });
        if full {
            listening.metrics.connection_refused();
        }
        open.spawn(Arc::clone(&listening).connection(handshake, address));
    }
    drop((listener, handshakes));
    while open.join_next().await.is_some() {}
}

impl Listening {
    async fn connection(self: Arc<Self>, handshake: Handshake, address: SocketAddr) {
        let (stream, chain) = match established(handshake).await {
            Ok(established) => established,
            Err(error) => {
                let listener = self.credentials.service();
                self.metrics.tls_handshake_failed(listener);
                self.failures.tell(listener, address, &error);
                return;
            }
        };
        let peer = match chain.first() {
            Some(leaf) => Certificate::peer(leaf),
            None => Peer::Nobody("it has no certificate"),
        };
        let Some(admitted) = self.connections.admit(&peer) else {
            return;
        };
        let lapsed = async {
            let error = self.credentials.lapse(&chain, VERIFY).await;
            tracing::info!(%address, %error, "Connection ended: its client is no longer trusted");
        };
        self.server.serve(stream, peer, lapsed).await;
        drop(admitted);
    }
}

/// The stream and the client's chain, once the handshake is over.
async fn established(
    handshake: Handshake,
) -> io::Result<(TlsStream<TcpStream>, Vec<CertificateDer<'static>>)> {
    let handshake = handshake.await.map_err(|_| io::ErrorKind::ConnectionAborted)?;
    let stream = handshake.ok_or(io::ErrorKind::TimedOut)??;
    let (_, session) = stream.get_ref();
    // Without it a client may take this for another protocol's server (RFC 9113 §3.2).
    if !is_h2(session) {
        let problem = "the client does not ask for HTTP/2 (ALPN h2)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let chain = session.peer_certificates().unwrap_or_default().to_vec();
    Ok((stream, chain))
}
