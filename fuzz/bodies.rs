//! What is fuzzed: one plain function per kind of input that comes from outside.
//!
//! Each is run in two places: without end by its target in `fuzz_targets/`
//! (`cargo +nightly fuzz run <name>`), and a bounded number of times in every
//! `cargo test` (`tests/fuzz.rs`). To add one: write its function here, a target
//! of three lines, a `[[bin]]` in `fuzz/Cargo.toml`, and a test with its seeds.
//!
//! A body panics when what it promises does not hold; errors are fine.

use countersign::envelope::{ENVELOPE_MAX, Envelope, KekContext};

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
