//! Spans that have ended and wait to be sent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};

/// The most spans that wait.
const ROOM: usize = 4096;
/// The most spans that are sent at once.
const BATCH: usize = 512;

/// Where spans end. It takes its room once: a span may end on a thread whose heap is small.
#[derive(Debug)]
pub(super) struct Queue {
    spans: SyncSender<SpanData>,
    lost: Arc<AtomicU64>,
}

/// What waits.
pub struct Queued {
    spans: Receiver<SpanData>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn new() -> (Self, Queued) {
        let (sender, spans) = sync_channel(ROOM);
        let lost = Arc::new(AtomicU64::new(0));
        (Self { spans: sender, lost: Arc::clone(&lost) }, Queued { spans, lost })
    }
}

impl Queued {
    /// The next ones, as many as are sent at once.
    pub(super) fn next(&self) -> impl Iterator<Item = SpanData> {
        self.spans.try_iter().take(BATCH)
    }

    /// How many found no room since this was last asked.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
