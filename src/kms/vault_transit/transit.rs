//! The bodies of Transit requests and answers.
//!
//! The DEK's base64 lives in wiped buffers on both ways. What rustls and hyper copy
//! of it is out of this module's reach, but not out of the thread's memory.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{KmsError, KmsErrorKind, answer::Answer};
use crate::{
    enclave::{DEK_LEN, Dek, EnclaveError, Slot},
    envelope::{KekContext, WrappedDek},
};

/// Room for every field of an `encrypt` request, so that the buffer never moves
/// and leaves no copy behind: 44 + base64 of the longest context, 81 bytes.
const ENCRYPT_ROOM: usize = 512;

/// The part of an answer that is read, borrowed from its wiped body.
#[derive(Deserialize)]
struct Envelope<'a, D> {
    #[serde(borrow)]
    request_id: Option<&'a str>,
    data: D,
}

#[derive(Deserialize)]
struct Plaintext<'a> {
    plaintext: &'a str,
}

#[derive(Deserialize)]
struct Ciphertext<'a> {
    ciphertext: &'a str,
}

/// `{"plaintext":…,"context":…}`. Base64 needs no escapes.
pub(super) fn encrypt_body(context: &KekContext, dek: &Dek) -> Result<Bytes, KmsError> {
    let mut body = Zeroizing::new(Vec::with_capacity(ENCRYPT_ROOM));
    body.extend_from_slice(br#"{"plaintext":""#);
    dek.reveal(|bytes| {
        push_base64(&mut body, bytes);
        Ok(())
    })?;
    body.extend_from_slice(br#"","context":""#);
    push_base64(&mut body, context.as_bytes());
    body.extend_from_slice(br#""}"#);
    debug_assert!(body.len() <= ENCRYPT_ROOM);
    Ok(Bytes::from_owner(body))
}

/// Encodes in place: `encode_string` would pass the DEK through a buffer on the
/// stack.
fn push_base64(body: &mut Vec<u8>, bytes: &[u8]) {
    let start = body.len();
    body.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let encoded = STANDARD.encode_slice(bytes, body.get_mut(start..).unwrap_or_default());
    debug_assert!(encoded.is_ok());
}

/// `{"ciphertext":…,"context":…}` for `decrypt`.
///
/// # Errors
/// The wrapped DEK is not of Vault's form. It is not sent, and so needs no
/// escapes either.
pub(super) fn ciphertext_body(
    context: &KekContext,
    wrapped: &WrappedDek,
) -> Result<Bytes, KmsError> {
    Ok(item(context, wrapped)?.into())
}

/// The same as a text, which may be one of many.
pub(super) fn item(context: &KekContext, wrapped: &WrappedDek) -> Result<String, KmsError> {
    let ciphertext = std::str::from_utf8(wrapped.as_bytes())
        .ok()
        .filter(|text| is_ciphertext(text))
        .ok_or_else(|| {
            KmsError::new(KmsErrorKind::Rejected, "not a DEK that Vault Transit wrapped")
        })?;
    let context = STANDARD.encode(context.as_bytes());
    Ok(format!(r#"{{"ciphertext":"{ciphertext}","context":"{context}"}}"#))
}

/// A `decrypt` of what nobody wrapped.
pub(super) fn decrypt_nothing(context: &KekContext) -> Bytes {
    let (nothing, context) = (STANDARD.encode([0; 60]), STANDARD.encode(context.as_bytes()));
    Bytes::from(format!(r#"{{"ciphertext":"vault:v1:{nothing}","context":"{context}"}}"#))
}

/// An `encrypt` of zeros.
pub(super) fn encrypt_nothing(context: &KekContext) -> Bytes {
    let (nothing, context) = (STANDARD.encode([0; DEK_LEN]), STANDARD.encode(context.as_bytes()));
    Bytes::from(format!(r#"{{"plaintext":"{nothing}","context":"{context}"}}"#))
}

/// Reads a `decrypt` answer: base64 straight into the slot. With it, the request
/// id, empty where there is none.
pub(super) fn unwrapped(answer: &Answer, slot: Slot) -> Result<(Dek, Box<str>), KmsError> {
    let envelope: Envelope<'_, Plaintext<'_>> = parse(answer)?;
    let dek =
        Dek::unwrapped(slot, |dek| match STANDARD.decode_slice(envelope.data.plaintext, dek) {
            Ok(DEK_LEN) => Ok(()),
            _ => Err(EnclaveError::Share),
        });
    let dek = dek.map_err(|error| match error {
        EnclaveError::Share => senseless(answer, "holds no DEK of 32 bytes"),
        other => other.into(),
    })?;
    // Vault's are UUIDs; what is none goes into no log.
    let request_id = envelope.request_id.and_then(|id| Uuid::try_parse(id).ok());
    Ok((dek, request_id.map(|id| id.to_string()).unwrap_or_default().into()))
}

/// Reads an `encrypt` answer.
pub(super) fn wrapped_dek(answer: &Answer) -> Result<WrappedDek, KmsError> {
    let data: Ciphertext<'_> = data(answer)?;
    wrapped(answer, data.ciphertext)
}

/// What Vault calls a ciphertext.
pub(super) fn wrapped(answer: &Answer, ciphertext: &str) -> Result<WrappedDek, KmsError> {
    WrappedDek::new(ciphertext.as_bytes())
        .ok()
        .filter(|_| is_ciphertext(ciphertext))
        .ok_or_else(|| senseless(answer, "holds no ciphertext"))
}

/// What an answer is about.
pub(super) fn data<'a, D: Deserialize<'a>>(answer: &'a Answer) -> Result<D, KmsError> {
    Ok(parse(answer)?.data)
}

/// The parser's own message may quote the body and is dropped.
fn parse<'a, D: Deserialize<'a>>(answer: &'a Answer) -> Result<Envelope<'a, D>, KmsError> {
    serde_json::from_slice(&answer.body).map_err(|_| senseless(answer, "is not as documented"))
}

pub(super) fn senseless(answer: &Answer, problem: &str) -> KmsError {
    let detail = format!("{}: the answer {problem}", answer.operation);
    KmsError::new(KmsErrorKind::Protocol, detail)
}

/// `vault:v<version>:<base64>`.
fn is_ciphertext(text: &str) -> bool {
    let base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    text.strip_prefix("vault:v").and_then(|rest| rest.split_once(':')).is_some_and(
        |(version, bytes)| {
            version.parse::<u32>().is_ok() && !bytes.is_empty() && bytes.bytes().all(base64)
        },
    )
}
