//! What the tests share: servers, certificates, policies.

pub mod custody;
pub mod https;
pub mod jwt;
pub mod logs;
pub mod pki;
pub mod supervisor;
pub mod token_review;
pub mod vault;
