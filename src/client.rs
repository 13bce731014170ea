//! A small client over a Unix socket, for the command line and the demo.
#![forbid(unsafe_code)]

use std::path::Path;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Error};

use crate::proto::{
    share_custody_client::ShareCustodyClient, signing_enclave_client::SigningEnclaveClient,
};

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
