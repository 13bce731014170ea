//! The manual: why things are as they are.
//!
//! What a single file shows is documented there: the envelope's bytes in
//! [`crate::envelope`], the life of a secret in [`crate::enclave`], the way of a
//! request in the crate's root.

#[doc = include_str!("../SECURITY.md")]
pub mod threat_model {}

#[doc = include_str!("../docs/errors.md")]
pub mod errors {}

#[doc = include_str!("../docs/callers.md")]
pub mod callers {}

#[doc = include_str!("../docs/residue.md")]
pub mod residue {}

#[doc = include_str!("../docs/vault.md")]
pub mod vault {}

#[doc = include_str!("../docs/postgres.md")]
pub mod postgres {}

#[doc = include_str!("../docs/payloads.md")]
pub mod payloads {}

#[doc = include_str!("../docs/policies.md")]
pub mod writing_policies {}

#[doc = include_str!("../docs/limits.md")]
pub mod limits {}

#[doc = include_str!("../CONTRIBUTING.md")]
pub mod contributing {}

/// # Where an open share is between two frames of a stream
///
/// In a slot of secret memory, in plaintext, from the frame `open` until the stream
/// ends.
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

/// # Why the stack and the heap are secret, and not only the share
///
/// Wiping is not enough. A library copies a key where it likes: the AES key schedule
/// is moved a dozen times over the stack, a scalar's limbs are spilled, a DEK lies in
/// base64 in the buffers of a TLS session that lives on. Wiped afterwards, all of it
/// is still there *while* a request is active, and a busy signer always has one. So a
/// section does not clean up after the libraries; it gives them nowhere else to write:
/// - Its **stack** is secret memory, entered by switching the stack pointer ([`psm`]),
///   since the C library cannot have a thread's own stack there: the kernel wakes who
///   joins a thread through a futex that such memory does not support.
/// - Its **heap** is secret memory. The global allocator looks at one thread-local
///   word to see in which room a thread is, and frees by address. A heap that is full
///   ends the process, since the other choice is ordinary memory.
/// - Its **registers** are cleared between opening and signing, and last of all: the
///   kernel writes them into a signal's frame, and on ordinary stack if it comes when
///   the section has just been left.
/// - Its **result** is one byte. What else leaves is written field by field to where
///   the caller has room: a value that is moved out takes along what lies in its
///   padding and in the unused part of an enum. Eight bytes of a scalar left that way
///   before this was so; the scan found them.
///
/// The Vault client is held to the same by living on a thread that never leaves its
/// room. A section stays on its worker: a hand-over to another thread costs twice what
/// a room costs.
///
/// What it costs: `cargo bench --bench section --bench sign`.
pub mod secret_memory {}

/// # What policy decides in a stream
///
/// `open` needs `UseShare`, and once a second it is asked again whether the stream may
/// stay open, by the policies in force then. Each frame needs besides what its payload
/// would need in `Sign`: `Sign`, or `SignDigest` for a digest. A stream is therefore
/// never a way around a rule for single signatures, and it outlives neither a change
/// of the policies nor the end of office hours.
///
/// Nothing is remembered from frame to frame but what cannot differ: the entities of
/// caller and share, and which policies are in scope of them.
pub mod policy_in_streams {}

/// # Why policies are Cedar, and what is added to it
///
/// Cedar is small enough to be understood and verified: no loops, no input or output,
/// deny by default, `forbid` wins. Policies are validated against a schema before they
/// are used, so that a misspelt attribute is found at the start and not by an attacker.
/// Four things are added:
/// - **A policy that fails to evaluate denies.** Cedar skips it, which is right for a
///   `permit` and fails open for a `forbid`.
/// - **Amounts are compared outside**, in 256 bits: Cedar has 64. A policy sees the
///   names of the limits that an amount stays within (`src/policy/amount.rs`).
/// - **A bare digest needs a policy that names `SignDigest`.** "Any action" does not
///   cover what the enclave cannot see.
/// - **Text that can never match is a problem at the start**: an address in another
///   spelling than policy sees (`src/policy/literal.rs`).
///
/// Only the policies whose scope matches caller, action and share are evaluated. Cedar
/// evaluates the scope first, so that the others could neither decide nor fail. For a
/// pair of caller and share they are found once, as the entities are built once.
pub mod policies {}

/// # Which libraries decode payloads, and what they cost
///
/// | kind | library | what is done besides |
/// |---|---|---|
/// | `evm_transaction` | `alloy-consensus` | what was decoded must encode to the same bytes; what no chain accepts is refused |
/// | calls of tokens | `alloy-sol-types` | as above: a call that is not encoded canonically is no known call |
/// | `eip712` | `alloy-dyn-abi` for elementary types and values | our own walk over the JSON and `encodeType`, in one pass for hash and view: the library's ignores members that no type lists and `types.EIP712Domain`, takes lax spellings, and takes seconds for a kilobyte of nested types |
/// | `solana_message` | `solana-message`, with `wincode` | as the first; instructions of the programs that are known are read here, because their crates bring the whole of the client along |
///
/// Together they are some forty crates of the two ecosystems' smallest layer: no
/// client, no async runtime, no key, no signer. They run outside the sections, on
/// ordinary memory, and see public values only; a section gets the 32 bytes of a
/// digest, or the message. So what they allocate is no concern of secret memory.
///
/// A Bitcoin kind is not offered. The `bitcoin` crate computes BIP-341's hash well, but
/// what wallets make is BIP-86's, a key-path spend that is signed by a tweaked key, and the
/// tweak is not part of a record: a kind without it would sign for outputs that wallets do
/// not make. BIP-340 shares sign 32-byte messages meanwhile, and their address is the
/// output that this spends, whose key is theirs as it is (`src/key/address.rs`).
pub mod payload_libraries {}

/// # What makes a caller
///
/// On a Unix socket the kernel says who is at the other end. On TCP nothing does, and
/// every process of a pod shares the loopback interface; there a client certificate
/// says it, or the connection does not come to be. Both become a
/// [`crate::caller::Peer`] before the first request is read, and nothing further down
/// asks which of the two it was: the same callers, limits and policies hold.
///
/// Why a SPIFFE ID, and not a common or DNS name: it is made to name a workload, there
/// is one in a certificate, and it is compared as a whole.
///
/// Custody over TLS has a listener of its own, and not a place among the routes of the
/// other: the two differ in who vouches for their callers. One authority for both would let
/// whoever issues certificates to workloads make a custodian.
///
/// What ends trust is looked at while a connection is open, not only in its handshake:
/// a client keeps a gRPC channel for weeks, in which its certificate expires and its
/// authority is replaced. Its chain is verified again when the trusted authorities
/// change, when its leaf expires and every minute. A maximum age of connections would
/// do less: it ends those of good clients, too, and leaves a bad one until then. For
/// the same reason nothing is resumed.
///
/// Handshakes share a room, since nobody has a name yet. Where it is full the newest
/// could be refused, as everywhere else here, but then 64 silent connections would
/// keep every caller out for as long as somebody renews them. So the oldest ends: a
/// handshake takes a millisecond, and whoever wants to push it out in that time has to
/// make 64 connections in it.
///
/// What of it is somebody else's work: handshakes and chains are rustls's, with webpki;
/// names are read by `x509-cert`, which the Postgres client brings along; the alphabet
/// of a SPIFFE ID is known to `spiffe`, which without features brings nothing along.
pub mod transport {}
