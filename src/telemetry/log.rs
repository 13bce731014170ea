//! Structured logs on standard error: readable on a terminal, JSON elsewhere.

use std::io::{self, IsTerminal};

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::traces::{Recorder, STAGE};

/// Starts logging at `level` and above, and making traces where there is somebody to make
/// them. Later calls do nothing, so that tests
/// can run many servers in one process.
pub fn start(level: Level, traces: Option<&Recorder>) {
    // Other crates' details are not ours to show: a database driver, for one, logs
    // the parameters of statements.
    let targets =
        Targets::new().with_default(level.min(Level::WARN)).with_target("countersign", level);
    let targets = targets.with_target(STAGE, LevelFilter::OFF);
    let subscriber = tracing_subscriber::registry()
        .with(writer().with_filter(targets))
        .with(traces.map(Recorder::layer));
    let _ = subscriber.try_init();
}

fn writer<S: Subscriber + for<'a> LookupSpan<'a>>() -> Box<dyn Layer<S> + Send + Sync> {
    let layer = fmt::layer().with_writer(io::stderr).with_target(false);
    if io::stderr().is_terminal() {
        Box::new(layer.compact())
    } else {
        Box::new(layer.json().flatten_event(true))
    }
}
