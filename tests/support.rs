//! What the tests share: servers, certificates, policies, Python.

pub mod pki;
pub mod python;
pub mod supervisor;
