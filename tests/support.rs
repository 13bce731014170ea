//! What the tests share: servers, certificates, policies.

pub mod pki;
pub mod supervisor;
