//! countersign
#![deny(unsafe_code)]

pub mod app;
pub mod caller;
pub mod cli;
pub mod client;
pub mod config;
pub mod custody;
pub mod enclave;
pub mod envelope;
pub mod grpc;
pub mod harden;
pub mod key;
pub mod kms;
pub mod payload;
pub mod policy;
pub mod record;
pub mod refusal;
pub mod session;
pub mod shutdown;
pub mod sign;
pub mod store;
pub mod telemetry;

/// Generated.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("countersign.v1");

    /// The contract as a `google.protobuf.FileDescriptorSet`, with its comments.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/countersign.binpb"));
}
