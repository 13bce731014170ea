//! The manual: why things are as they are.
//!
//! What a single file shows is documented there: the envelope's bytes in
//! [`crate::envelope`], the life of a secret in [`crate::enclave`], the way of a
//! request in the crate's root.

#[doc = include_str!("../SECURITY.md")]
pub mod threat_model {}

#[doc = include_str!("../docs/errors.md")]
pub mod errors {}

#[doc = include_str!("../docs/vault.md")]
pub mod vault {}

#[doc = include_str!("../docs/postgres.md")]
pub mod postgres {}

#[doc = include_str!("../CONTRIBUTING.md")]
pub mod contributing {}

/// # Where an open share is between two frames of a stream
///
/// In a locked slot, in plaintext, from the frame `open` until the stream ends.
///
/// The other choice was to keep only the DEK in a slot and to open the envelope
/// again for every frame. It was not taken:
/// - It protects little. The DEK would lie in the same kind of memory, and with
///   the envelope, which is not secret, it is the share.
/// - It costs as much as signing. Each frame would derive the encryption key
///   (HKDF-SHA-512), run AES-256-GCM, and derive the public key again to compare
///   it; `cargo bench --bench section` shows opening beside signing.
///
/// What bounds the exposure instead is time: a stream ends when it is idle (10 s),
/// at its lifetime (5 min), after 100,000 operations, with its client, and at
/// shutdown; configuration can only lower these. The slot is wiped by the last
/// owner of the open share: the session, or the last of the sections that are
/// running when the session ends, some tens of microseconds later.
pub mod streams {}

/// # What policy decides in a stream
///
/// `open` needs `UseShare`. Each frame needs besides what its payload would need in
/// `Sign`: `Sign` for a message, `SignDigest` for a digest. A stream is therefore
/// never a way around a rule for single signatures.
///
/// Today policy sees of a payload its kind alone, so that a stream asks once per
/// kind and remembers the answer: the decision for the second message is the one
/// for the first, because its inputs are the same. When policy sees more of a
/// payload, a stream will ask for every frame.
pub mod policy_in_streams {}

/// # Why TCP is not offered
///
/// On a Unix socket the kernel says who is at the other end. On TCP nothing does,
/// and every process of a pod shares the loopback interface. A listener on TCP will
/// come with client certificates, or not at all.
pub mod transport {}
