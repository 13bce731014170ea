//! The files of a TLS listener, and clients of it.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use countersign::grpc::{Files, Service};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::TLS13,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Error};

use super::pki::{Authority, Pair};

/// A directory with certificate, key and trusted authorities.
pub struct TlsFiles {
    directory: TempDir,
    /// Who signs clients, and the server.
    pub authority: Authority,
}

/// What HTTP/2 begins with (RFC 9113 §3.4), and empty SETTINGS.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

impl TlsFiles {
    pub fn new() -> Self {
        let authority = Authority::new();
        let files = Self { directory: tempfile::tempdir().unwrap(), authority };
        files.write_server(&files.authority.server());
        files.write_client_ca(&files.authority.pem());
        files
    }

    pub fn files(&self, service: Service) -> Files {
        Files {
            service,
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: self.path("client-ca.pem"),
        }
    }

    pub fn write_server(&self, pair: &Pair) {
        fs::write(self.path("server.pem"), &pair.certificate).unwrap();
        fs::write(self.path("server.key"), &pair.key).unwrap();
    }

    pub fn write_client_ca(&self, pem: &str) {
        fs::write(self.path("client-ca.pem"), pem).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A client's side of TLS: trusts `server_ca`, presents `identity`.
pub fn client_config(server_ca: &str, identity: Option<&Pair>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(server_ca.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
            let chain = chain.collect::<Result<_, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The port on loopback.
pub fn local(address: SocketAddr) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, address.port()).into()
}

/// The client's half of a handshake. In TLS 1.3 it ends before the server has
/// looked at the client's certificate.
pub async fn connect(
    address: SocketAddr,
    config: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(local(address)).await?;
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// A channel on one connection, which is made anew when it ends.
pub async fn channel(address: SocketAddr, config: ClientConfig) -> Result<Channel, Error> {
    let connector = tower::service_fn(move |_| {
        let config = config.clone();
        async move { connect(address, config).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connector).await
}

/// Whether the server serves: what it sends first is HTTP/2's SETTINGS.
///
/// # Errors
/// It ends the connection, with an alert or without.
pub async fn served(address: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let mut stream = connect(address, config).await?;
    stream.write_all(PREFACE).await?;
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await?;
    assert_eq!(frame[3], 4, "SETTINGS (RFC 9113 §6.5)");
    Ok(stream)
}
