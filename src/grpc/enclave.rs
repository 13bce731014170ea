//! `SigningEnclave`: translates the contract to the stories and back. It decides
//! nothing.

use std::{future::Future, pin::Pin};

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use super::{gate, message, status};
use crate::{
    caller::Call,
    payload::{Payload, PayloadKind},
    proto,
    refusal::Refusal,
    session::{Answer, EXTRA_ANSWERS, Frame, SessionLimits},
    shutdown::Draining,
    sign::{Encoding, Signing, Target},
};

/// The service.
#[derive(Clone)]
pub struct SigningEnclave {
    signing: Signing,
    limits: SessionLimits,
    draining: Draining,
}

impl SigningEnclave {
    /// The service over its stories.
    pub fn new(signing: Signing, limits: SessionLimits, draining: Draining) -> Self {
        Self { signing, limits, draining }
    }
}

#[tonic::async_trait]
impl proto::signing_enclave_server::SigningEnclave for SigningEnclave {
    async fn sign(
        &self,
        request: Request<proto::SignRequest>,
    ) -> Result<Response<proto::SignResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let target = target(
                &request.share_id,
                &request.wallet_id,
                &request.expected_address,
                request.min_record_version,
            )?;
            let payload = payload(request.payload)?;
            gate::describe_request(&target.share, Some(payload.kind().as_str()));
            let encoding = encoding(request.encoding)?;
            let signed = self.signing.sign(&call, &target, payload, encoding).await?;
            let (signed, receipt) = signed;
            Ok(proto::SignResponse {
                algorithm: message::algorithm(signed.algorithm).into(),
                record_version: signed.version.get(),
                signature: Some(message::signature(&signed, encoding)),
                account_address: message::address(signed.address.as_ref()),
                receipt: receipt.map(Into::into),
            })
        })
        .await
    }

    type UseShareStream =
        Pin<Box<dyn Stream<Item = Result<proto::UseShareResponse, Status>> + Send>>;

    async fn use_share(
        &self,
        request: Request<Streaming<proto::UseShareRequest>>,
    ) -> Result<Response<Self::UseShareStream>, Status> {
        let (call, frames) = message::call(request)?;
        let request_id = call.request_id.clone();
        let frames = frames.map(|received| match received {
            Ok(request) => frame(request),
            Err(error) => Err(broken_frame(&error)),
        });
        let (answers, received) = mpsc::channel(self.limits.in_flight as usize + EXTRA_ANSWERS);
        let session = self.signing.clone().use_share(
            call,
            self.limits,
            frames,
            answers,
            self.draining.clone().started(),
        );
        tokio::spawn(session.in_current_span());
        let answers = ReceiverStream::new(received).map(move |answer| {
            answer.map(answer_frame).map_err(|refusal| status::refuse(&refusal, &request_id))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_public_key(
        &self,
        request: Request<proto::GetPublicKeyRequest>,
    ) -> Result<Response<proto::GetPublicKeyResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let target = target(&request.share_id, &request.wallet_id, "", 0)?;
            gate::describe_request(&target.share, None);
            let share = self.signing.public_key(&call, &target).await?;
            Ok(proto::GetPublicKeyResponse { public_key: Some(message::public_key(&share)) })
        })
        .await
    }
}

/// Runs a unary story; its refusal leaves through the one mapping.
pub(super) async fn answered<T>(
    call: &Call,
    story: impl Future<Output = Result<T, Refusal>>,
) -> Result<Response<T>, Status> {
    story.await.map(Response::new).map_err(|refusal| status::refuse(&refusal, &call.request_id))
}

fn target(
    share_id: &str,
    wallet_id: &str,
    expected_address: &str,
    min_version: u32,
) -> Result<Target, Refusal> {
    if expected_address.len() > 128 {
        return Err(Refusal::invalid("expected_address", "has at most 128 characters"));
    }
    Ok(Target {
        share: share_id.parse().map_err(Refusal::malformed("share_id"))?,
        wallet: wallet_id.parse().map_err(Refusal::malformed("wallet_id"))?,
        expected_address: (!expected_address.is_empty()).then(|| expected_address.into()),
        min_version,
    })
}

