//! Which enclave a command speaks to: by its socket, or over TLS.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use rustls::pki_types::ServerName;
use tonic::transport::Channel;

use super::failure::Failure;
use crate::{
    client::{self, Address, Server},
    grpc::ClientFiles,
    harden::harden,
    proto::{
        share_custody_client::ShareCustodyClient, signing_enclave_client::SigningEnclaveClient,
    },
};

/// The enclave's socket, or its TLS listener with who calls it.
#[derive(Args)]
pub struct Target {
    /// The enclave's socket: `listen.custody` for shares, `listen.enclave` to sign
    #[arg(
        long,
        value_name = "PATH",
        required_unless_present = "server",
        conflicts_with = "server"
    )]
    socket: Option<PathBuf>,
    /// The enclave over TLS, in place of a socket: [listen.custody_tls] for shares, [listen.tls]
    /// to sign
    #[arg(
        long,
        value_name = "https://HOST:PORT",
        requires_all = ["certificate_file", "key_file", "ca_file"]
    )]
    server: Option<Address>,
    /// Your certificate, with its intermediates, PEM: its SPIFFE ID says who calls
    #[arg(long, value_name = "FILE", requires = "server")]
    certificate_file: Option<PathBuf>,
    /// The private key of your certificate, PEM
    #[arg(long, value_name = "FILE", requires = "server")]
    key_file: Option<PathBuf>,
    /// The authorities that sign the server's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
    /// The name in the server's certificate, where it is not HOST: behind a forwarded port
    #[arg(long, value_name = "NAME", requires = "server", value_parser = server_name)]
    server_name: Option<ServerName<'static>>,
}

impl Target {
    /// A client of the operators' service.
    pub async fn custody(&self) -> Result<ShareCustodyClient<Channel>, Failure> {
        Ok(ShareCustodyClient::new(self.connect().await?))
    }

    /// A client of the application's service.
    pub async fn enclave(&self) -> Result<SigningEnclaveClient<Channel>, Failure> {
        Ok(SigningEnclaveClient::new(self.connect().await?))
    }

    async fn connect(&self) -> Result<Channel, Failure> {
        let Self { socket, server, certificate_file, key_file, ca_file, server_name } = self;
        if let Some(socket) = socket {
            return Ok(client::connect(socket).await?);
        }
        let (Some(address), Some(certificate), Some(key), Some(ca)) =
            (server, certificate_file, key_file, ca_file)
        else {
            return Err(Failure::new(
                "--server needs --certificate-file, --key-file and --ca-file",
            ));
        };
        let name = match server_name {
            Some(name) => name.clone(),
            None => self::server_name(address.host()).map_err(Failure::new)?,
        };
        // Before there is a person's key in memory.
        harden()?;
        let config = Arc::new(ClientFiles { certificate, key, ca }.load()?);
        Ok(Server { address: address.clone(), name, config }.connect().await?)
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, String> {
    let name = ServerName::try_from(text.to_owned());
    name.map_err(|_| format!("{text:?} is no DNS name and no IP address"))
}
