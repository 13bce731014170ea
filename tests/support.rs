//! What the tests share: servers, certificates, policies.

pub mod enclave;
pub mod permits;
pub mod pki;
pub mod postgres;
pub mod refused;
pub mod supervisor;
