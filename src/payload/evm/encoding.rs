//! The one encoding of an unsigned transaction, and what is wrong with others.
#![forbid(unsafe_code)]

use alloy_consensus::SignableTransaction;
use alloy_rlp::{Error, Header, PayloadView};

use super::{TransactionKind, Undecodable, Unsigned};
use crate::payload::PAYLOAD_MAX;

/// The list ends before the chain id.
pub(super) const WITHOUT_CHAIN_ID: Undecodable = Undecodable(
    "a legacy transaction without a chain id can be replayed on every chain: append chain id, 0 \
     and 0 (EIP-155)",
);

const NOT_CANONICAL: Undecodable =
    Undecodable("the RLP is not canonical: a length or a number has a shorter encoding");

/// Decodes, and holds what was decoded against the bytes: alloy alone would take
/// bytes behind the list, and a signature in the place of EIP-155's zeros.
pub(super) fn decode(unsigned: &[u8]) -> Result<Unsigned, Undecodable> {
    if unsigned.len() > PAYLOAD_MAX {
        return Err(Undecodable("a transaction has at most 65536 bytes"));
    }
    let mut rest = unsigned;
    let wrong = match Unsigned::decode_unsigned(&mut rest) {
        Ok(transaction) => {
            let mut encoded = Vec::with_capacity(unsigned.len());
            transaction.encode_for_signing(&mut encoded);
            if encoded == unsigned {
                return Ok(transaction);
            }
            NOT_CANONICAL
        }
        Err(error) => malformed(error.into()),
    };
    framed(unsigned)?;
    Err(wrong)
}

/// Finds what is wrong with type, list and number of fields, for which the caller
/// deserves better words. The bytes are refused whatever it finds.
fn framed(unsigned: &[u8]) -> Result<(), Undecodable> {
    use TransactionKind::{AccessList, Blob, DynamicFee, Legacy, SetCode};
    // The kind with the number of its own fields, which chain id and zeros of
    // EIP-155, or a signature, would follow.
    let (kind, own, mut list) = match unsigned {
        [] => return Err(Undecodable("a transaction has at least one byte")),
        [0xc0..=0xff, ..] => (Legacy, 6, unsigned),
        [0x01, list @ ..] => (AccessList, 8, list),
        [0x02, list @ ..] => (DynamicFee, 9, list),
        [0x03, list @ ..] => (Blob, 11, list),
        [0x04, list @ ..] => (SetCode, 10, list),
        // The `MAGIC` of EIP-7702: whoever signs this hands an account over.
        [0x05, ..] => {
            return Err(Undecodable("0x05 begins an EIP-7702 authorization, not a transaction"));
        }
        [..] => {
            return Err(Undecodable(
                "a transaction begins with its type, 0x01 to 0x04, or is a legacy RLP list",
            ));
        }
    };
    let PayloadView::List(fields) = Header::decode_raw(&mut list).map_err(malformed)? else {
        return Err(Undecodable("after its type a transaction is an RLP list"));
    };
    if !list.is_empty() {
        return Err(Undecodable("nothing may follow the RLP list of a transaction"));
    }
    match (kind, fields.get(own..)) {
        (Legacy, Some([])) => Err(WITHOUT_CHAIN_ID),
        (Blob | SetCode, Some([])) if fields.get(5) == Some(&&[0x80][..]) => {
            Err(Undecodable("an EIP-4844 or EIP-7702 transaction has a recipient"))
        }
        (Legacy, Some([_, [0x80], [0x80]]))
        | (AccessList | DynamicFee | Blob | SetCode, Some([])) => Ok(()),
        (_, Some([_, _, _])) => Err(Undecodable("the transaction is signed: send it unsigned")),
        _ => Err(Undecodable("the RLP list has other fields than a transaction of its type")),
    }
}

/// What is wrong with the encoding of a field.
fn malformed(error: Error) -> Undecodable {
    match error {
        Error::LeadingZero | Error::NonCanonicalSingleByte | Error::NonCanonicalSize => {
            NOT_CANONICAL
        }
        Error::InputTooShort => Undecodable("the RLP claims more bytes than there are"),
        Error::Overflow => Undecodable(
            "a number is longer than its field: 32 bytes for value, 16 for fees, 8 for chain id, \
             nonce and gas",
        ),
        Error::UnexpectedLength
        | Error::UnexpectedString
        | Error::UnexpectedList
        | Error::ListLengthMismatch { .. }
        | Error::Custom(_) => Undecodable(
            "a field has another form: a list for a string, a string for a list, or another length",
        ),
    }
}

#[cfg(test)]
mod tests;
