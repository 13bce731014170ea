//! What the tests share: servers, certificates, policies.

pub mod enclave;
pub mod pki;
pub mod refused;
pub mod supervisor;
