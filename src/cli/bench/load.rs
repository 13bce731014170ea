//! Closed loops: each client sends its next request when it has its answer.

use std::{
    future::Future,
    path::Path,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::{
    request::Share,
    rounds::{Figures, Measure},
};
use crate::{
    cli::failure::Failure,
    client,
    proto::{self, signing_enclave_client::SigningEnclaveClient},
};

/// Somebody who sends one request after the other.
pub(super) trait Client: Send + 'static {
    /// One request and its answer.
    fn call(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Some clients at once.
pub(super) struct Load<C>(Vec<C>);

impl<C> Load<C> {
    pub(super) fn of(clients: Vec<C>) -> Self {
        Self(clients)
    }
}

#[async_trait]
impl<C: Client> Measure for Load<C> {
    async fn measure(&mut self, span: Duration) -> Result<Figures, Failure> {
        let started = Instant::now();
        let until = started + span;
        let mut running: JoinSet<_> = self.0.drain(..).map(|client| run(client, until)).collect();
        let mut latencies = Vec::new();
        while let Some(ended) = running.join_next().await {
            let (client, own) = ended.map_err(|error| Failure::new(error.to_string()))??;
            self.0.push(client);
            latencies.extend(own);
        }
        Ok(Figures::of(latencies, started.elapsed()))
    }
}

async fn run<C: Client>(mut client: C, until: Instant) -> Result<(C, Vec<Duration>), Failure> {
    let mut latencies = Vec::new();
    let mut started = Instant::now();
    while started < until {
        client.call().await?;
        let now = Instant::now();
        latencies.push(now - started);
        started = now;
    }
    Ok((client, latencies))
}

/// A client of `Sign` with a connection of its own.
pub(super) struct Signer {
    enclave: SigningEnclaveClient<Channel>,
    request: proto::SignRequest,
}

impl Signer {
    /// `number` of them on one socket.
    pub(super) async fn connect(
        socket: &Path,
        share: &Share,
        number: usize,
    ) -> Result<Load<Self>, Failure> {
        let mut clients = Vec::new();
        for _ in 0..number {
            clients.push(Self::one(socket, share).await?);
        }
        Ok(Load::of(clients))
    }

    /// One of them.
    pub(super) async fn one(socket: &Path, share: &Share) -> Result<Self, Failure> {
        Ok(Self { enclave: client::enclave(socket).await?, request: share.sign() })
    }
}

impl Client for Signer {
    async fn call(&mut self) -> Result<(), Failure> {
        self.enclave.sign(self.request.clone()).await?;
        Ok(())
    }
}
