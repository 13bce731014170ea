//! What the tests share: servers, certificates, policies, Python, Node.js, Go.

pub mod accepted;
pub mod child;
pub mod custody;
pub mod enclave;
pub mod go;
pub mod https;
pub mod imported;
pub mod jwt;
pub mod kernel;
pub mod logs;
pub mod namespace;
pub mod node;
pub mod permits;
pub mod pki;
pub mod postgres;
pub mod python;
pub mod refused;
pub mod served;
pub mod supervisor;
pub mod tlog;
pub mod tls;
pub mod token_review;
pub mod vault;
