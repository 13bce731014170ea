//! countersign
#![deny(unsafe_code)]

pub mod caller;
pub mod enclave;
pub mod envelope;
pub mod key;
pub mod kms;
pub mod payload;
pub mod policy;
pub mod record;
pub mod store;

/// Generated.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("countersign.v1");
}
