//! The canary: a share that a signer opens after it was rewrapped.
//!
//! A rotator cannot know whether what the KMS gave it unwraps. A signer can, and opens the
//! canary's share for a `UseShare` stream: it unwraps, opens and compares the public key,
//! as for a signature, and nothing is signed.

use std::{path::PathBuf, time::Duration};

use tokio::time::timeout;
use tonic::Status;
use tonic_types::StatusExt;

use crate::{
    client,
    key::{ShareId, WalletId},
    proto::{self, use_share_request::Frame, use_share_response},
};

/// How long a signer may take to open it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A share, and the socket of who may open it.
#[derive(Clone, Debug)]
pub struct Canary {
    /// The application's socket of a signer.
    pub socket: PathBuf,
    /// The share.
    pub share: ShareId,
    /// Its wallet.
    pub wallet: WalletId,
}

impl Canary {
    /// Has the signer open the share.
    ///
    /// # Errors
    /// It does not, and why.
    pub(super) async fn sing(&self) -> Result<(), String> {
        timeout(PATIENCE, self.open()).await.unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    async fn open(&self) -> Result<(), String> {
        let refused = |status: Status| {
            let details = status.get_error_details();
            let reason = details.error_info().map_or("NO_REASON", |info| info.reason.as_str());
            format!("share {}: {reason}: {}", self.share, status.message())
        };
        let socket = self.socket.display();
        let enclave = client::enclave(&self.socket).await;
        let mut enclave = enclave.map_err(|_| format!("{socket}: nobody answers"))?;
        let open = Frame::Open(proto::OpenFrame {
            share_id: self.share.to_string(),
            wallet_id: self.wallet.to_string(),
            ..Default::default()
        });
        // The end of the requests ends the stream in order.
        let frames = tokio_stream::iter([proto::UseShareRequest { frame: Some(open) }]);
        let answers = enclave.use_share(frames).await.map_err(refused)?;
        let mut answers = answers.into_inner();
        let mut opened = false;
        while let Some(answer) = answers.message().await.map_err(refused)? {
            opened |= matches!(answer.frame, Some(use_share_response::Frame::Opened(_)));
        }
        opened.then_some(()).ok_or_else(|| format!("share {}: it was not opened", self.share))
    }
}
