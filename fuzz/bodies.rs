//! What is fuzzed: one plain function per kind of input that comes from outside.
//!
//! Each is run in two places: without end by its target in `fuzz_targets/`
//! (`cargo +nightly fuzz run <name>`), and a bounded number of times in every
//! `cargo test` (`tests/fuzz.rs`). To add one: write its function here, a target
//! of three lines, a `[[bin]]` in `fuzz/Cargo.toml`, and a test with its seeds.
//!
//! A body panics when what it promises does not hold; errors are fine.

use bytes::Bytes;
use countersign::{
    config::Config,
    envelope::{ENVELOPE_MAX, Envelope, KekContext},
    grpc,
    key::Algorithm,
    payload::{PAYLOAD_MAX, Payload, PayloadKind, evm::CHAIN_ID_MAX, solana::SolanaMessage},
    policy::{self, amount::AmountLimits},
    proto::UseShareRequest,
    session::Frame,
};
use prost::Message;

/// Whatever decodes is canonical: it encodes to the very same bytes, so that no
/// two byte strings are one envelope.
pub fn envelope(input: &[u8]) {
    let Ok(envelope) = Envelope::decode(input) else {
        return;
    };
    assert!(input.len() <= ENVELOPE_MAX);
    assert_eq!(envelope.encode(), input);

    let header = envelope.header();
    let aad = header.aad();
    let sealed_header = &aad[b"countersign/v1/aad".len()..];
    assert!(input.starts_with(sealed_header));
    let context = KekContext::of(&header.identity);
    let prefix = KekContext::prefix(&header.identity.environment);
    assert!(context.as_bytes().starts_with(prefix.as_bytes()));
}

/// A configuration is accepted, or refused with at least one problem, each at a
/// line of the document.
pub fn configuration(input: &[u8]) {
    let Ok(source) = std::str::from_utf8(input) else {
        return;
    };
    match Config::parse(source) {
        Ok(config) => {
            assert!(config.limits.deadline <= config.limits.longest_deadline);
            assert!(config.metrics.is_none_or(|address| address.ip().is_loopback()));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = source.split('\n').count();
            for problem in problems {
                assert!((1..=lines).contains(&problem.line), "{problem}");
                assert!(!problem.message.is_empty());
            }
        }
    }
}

/// A frame of a stream is parsed into names and payloads that keep their rules,
/// or refused.
pub fn frame(input: &[u8]) {
    let Ok(request) = UseShareRequest::decode(input) else {
        return;
    };
    match grpc::frame(request) {
        Ok(Frame::Open(target)) => {
            assert!((1..=128).contains(&target.wallet.as_str().len()));
            assert_eq!(target.share.to_string().len(), 36);
        }
        Ok(Frame::Sign { payload: Payload::Message(message), .. }) => {
            assert!((1..=PAYLOAD_MAX).contains(&message.len()));
        }
        // Their own bodies are below.
        Ok(Frame::Sign { .. }) => {}
        Err(refusal) => assert!(refusal.reason().as_str().starts_with("INVALID_REQUEST")),
    }
}

/// Bytes decode or are refused with a rule; what decodes has its bounds, is signed as
/// its kind says, and can be shown to policy.
fn payload(kind: PayloadKind, input: &[u8]) -> Option<Payload> {
    match Payload::decode(kind, Bytes::copy_from_slice(input)) {
        Ok(payload) => {
            assert!(input.len() <= PAYLOAD_MAX);
            assert_eq!(payload.kind(), kind);
            for algorithm in Algorithm::ALL {
                let fits = payload.fits(algorithm).is_ok();
                assert_eq!(fits, algorithm == signer(kind), "{kind:?} {algorithm}");
            }
            assert!(policy::view(&payload, &AmountLimits::default()).is_object());
            Some(payload)
        }
        Err(rule) => {
            assert!(!rule.0.is_empty());
            None
        }
    }
}

fn signer(kind: PayloadKind) -> Algorithm {
    match kind {
        PayloadKind::SolanaMessage => Algorithm::Ed25519,
        _ => Algorithm::EcdsaSecp256k1,
    }
}

/// A transaction is signed by the hash of its very bytes, which no others have.
pub fn evm_transaction(input: &[u8]) {
    let decoded = payload(PayloadKind::EvmTransaction, input);
    let Some(Payload::EvmTransaction(transaction)) = decoded else { return };
    assert!((1..=CHAIN_ID_MAX).contains(&transaction.chain_id));
    assert!(transaction.data_length <= input.len());
    assert!(transaction.selector.is_some() || transaction.call.is_none());
    for recovery_id in [0, 1] {
        assert!(transaction.v(recovery_id) <= 2 * CHAIN_ID_MAX + 36);
    }
}

/// Typed data has as many fields as it may have, each with a path of its own.
pub fn eip712(input: &[u8]) {
    let Some(Payload::Eip712(data)) = payload(PayloadKind::Eip712, input) else { return };
    assert!(data.fields.len() <= 4096);
    let mut paths: Vec<_> = data.fields.iter().map(|(path, _)| path).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), data.fields.len());
    assert!(data.encode_type.starts_with(&*data.primary_type));
}

/// A Solana message is signed as it is; bytes that are one are no bare message.
pub fn solana_message(input: &[u8]) {
    let decoded = payload(PayloadKind::SolanaMessage, input);
    let Some(Payload::SolanaMessage(message)) = decoded else { return };
    assert_eq!(*message.signed, *input);
    assert!(SolanaMessage::looks_like(input));
    assert!(message.lamports().is_none() || message.fully_decoded);
    assert_eq!(message.accounts.first().map(|payer| payer.address), Some(message.fee_payer));
}

/// Any bytes are a personal message.
pub fn eip191(input: &[u8]) {
    let Some(Payload::Eip191(message)) = payload(PayloadKind::Eip191, input) else {
        assert!(input.len() > PAYLOAD_MAX);
        return;
    };
    assert_eq!(message.message(), input);
    assert_eq!(message.text(), std::str::from_utf8(input).ok());
}
