//! One stream with a number of frames in flight.

use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::{
    request::{self, Share},
    rounds::{Figures, Measure},
};
use crate::{cli::failure::Failure, client, proto::signing_enclave_client::SigningEnclaveClient};

/// Frames after which another stream is opened: fewer than a stream may have.
const FRAMES: u64 = 90_000;

/// A client that opens one stream at a time.
pub(super) struct Frames {
    enclave: SigningEnclaveClient<Channel>,
    share: Share,
    depth: usize,
}

impl Frames {
    /// Keeps `depth` frames in flight.
    pub(super) async fn connect(
        socket: &Path,
        share: &Share,
        depth: usize,
    ) -> Result<Self, Failure> {
        Ok(Self { enclave: client::enclave(socket).await?, share: share.clone(), depth })
    }

    /// Runs one stream until `until` or [`FRAMES`]. Only the time after `opened`
    /// counts: opening has its own cost, which `Sign` shows.
    async fn stream(
        &mut self,
        until: Instant,
        latencies: &mut Vec<Duration>,
    ) -> Result<Duration, Failure> {
        let broken = || Failure::new("the stream ended early");
        let (sender, frames) = mpsc::channel(self.depth + 1);
        let send = async |frame| sender.send(frame).await.map_err(|_| broken());
        send(self.share.open()).await?;
        let answers = self.enclave.use_share(ReceiverStream::new(frames)).await?;
        let mut answers = answers.into_inner();
        answers.message().await?.ok_or_else(broken)?;

        let opened = Instant::now();
        let mut in_flight = VecDeque::with_capacity(self.depth);
        let mut id = 0;
        while in_flight.len() < self.depth {
            id += 1;
            in_flight.push_back(Instant::now());
            send(request::frame(id)).await?;
        }
        while let Some(sent) = in_flight.pop_front() {
            answers.message().await?.ok_or_else(broken)?;
            let now = Instant::now();
            latencies.push(now - sent);
            if now < until && id < FRAMES {
                id += 1;
                in_flight.push_back(now);
                send(request::frame(id)).await?;
            }
        }
        let took = opened.elapsed();
        drop(sender);
        match answers.message().await? {
            None => Ok(took),
            Some(_) => Err(Failure::new("the stream answers more than it was asked")),
        }
    }
}

#[async_trait]
impl Measure for Frames {
    async fn measure(&mut self, span: Duration) -> Result<Figures, Failure> {
        let until = Instant::now() + span;
        let mut latencies = Vec::new();
        let mut took = Duration::ZERO;
        while took.is_zero() || Instant::now() < until {
            took += self.stream(until, &mut latencies).await?;
        }
        Ok(Figures::of(latencies, took))
    }
}
