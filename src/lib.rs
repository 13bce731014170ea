//! countersign: a signing enclave beside each signing pod.
//!
//! It keeps key shares wrapped by a KMS, opens one only while a request is active,
//! and answers with a signature, over a Unix socket or TLS with client certificates. Plaintext shares never leave
//! the process.
//!
//! # How a request flows
//!
//! One direction, no call upward; modules are declared in the order in which a
//! request meets them.
//! ```text
//! client ─UDS,TLS─▶ grpc    limits on connections ▸ gate: request id ▸ trace ▸ panic-catch ▸
//!    │                      caller identity ▸ deadline ▸ rate ▸ in-flight limits
//!    ▼ grpc/enclave.rs      message → domain types (parse, don't validate)   INVALID_ARGUMENT
//!    │ └─ payload           decoded once: what policy sees, what is signed
//!    ▼ sign.rs              store.describe(share): public metadata only
//!    ▼ policy               authorize(caller, share, payload) → Permit       PERMISSION_DENIED
//!    ▼ grant.rs             audit.begin(request): flushed while the rest goes on
//!    ▼ rate                 one token of the share's bucket                 RESOURCE_EXHAUSTED
//!    ▼ store                fetch(permit.opening()) → ShareRecord            UNAVAILABLE
//!    ▼ permitted            PermittedEnvelope: header = permit, field by field   DATA_LOSS
//!    ▼ kms                  unwrap(envelope.dek()) into a secret slot         UNAVAILABLE,
//!    │                      the last .await                                  FAILED_PRECONDITION
//!    ▼ enclave              section: open ▸ derive ▸ sign ▸ verify ▸ wipe     DATA_LOSS
//!    │ └─ signature         what verifies: public values only, outside the boundary
//!    ▼ audit                the record is durable, the outcome follows        INTERNAL
//!    ▼ grpc/message.rs      domain types → message; errors leave only through grpc/status.rs
//! ```
//! `session.rs` is the same story for a stream, `custody.rs` for operators.
//!
//! # Invariants
//!
//! 1. No plaintext share or DEK exists outside secret memory owned by `enclave`:
//!    not on a stack, not on a heap, not in a register that a section has left.
//!    The KMS's client runs on a thread that has no other memory.
//! 2. Nothing is awaited while a share is open in `Sign`: opening, signing and
//!    wiping are one synchronous section, so that a cancelled request cannot
//!    strand plaintext. A `UseShare` stream keeps its share in a secret slot and
//!    enters a section per operation.
//! 3. `enclave` does no I/O, logs nothing and knows nothing of tonic, Vault or SQL.
//! 4. No envelope is fetched, unwrapped or opened without a [`policy::Permit`],
//!    which only `policy` makes, which has no `Clone`, and which owns caller,
//!    share, action and payload: later steps take these from it alone. [`transfer`]
//!    moves envelopes without one, in processes that have nothing to open them with, and
//!    a rotator fetches with a [`policy::RewrapPermit`], which unwraps and opens nothing.
//! 5. The associated data binds every immutable field of a record: one that is
//!    moved, swapped or taken from another environment does not open. An old
//!    complete row is caught only by the caller's minimum version.
//! 6. Secret types have no `Debug`, `Clone`, `Serialize` or `PartialEq`; reading
//!    one is one greppable call, `reveal`.
//! 7. No signature leaves before its audit record is durable. Every request that reached
//!    policy has one, and one outcome, whatever becomes of it.
//! 8. TLS below 1.3, and TCP without a verified client certificate for any gRPC
//!    listener, do not exist as options. No service has one unless it is configured, each
//!    has its own authorities, and each is on loopback unless the configuration says
//!    otherwise in so many words. The metrics listener serves `GET /metrics` on loopback
//!    only, is off by default, and no label derives from a payload.
//! 9. `unsafe` has one address, `enclave::secmem`.
//! 10. A process that cannot have the secret memory that it needs, or only of a
//!     weaker kind than it requires, refuses to start and says what to change.
#![deny(unsafe_code)]

pub mod cli;
pub mod client;

pub mod app;
pub mod central;
pub mod config;
pub mod harden;
pub mod projection;
pub mod refresh;
pub mod rotation;
pub mod shutdown;
pub mod telemetry;
pub mod transfer;

pub mod grpc;

pub mod caller;
pub mod payload;
pub mod rate;
pub mod refusal;

pub mod custody;
mod grant;
pub mod held;
pub mod import;
pub mod migration;
pub mod session;
pub mod sign;

pub mod policy;

pub mod audit;
pub mod identity;

pub mod permitted;
pub mod record;
pub mod store;

pub mod kms;

pub mod enclave;
pub mod envelope;
pub mod memory;
pub mod signature;

pub mod key;

pub mod manual;

/// The contract, generated from `proto/`.
#[allow(
    missing_docs,
    unused_qualifications,
    elided_lifetimes_in_paths,
    clippy::all,
    reason = "generated code; its documentation is the contract's"
)]
pub mod proto {
    tonic::include_proto!("countersign.v1");
    include!(concat!(env!("OUT_DIR"), "/fields.rs"));

    /// The contract as a `google.protobuf.FileDescriptorSet`, with its comments.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/countersign.binpb"));
}
