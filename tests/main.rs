//! Every integration test, in one binary, so that the servers start once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

mod kms;
mod support;
mod vault;
