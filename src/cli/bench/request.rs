//! The requests that are measured: one Ed25519 share, one payload.

use crate::proto;

/// The payload.
pub(super) const MESSAGE: [u8; 32] = *b"countersign bench, thirty-two by";

/// The share that is signed with.
#[derive(Clone)]
pub(super) struct Share {
    pub(super) share_id: String,
    pub(super) wallet_id: String,
}

impl Share {
    pub(super) fn sign(&self) -> proto::SignRequest {
        proto::SignRequest {
            share_id: self.share_id.clone(),
            wallet_id: self.wallet_id.clone(),
            payload: Some(payload()),
            ..Default::default()
        }
    }

    pub(super) fn open(&self) -> proto::UseShareRequest {
        let open = proto::OpenFrame {
            share_id: self.share_id.clone(),
            wallet_id: self.wallet_id.clone(),
            ..Default::default()
        };
        proto::UseShareRequest { frame: Some(proto::use_share_request::Frame::Open(open)) }
    }
}

/// One operation of a stream.
pub(super) fn frame(id: u64) -> proto::UseShareRequest {
    let sign = proto::SignFrame { id, payload: Some(payload()), ..Default::default() };
    proto::UseShareRequest { frame: Some(proto::use_share_request::Frame::Sign(sign)) }
}

fn payload() -> proto::Payload {
    let message = bytes::Bytes::from_static(&MESSAGE);
    proto::Payload { kind: Some(proto::payload::Kind::Message(message)) }
}
