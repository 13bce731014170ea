//! Logs, metrics and traces. Nothing secret and no payload reaches any; no metric
//! label derives from a request's contents.
#![forbid(unsafe_code)]

pub mod endpoint;
pub mod log;
mod metrics;
pub mod traces;

pub use metrics::{Metrics, OpenStream, Stage};
