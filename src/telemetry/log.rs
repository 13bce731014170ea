//! Structured logs on standard error: readable on a terminal, JSON elsewhere.

use std::io::{self, IsTerminal};

use tracing::Level;

/// Starts logging at `level` and above. Later calls do nothing, so that tests
/// can run many servers in one process.
pub fn start(level: Level) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_target(false);
    let _ = if io::stderr().is_terminal() {
        builder.compact().try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
