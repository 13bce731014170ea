//! What a request holds until the last byte of its answer: its room, its span
//! and a guard against panics. Layers that let go at the response's head would
//! let a stream run on without them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;
use tracing::Span;

use super::{admission::Admitted, status};
use crate::{
    audit::Audit,
    caller::{Call, Caller, Flag},
    key::RequestId,
    refusal::{Reason, Refusal},
    telemetry::{Metrics, traces},
};

/// The guard of one request. Written to log and metrics when it is dropped: at
/// the end of the body, or when the client went away before.
pub struct Guarded {
    span: Span,
    metrics: Metrics,
    method: &'static str,
    started: Instant,
    request_id: RequestId,
    code: Option<Code>,
    reason: Option<Reason>,
    audit: Audit,
    /// Whose call it is, once that is known.
    caller: Option<Arc<Caller>>,
    /// Whether the audit log has a record of it.
    recorded: Flag,
    admitted: Option<Admitted>,
}

struct GuardedBody {
    body: Body,
    guard: Guarded,
}

impl Guarded {
    pub(super) fn new(
        span: Span,
        metrics: Metrics,
        audit: Audit,
        method: &'static str,
        started: Instant,
        request_id: RequestId,
    ) -> Self {
        Self {
            span,
            metrics,
            method,
            started,
            request_id,
            code: None,
            reason: None,
            audit,
            caller: None,
            recorded: Flag::default(),
            admitted: None,
        }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Whose call it is.
    pub(super) fn of(&mut self, caller: &Arc<Caller>) {
        self.span.record("caller", &*caller.name);
        self.caller = Some(Arc::clone(caller));
    }

    /// Keeps the request's room, and what the audit log has of it.
    pub(super) fn hold(&mut self, call: &Call, admitted: Admitted) {
        self.recorded = call.recorded.clone();
        self.admitted = Some(admitted);
    }

    /// Moves into the body of the answer.
    pub(super) fn around(mut self, response: Response<Body>) -> Response<Body> {
        self.note(response.headers());
        response.map(|body| Body::new(GuardedBody { body, guard: self }))
    }

    fn note(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = Some(status.code());
            self.reason =
                status.get_details_error_info().and_then(|info| Reason::named(&info.reason));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // No status left with the body: the client went away before the end.
        let code = self.code.unwrap_or(Code::Cancelled);
        let elapsed = self.started.elapsed();
        // What policy saw, the stories recorded.
        if let Some(reason) = self.reason.filter(|_| !self.recorded.is_set()) {
            let caller = self.caller.as_ref().map(|caller| &*caller.name);
            self.audit.refused(caller, reason.as_str());
        }
        let name = status::code_name(code);
        traces::note_code(&self.span, code);
        self.metrics.answered(self.method, name, elapsed);
        let duration_ms = elapsed.as_secs_f64() * 1000.0;
        match code {
            Code::Ok => {
                tracing::info!(parent: &self.span, code = name, duration_ms, "Request answered");
            }
            _ => tracing::warn!(parent: &self.span, code = name, duration_ms, "Request refused"),
        }
    }
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let span = self.guard.span.clone();
        let body = &mut self.body;
        let polled =
            catch_unwind(AssertUnwindSafe(|| span.in_scope(|| Pin::new(body).poll_frame(cx))));
        match polled {
            Ok(polled) => {
                if let Poll::Ready(Some(Ok(frame))) = &polled
                    && let Some(trailers) = frame.trailers_ref()
                {
                    self.guard.note(trailers);
                }
                polled
            }
            Err(_panic) => {
                // The body is in no state to be polled again; an empty one ends
                // the answer after these trailers.
                self.body = Body::empty();
                let request_id = &self.guard.request_id;
                let refused = span.in_scope(|| status::refuse(&Refusal::Panicked, request_id));
                let trailers = refused.into_http::<Body>().into_parts().0.headers;
                self.guard.note(&trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
