//! The baseline of every request: the same service with nothing behind it.
//!
//! The generated trait, tonic's own server and its defaults on a Unix socket. No
//! gate, no limits, no store, no KMS, no key: what is left is what gRPC costs.

use std::{path::Path, pin::Pin};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::{net::UnixListener, task::AbortHandle};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use crate::{
    cli::failure::Failure,
    proto::{
        self, signing_enclave_server::SigningEnclave, signing_enclave_server::SigningEnclaveServer,
    },
};

/// As long as a signature.
const ANSWER: &[u8] = &[0x5a; 64];

/// A running echo; ends with the value.
pub(super) struct Echo(AbortHandle);

/// Serves on `socket`.
pub(super) fn start(socket: &Path) -> Result<Echo, Failure> {
    let listener = UnixListener::bind(socket)?;
    let connections = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await;
        Some((accepted.map(|(stream, _)| stream), listener))
    });
    let serving = Server::builder()
        .add_service(SigningEnclaveServer::new(Answers))
        .serve_with_incoming(connections);
    Ok(Echo(tokio::spawn(serving).abort_handle()))
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Answers;

#[tonic::async_trait]
impl SigningEnclave for Answers {
    async fn sign(
        &self,
        _request: Request<proto::SignRequest>,
    ) -> Result<Response<proto::SignResponse>, Status> {
        Ok(Response::new(proto::SignResponse {
            signature: Some(signature()),
            ..Default::default()
        }))
    }

    type UseShareStream =
        Pin<Box<dyn Stream<Item = Result<proto::UseShareResponse, Status>> + Send>>;

    async fn use_share(
        &self,
        request: Request<Streaming<proto::UseShareRequest>>,
    ) -> Result<Response<Self::UseShareStream>, Status> {
        let answers = request.into_inner().map(|frame| frame.map(|frame| answer(&frame)));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_public_key(
        &self,
        _request: Request<proto::GetPublicKeyRequest>,
    ) -> Result<Response<proto::GetPublicKeyResponse>, Status> {
        Ok(Response::new(proto::GetPublicKeyResponse::default()))
    }
}

fn answer(request: &proto::UseShareRequest) -> proto::UseShareResponse {
    use proto::{use_share_request::Frame as Asked, use_share_response::Frame};

    let frame = match &request.frame {
        Some(Asked::Sign(sign)) => Frame::Signed(proto::SignedFrame {
            id: sign.id,
            signature: Some(signature()),
            receipt: None,
        }),
        Some(Asked::Open(_)) | None => Frame::Opened(proto::OpenedFrame::default()),
    };
    proto::UseShareResponse { frame: Some(frame) }
}

fn signature() -> proto::Signature {
    proto::Signature { value: Bytes::from_static(ANSWER), ..Default::default() }
}
