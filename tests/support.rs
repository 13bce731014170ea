//! What the tests share: servers, certificates, policies, Python.

pub mod enclave;
pub mod permits;
pub mod pki;
pub mod postgres;
pub mod python;
pub mod refused;
pub mod supervisor;
