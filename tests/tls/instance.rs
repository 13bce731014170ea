//! A running enclave with a TLS listener.

use std::net::SocketAddr;

use countersign::{
    caller::{Caller, Callers},
    config::{Limits, TlsConfig},
    grpc::Service,
    key::Algorithm,
    proto::signing_enclave_client::SigningEnclaveClient,
};
use tonic::transport::Channel;

use crate::support::{
    enclave::{Enclave, Setup, Share, app_caller},
    pki::Pair,
    tls::{TlsFiles, channel, client_config},
};

/// The caller `app`, whom the policies permit everything; it has a uid, too.
pub const APP: &str = "spiffe://example.org/ns/payments/sa/app";
/// A caller without a uid whom no policy permits anything.
pub const IDLE: &str = "spiffe://example.org/ns/payments/sa/idle";

/// An enclave, its files, and a share.
pub struct Instance {
    pub enclave: Enclave,
    pub files: TlsFiles,
    pub share: Share,
}

impl Instance {
    pub async fn start() -> Self {
        Self::within(Limits::default()).await
    }

    pub async fn within(limits: Limits) -> Self {
        let files = TlsFiles::new();
        let tls = TlsConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            files: files.files(Service::Signing),
        };
        let setup = Setup { callers: callers(), tls: Some(tls), limits, ..Setup::default() };
        let enclave = Enclave::with(setup).await;
        let share = enclave.share(Algorithm::Ed25519).await;
        Self { enclave, files, share }
    }

    pub fn address(&self) -> SocketAddr {
        self.enclave.tls.unwrap()
    }

    /// A client's side of TLS that trusts the server.
    pub fn config(&self, identity: &Pair) -> rustls::ClientConfig {
        client_config(&self.files.authority.pem(), Some(identity))
    }

    pub async fn channel(&self, identity: &Pair) -> Channel {
        channel(self.address(), self.config(identity)).await.unwrap()
    }

    pub async fn client(&self, identity: &Pair) -> SigningEnclaveClient<Channel> {
        SigningEnclaveClient::new(self.channel(identity).await)
    }

    /// Takes what is in the files now.
    pub fn reload(&self) {
        self.enclave.credentials.as_ref().unwrap().reload();
    }
}

fn callers() -> Callers {
    let app = Caller { spiffe_id: Some(APP.parse().unwrap()), ..app_caller() };
    let idle = Caller {
        name: "idle".into(),
        uid: None,
        spiffe_id: Some(IDLE.parse().unwrap()),
        groups: Box::default(),
        rate: None,
    };
    [app, idle].into_iter().collect()
}