fn payload(payload: Option<proto::Payload>) -> Result<Payload, Refusal> {
    use proto::payload::Kind;

    let required = "is required: one kind of payload";
    let kind = payload.and_then(|payload| payload.kind);
    let (kind, bytes) = match kind.ok_or_else(|| Refusal::invalid("payload", required))? {
        Kind::Message(bytes) => (PayloadKind::Message, bytes),
        Kind::Digest(bytes) => (PayloadKind::Digest, bytes),
        Kind::Eip191(bytes) => (PayloadKind::Eip191, bytes),
        Kind::Eip712(json) => (PayloadKind::Eip712, json.into()),
        Kind::EvmTransaction(bytes) => (PayloadKind::EvmTransaction, bytes),
        Kind::SolanaMessage(bytes) => (PayloadKind::SolanaMessage, bytes),
    };
    Payload::decode(kind, bytes)
        .map_err(|undecodable| Refusal::invalid(kind.field(), undecodable.0))
}

fn encoding(number: i32) -> Result<Encoding, Refusal> {
    match proto::SignatureEncoding::try_from(number) {
        Ok(proto::SignatureEncoding::Unspecified | proto::SignatureEncoding::Raw) => {
            Ok(Encoding::Raw)
        }
        Ok(proto::SignatureEncoding::Der) => Ok(Encoding::Der),
        Err(_) => Err(Refusal::invalid("encoding", "is RAW or DER")),
    }
}

/// Parses a frame of a stream.
///
/// # Errors
/// The frame breaks a rule; the refusal names its id where it has one.
pub fn frame(request: proto::UseShareRequest) -> Result<Frame, Refusal> {
    match request.frame {
        None => Err(Refusal::invalid("frame", "is required: open or sign")),
        Some(proto::use_share_request::Frame::Open(open)) => {
            let target = target(
                &open.share_id,
                &open.wallet_id,
                &open.expected_address,
                open.min_record_version,
            )?;
            gate::describe_request(&target.share, None);
            Ok(Frame::Open(target))
        }
        Some(proto::use_share_request::Frame::Sign(sign)) => {
            let id = sign.id;
            let parsed = payload(sign.payload).and_then(|payload| {
                Ok(Frame::Sign { id, payload, encoding: encoding(sign.encoding)? })
            });
            parsed.map_err(|refusal| refusal.in_frame(id))
        }
    }
}

/// A frame that the gRPC library could not decode, or a stream that broke.
fn broken_frame(error: &Status) -> Refusal {
    match error.code() {
        tonic::Code::OutOfRange => Refusal::invalid("frame", "is longer than 128 KiB"),
        tonic::Code::Internal => Refusal::invalid("frame", "is not a UseShareRequest"),
        // The client reset the stream.
        _ => Refusal::Gone,
    }
}

fn answer_frame(answer: Answer) -> proto::UseShareResponse {
    let millis =
        |duration: std::time::Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    let frame = match answer {
        Answer::Opened { share, limits, receipt } => {
            proto::use_share_response::Frame::Opened(proto::OpenedFrame {
                public_key: Some(message::public_key(&share)),
                idle_timeout_ms: millis(limits.idle),
                lifetime_ms: millis(limits.lifetime),
                max_operations: limits.operations,
                max_in_flight: limits.in_flight,
                receipt: receipt.map(Into::into),
            })
        }
        Answer::Signed { id, signed, encoding, receipt } => {
            proto::use_share_response::Frame::Signed(proto::SignedFrame {
                id,
                signature: Some(message::signature(&signed, encoding)),
                receipt: receipt.map(Into::into),
            })
        }
    };
    proto::UseShareResponse { frame: Some(frame) }
}
