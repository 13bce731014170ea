//! Logs and metrics. Nothing secret and no payload reaches either; no metric
//! label derives from a request's contents.
#![forbid(unsafe_code)]

pub mod endpoint;
pub mod log;
mod metrics;

pub use metrics::{Metrics, OpenStream, Stage};
