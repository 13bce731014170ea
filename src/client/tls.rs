//! Connections over TLS, and why there is none, for a person to read.

use std::{fmt, io, str::FromStr, sync::Arc, time::Duration};

use http::{Uri, uri::Scheme};
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, CertificateError, ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Error};

use crate::grpc::is_h2;

/// How long a connection may take, until the server took the client's certificate.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a call may take. The server's own limits are shorter: this one is for a server
/// that is gone.
const CALL: Duration = Duration::from_secs(60);

/// `https://HOST:PORT`.
#[derive(Clone, Debug)]
pub struct Address {
    host: String,
    port: u16,
}

/// A server and what it must prove.
#[derive(Clone)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// The name that its certificate must have.
    pub name: ServerName<'static>,
    /// What connections are made with.
    pub config: Arc<ClientConfig>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// No TCP connection.
    #[error("{0}: {1}: is the address right, and the port forwarded?")]
    Unreachable(Address, io::Error),
    /// Nothing came.
    #[error("{0}: no answer within {1:?}")]
    Silent(Address, Duration),
    /// The server's certificate is of nobody whom the client trusts.
    #[error(
        "{0}: the server's certificate is of an authority that is not in `--ca-file` ({1}): \
         take the file from who operates the server, and trust no other"
    )]
    UnknownAuthority(Address, rustls::Error),
    /// The server's certificate has other names.
    #[error(
        "{0}: {1}. Where the name is right and the address differs, give it by `--server-name`"
    )]
    OtherName(Address, rustls::Error),
    /// The server's certificate cannot be trusted for another reason.
    #[error("{0}: the server's certificate is refused: {1}")]
    Untrusted(Address, rustls::Error),
    /// The server does not trust the client's certificate.
    #[error(
        "{0}: the server refuses the certificate of `--certificate-file` ({1:?}): it has to be \
         signed by an authority in its `client_ca_file`, be valid now, and be a client's"
    )]
    Refused(Address, AlertDescription),
    /// It is another kind of server.
    #[error("{0}: this is no gRPC server over TLS 1.3: {1}")]
    Foreign(Address, String),
    /// The server ended the connection without a word.
    #[error(
        "{0}: the server ended the connection ({1}): a limit on connections is reached, or it \
         is going down"
    )]
    Ended(Address, io::ErrorKind),
}

impl Address {
    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "https://[{}]:{}", self.host, self.port),
            false => write!(f, "https://{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "write it as https://HOST:PORT";
        let uri: Uri = text.parse().map_err(|_| malformed)?;
        let bare = matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("/"));
        let is_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        match (uri.host(), uri.port_u16()) {
            (Some(host), Some(port))
                if uri.scheme() == Some(&Scheme::HTTPS) && bare && !is_user =>
            {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Ok(Self { host, port })
            }
            _ => Err(malformed),
        }
    }
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// Its source is a [`TlsProblem`].
    pub async fn connect(self) -> Result<Channel, Error> {
        // What tonic takes for plaintext: TLS is the connector's.
        let uri = self.address.to_string().replacen("https", "http", 1);
        let endpoint = Endpoint::from_shared(uri)?.timeout(CALL);
        let connector = tower::service_fn(move |_| {
            let server = self.clone();
            async move { server.stream().await.map(TokioIo::new) }
        });
        endpoint.connect_with_connector(connector).await
    }

    /// A connection on which the server took the client's certificate. In TLS 1.3 it looks at
    /// that after the client's half of the handshake: what it sends first is HTTP/2's SETTINGS
    /// (RFC 9113 §3.4) or why it does not.
    async fn stream(&self) -> Result<BufReader<TlsStream<TcpStream>>, TlsProblem> {
        let Self { address, name, config } = self;
        let connect = async {
            let tcp = TcpStream::connect((address.host(), address.port)).await;
            let tcp = tcp.map_err(|error| TlsProblem::Unreachable(address.clone(), error))?;
            // Requests are small, and none waits for another.
            let _ = tcp.set_nodelay(true);
            let tls = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp).await;
            let tls = tls.map_err(|error| self.problem(error))?;
            if !is_h2(tls.get_ref().1) {
                return Err(self.foreign("it does not choose HTTP/2"));
            }
            let mut stream = BufReader::new(tls);
            let first = stream.fill_buf().await.map_err(|error| self.problem(error))?;
            if first.is_empty() {
                return Err(self.problem(io::ErrorKind::UnexpectedEof.into()));
            }
            Ok(stream)
        };
        let connected = timeout(PATIENCE, connect).await;
        connected.map_err(|_| TlsProblem::Silent(address.clone(), PATIENCE))?
    }

    fn foreign(&self, why: impl fmt::Display) -> TlsProblem {
        TlsProblem::Foreign(self.address.clone(), why.to_string())
    }

    fn problem(&self, error: io::Error) -> TlsProblem {
        use rustls::Error as Tls;

        let address = self.address.clone();
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) else {
            return TlsProblem::Ended(address, error.kind());
        };
        match tls {
            Tls::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => TlsProblem::UnknownAuthority(address, tls.clone()),
            Tls::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => TlsProblem::OtherName(address, tls.clone()),
            Tls::InvalidCertificate(_) => TlsProblem::Untrusted(address, tls.clone()),
            Tls::AlertReceived(
                AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::NoApplicationProtocol
                | AlertDescription::UnrecognisedName,
            ) => self.foreign(tls),
            Tls::AlertReceived(alert) => TlsProblem::Refused(address, *alert),
            other => self.foreign(other),
        }
    }
}
