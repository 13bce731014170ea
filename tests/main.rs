//! Every integration test, in one binary, so that the servers start once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

mod store;
mod support;

mod config;
mod contract;
mod limits;
mod process;
mod refusals;
mod sign;
mod streams;
