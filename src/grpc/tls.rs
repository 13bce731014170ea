//! The TLS listener: TCP on which a client certificate says who calls.
//!
//! ```text
//!  accept ─▶ handshake, within its time and room (handshakes.rs)
//!         ─▶ SPIFFE ID of the verified client certificate (certificate.rs) ─▶ Peer
//!         ─▶ limits on connections ─▶ the same routes as on the Unix socket
//!         ─▶ ends when the client's certificate is no longer trusted (credentials.rs)
//! ```
//! The peer of a connection is what its handshake proved, for as long as that holds.

mod certificate;
mod credentials;
mod files;
mod handshakes;
mod material;

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
use handshakes::Handshakes;
use material::ALPN;

pub use credentials::Credentials;
pub use files::{FileKey, FileProblem, Files};
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
    let server = Arc::new(Server::new(routes, limits, draining.clone()));
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
        let tls = TlsAcceptor::from(credentials.server());
        let (handshake, full) = handshakes.begin(async move { tls.accept(stream).await });
        if full {
            metrics.connection_refused();
        }
        open.spawn(connection(
            handshake,
            address,
            Arc::clone(&server),
            connections.clone(),
            Arc::clone(&credentials),
            metrics.clone(),
        ));
    }
    drop((listener, handshakes));
    while open.join_next().await.is_some() {}
}

async fn connection(
    handshake: Handshake,
    address: SocketAddr,
    server: Arc<Server>,
    connections: Connections,
    credentials: Arc<Credentials>,
    metrics: Metrics,
) {
    let (stream, chain) = match established(handshake).await {
        Ok(established) => established,
        Err(error) => {
            metrics.tls_handshake_failed();
            tell(address, &error);
            return;
        }
    };
    let peer = match chain.first() {
        Some(leaf) => Certificate::peer(leaf),
        None => Peer::Nobody("it has no certificate"),
    };
    let Some(admitted) = connections.admit(&peer) else {
        return;
    };
    let lapsed = async {
        let error = credentials.lapse(&chain).await;
        tracing::info!(%address, %error, "Connection ended: its client is no longer trusted");
    };
    server.serve(stream, peer, lapsed).await;
    drop(admitted);
}

/// The stream and the client's chain, once the handshake is over.
async fn established(
    handshake: Handshake,
) -> io::Result<(TlsStream<TcpStream>, Vec<CertificateDer<'static>>)> {
    let handshake = handshake.await.map_err(|_| io::ErrorKind::ConnectionAborted)?;
    let stream = handshake.ok_or(io::ErrorKind::TimedOut)??;
    let (_, session) = stream.get_ref();
    // Without it a client may take this for another protocol's server (RFC 9113 §3.2).
    if session.alpn_protocol() != Some(ALPN) {
        let problem = "the client does not ask for HTTP/2 (ALPN h2)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let chain = session.peer_certificates().unwrap_or_default().to_vec();
    Ok((stream, chain))
}

fn tell(address: SocketAddr, error: &io::Error) {
    match error.kind() {
        // A probe of the port goes away like this all day, and a room that is full
        // is counted.
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted => {
            tracing::debug!(%address, %error, "TLS handshake failed");
        }
        _ => tracing::warn!(%address, %error, "TLS handshake failed"),
    }
}
