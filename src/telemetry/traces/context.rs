//! The context of a trace that a caller began (W3C Trace Context, `traceparent` and
//! `tracestate`). Baggage is not read.

use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, field::display};
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Whether every field is as long as it must be (W3C Trace Context §3.2.2), which the library
/// does not ask. A later version may have more fields.
fn is_whole(traceparent: &str) -> bool {
    let mut lengths = traceparent.split('-').map(str::len);
    lengths.by_ref().take(4).eq([2, 32, 16, 2])
        && (lengths.next().is_none() || !traceparent.starts_with("00"))
}

/// Makes a request's span one of the trace that its caller is in, if it says so, and notes
/// the trace's id for the log. What is malformed, or there twice, is no context.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    let mut contexts = headers.get_all(TRACEPARENT).iter();
    let (Some(context), None) = (contexts.next(), contexts.next()) else { return };
    if !context.to_str().is_ok_and(is_whole) {
        return;
    }
    let propagator = TraceContextPropagator::new();
    let context = propagator.extract_with_context(&Context::new(), &Headers(headers));
    let caller = context.span().span_context().clone();
    if caller.is_valid() {
        span.record("trace_id", display(caller.trace_id()));
        // Where no trace is made, there is nothing to make part of another.
        let _ = span.set_parent(context);
    }
}
