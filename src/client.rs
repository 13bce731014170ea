//! A small client over a Unix socket or TLS, for the command line and the demo.
#![forbid(unsafe_code)]

mod tls;

use std::path::Path;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Error};

use crate::{
    payload::PayloadKind,
    proto::{
        self, share_custody_client::ShareCustodyClient,
        signing_enclave_client::SigningEnclaveClient,
    },
};

pub use tls::{Address, Server, TlsProblem};

/// Connects to a socket.
///
/// # Errors
/// The path is no socket, or nobody answers on it.
pub async fn connect(socket: &Path) -> Result<Channel, Error> {
    let socket = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The name is for the HTTP/2 header alone.
    Endpoint::from_static("http://localhost").connect_with_connector(connector).await
}

/// A client of the application's service.
///
/// # Errors
/// As [`connect`].
pub async fn enclave(socket: &Path) -> Result<SigningEnclaveClient<Channel>, Error> {
    Ok(SigningEnclaveClient::new(connect(socket).await?))
}

/// A client of the operators' service.
///
/// # Errors
/// As [`connect`].
pub async fn custody(socket: &Path) -> Result<ShareCustodyClient<Channel>, Error> {
    Ok(ShareCustodyClient::new(connect(socket).await?))
}

/// The bytes of a payload as the contract's message; none where it wants text and
/// they are no UTF-8.
pub fn payload(kind: PayloadKind, bytes: Bytes) -> Option<proto::Payload> {
    use proto::payload::Kind;

    let kind = match kind {
        PayloadKind::Message => Kind::Message(bytes),
        PayloadKind::Digest => Kind::Digest(bytes),
        PayloadKind::Eip191 => Kind::Eip191(bytes),
        PayloadKind::Eip712 => Kind::Eip712(String::from_utf8(bytes.into()).ok()?),
        PayloadKind::EvmTransaction => Kind::EvmTransaction(bytes),
        PayloadKind::SolanaMessage => Kind::SolanaMessage(bytes),
    };
    Some(proto::Payload { kind: Some(kind) })
}
