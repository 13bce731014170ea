//! How messages are read off the wire. As everywhere, but a request of `ShareCustody` with a
//! field that this version does not know is refused: what a newer client asks for there,
//! such as a condition, would be left out silently, and custody done without it.

use std::marker::PhantomData;

use bytes::{Buf, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, decode_key, skip_field},
};
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// What a message with an unknown field is answered with, until it is given the form of
/// every refusal. Nothing else on the way makes a status of this code.
pub(super) const UNKNOWN_FIELD: Code = Code::FailedPrecondition;

/// A message that a call of the contract takes or gives. `build.rs` implements it.
pub(crate) trait OfContract {
    /// The numbers of its fields, where there may be no others.
    const FIELDS: Option<&'static [u32]>;
}

/// The codec of both services and their clients.
pub(crate) struct ContractCodec<T, U>(PhantomData<(T, U)>);

/// Reads one message.
pub(crate) struct ContractDecoder<U>(ProstDecoder<U>);

impl<T, U> Default for ContractCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for ContractCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + OfContract + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ContractDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        ContractDecoder(ProstDecoder::default())
    }
}

impl<U: Message + Default + OfContract> Decoder for ContractDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let Some(known) = U::FIELDS else { return self.0.decode(buf) };
        let message: Bytes = buf.copy_to_bytes(buf.remaining());
        let undecodable = |error: DecodeError| Status::internal(error.to_string());
        if !has_only(known, &message).map_err(undecodable)? {
            return Err(Status::new(UNKNOWN_FIELD, "unknown field"));
        }
        U::decode(message).map(Some).map_err(undecodable)
    }
}

/// Whether a message has no other fields. None of the messages has messages in it whose
/// fields would have to be looked at, too (`the_contracts_requests_are_flat`).
fn has_only(known: &[u32], mut message: &[u8]) -> Result<bool, DecodeError> {
    while message.has_remaining() {
        let (number, wire_type) = decode_key(&mut message)?;
        if !known.contains(&number) {
            return Ok(false);
        }
        skip_field(wire_type, number, &mut message, DecodeContext::default())?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use prost_types::{FileDescriptorSet, field_descriptor_proto::Type};

    use super::*;
    use crate::proto;

    #[test]
    fn a_field_that_is_not_known_is_seen_wherever_it_stands() {
        let request = proto::DisableShareRequest {
            share_id: "share".to_owned(),
            expected_revision: 300,
            reason: "reason".to_owned(),
        };
        let known = proto::DisableShareRequest::FIELDS.unwrap();
        assert_eq!(known, [1, 2, 3]);
        let bytes = request.encode_to_vec();
        assert!(has_only(known, &bytes).unwrap());
        assert!(has_only(known, &[]).unwrap());
        // Field 4 as a number, as bytes, as fixed 32 and 64 bits and as a group; and the
        // largest number that there is.
        let others: [&[u8]; 6] = [
            &[0x20, 0],
            &[0x22, 1, 0],
            &[0x25, 0, 0, 0, 0],
            &[0x21, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x23, 0x24],
            &[0xf8, 0xff, 0xff, 0xff, 0x0f, 0],
        ];
        for other in others {
            for message in [[other, &*bytes].concat(), [&*bytes, other].concat()] {
                assert!(!has_only(known, &message).unwrap());
            }
        }
        // What is repeated or out of order is known all the same.
        assert!(has_only(known, &[&*bytes, &*bytes].concat()).unwrap());
        has_only(known, &[0x0a, 9]).unwrap_err();
    }

    #[test]
    fn the_contracts_requests_are_flat() {
        let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let messages = set.file.iter().flat_map(|file| &file.message_type);
        let services = set.file.iter().flat_map(|file| &file.service);
        let custody = services.filter(|service| service.name() == "ShareCustody");
        let inputs: Vec<_> = custody.flat_map(|service| &service.method).collect();
        assert!(inputs.len() >= 10);
        let takes = |name: &str| {
            inputs.iter().any(|method| method.input_type() == format!(".countersign.v1.{name}"))
        };
        for message in messages.filter(|message| takes(message.name())) {
            for field in &message.field {
                assert!(!matches!(field.r#type(), Type::Message | Type::Group), "{field:?}");
            }
        }
    }
}
