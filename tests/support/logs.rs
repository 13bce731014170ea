//! Captures what a test's thread logs, at the most verbose level.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::{Dispatch, level_filters::LevelFilter, subscriber::DefaultGuard};
use tracing_subscriber::{fmt::format::FmtSpan, util::SubscriberInitExt};

/// The log of this thread since it was begun; a test on a current-thread runtime
/// has all its tasks on it.
pub struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
    /// With one dispatcher only, `tracing` lets whichever thread comes first decide
    /// for all whether an event is of interest; with two, each is asked.
    _second: Dispatch,
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures from now on.
    pub fn capture() -> Self {
        let second = Dispatch::new(tracing_subscriber::registry());
        let text = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&text);
        let guard = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || Writer(Arc::clone(&writer)))
            .finish()
            .set_default();
        Self { text, _guard: guard, _second: second }
    }

    /// What was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
