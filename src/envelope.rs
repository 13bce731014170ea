//! The envelope: one sealed share at rest, as bytes.
//!
//! Nothing here is secret: this module knows the layout, the associated data
//! and the KMS context; opening and sealing happen in [`crate::enclave`].
//!
//! ```text
//!  offset  size   field
//!  ┌────────────────────────────── immutable header: the AAD, after a domain string ──┐
//!  │ 0     4      magic "CSGN"                                                        │
//!  │ 4     1      format version = 1                                                  │
//!  │ 5     1      suite = 1: AES-256-GCM, HKDF-SHA-512 key commitment                 │
//!  │ 6     2+n    environment          n = 1..32     (u16 big-endian length ‖ bytes)  │
//!  │       2+n    wallet id            n = 1..128                                     │
//!  │       16     share id             UUID                                           │
//!  │       4      record version       u32 big-endian, from 1                         │
//!  │       2+n    account address      n = 0..128    (0: none)                        │
//!  │       1      key algorithm        1 ed25519 · 2 ecdsa-secp256k1 · 3 ecdsa-p256   │
//!  │                                   4 schnorr-secp256k1; + 128: an opaque share    │
//!  │       2+n    KEK provider         n = 1..32     "vault-transit", "local"         │
//!  │       2+n    KEK mount            n = 0..64                                      │
//!  │       2+n    KEK name             n = 1..64                                      │
//!  │       32     key commitment                                                      │
//!  │       12     nonce                                                               │
//!  └──────────────────────────────────────────────────────────────────────────────────┘
//!          2+n    wrapped DEK          n = 1..4096   the only field that rotation changes
//!          4+n    sealed share         n = 17..65552 (u32 big-endian length ‖ ciphertext ‖ tag 16)
//!                 end of input: nothing may follow
//! ```
//!
//! With DEK = 32 random bytes, used for this one encryption:
//! ```text
//! prk        = HKDF-Extract(SHA-512, salt = "countersign/v1/envelope", ikm = DEK)   RFC 5869
//! key        = HKDF-Expand(prk, "countersign/v1/encrypt" ‖ suite, 32)
//! commitment = HKDF-Expand(prk, "countersign/v1/commit"  ‖ suite, 32)
//! AAD        = "countersign/v1/aad" ‖ immutable header
//! sealed     = AES-256-GCM(key, nonce, share, AAD)                                  SP 800-38D
//! ```
//! The reader builds the header that it expects from its configuration (the
//! environment), the request (wallet and share id) and the row's metadata,
//! compares strictly, and never tries a second interpretation.
#![forbid(unsafe_code)]

mod codec;
mod context;
mod header;

pub use codec::{Envelope, EnvelopeError, SealedShare, WrappedDek};
pub use context::KekContext;
pub use header::{Commitment, Header, Identity, KekRef, Nonce};

/// The longest share, in bytes.
pub const SHARE_MAX: usize = 64 * 1024;
/// The longest wrapped DEK, in bytes.
pub const WRAPPED_DEK_MAX: usize = 4096;
/// The longest envelope that the reader looks at, in bytes: a whole header with
/// every field at its longest, the longest wrapped DEK and the longest share.
pub const ENVELOPE_MAX: usize = 1024 + WRAPPED_DEK_MAX + SHARE_MAX;

/// AES-256-GCM with HKDF-SHA-512 key commitment: the one suite there is.
pub const SUITE: u8 = 1;

const MAGIC: &[u8; 4] = b"CSGN";
const FORMAT: u8 = 1;
/// Bytes of an AES-GCM tag.
pub const TAG_LEN: usize = 16;
const AAD_DOMAIN: &[u8] = b"countersign/v1/aad";
