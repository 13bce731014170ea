//! Every integration test, in one binary, so that the servers start once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

mod audit;
mod boundary;
mod breach;
mod budget;
mod cancelled;
mod clients;
mod config;
mod contract;
mod custody;
mod destruction;
mod envelope;
mod environment;
mod errors;
mod examples;
mod fuzz;
mod hardened;
mod import;
mod kms;
mod levels;
mod lifecycle;
mod limits;
mod metrics;
mod payloads;
mod plaintext;
mod policy;
mod policy_cli;
mod probes;
mod process;
mod rates;
mod refusals;
mod residue;
mod rotation;
mod runbooks;
mod secret_memory;
mod secrets;
mod sign;
mod stack;
mod store;
mod streams;
mod succession;
mod tls;
mod tree;
mod vault;
