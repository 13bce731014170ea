//! What is fuzzed: one plain function per kind of input that comes from outside.
//!
//! Each is run in two places: without end by its target in `fuzz_targets/`
//! (`cargo +nightly fuzz run <name>`), and a bounded number of times in every
//! `cargo test` (`tests/fuzz.rs`). To add one: write its function here, a target
//! of three lines, a `[[bin]]` in `fuzz/Cargo.toml`, and a test with its seeds.
//!
//! A body panics when what it promises does not hold; errors are fine.

use countersign::{
    config::Config,
    envelope::{ENVELOPE_MAX, Envelope, KekContext},
    grpc,
    payload::{PAYLOAD_MAX, Payload},
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
        Ok(Frame::Sign { payload, .. }) => match payload {
            Payload::Message(message) => assert!((1..=PAYLOAD_MAX).contains(&message.len())),
            _ => {}
        },
        Err(refusal) => assert!(refusal.reason().as_str().starts_with("INVALID_REQUEST")),
    }
}
