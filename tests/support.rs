//! What the tests share: servers, certificates, policies.

pub mod permits;
pub mod pki;
pub mod postgres;
pub mod supervisor;
