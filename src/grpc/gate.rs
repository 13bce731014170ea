//! The gate: what every request of a service passes, in this order and in one
//! function, before the service sees it.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http::{HeaderValue, Request, Response};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;
use tracing::{Instrument, Span, field};

use super::{
    admission::{Admission, Admitted},
    answer::Guarded,
    deadline, status,
};
use crate::{
    audit::Audit,
    caller::{Call, Callers, Party, Peer},
    key::RequestId,
    rate::Rates,
    refusal::Refusal,
    telemetry::{Metrics, traces},
};

/// The header that names a request.
const REQUEST_ID: &str = "x-request-id";

/// What the gate checks against. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    /// Who may call at all.
    pub callers: Callers,
    /// The deadline of a unary call that sets none.
    pub own_deadline: Duration,
    /// The longest deadline of a unary call.
    pub longest_deadline: Duration,
    /// The longest deadline of a stream.
    pub stream_deadline: Duration,
    /// How often each caller may call.
    pub rates: Rates,
    /// Room for unary calls.
    pub unary: Admission,
    /// Room for streams.
    pub streams: Admission,
    /// Where outcomes are counted.
    pub metrics: Metrics,
    /// Where refusals are counted that policy never saw.
    pub audit: Audit,
}

/// A service behind the gate.
#[derive(Clone)]
pub struct Gated<S> {
    gate: Gate,
    service: S,
}

impl Gate {
    /// Puts a service behind the gate.
    pub fn before<S>(&self, service: S) -> Gated<S> {
        Gated { gate: self.clone(), service }
    }
}

impl Gate {
    fn admit(
        &self,
        request: &Request<Body>,
        method: &'static str,
        request_id: &RequestId,
        started: Instant,
        guard: &mut Guarded,
    ) -> Result<(Call, Admitted), Refusal> {
        // 3. Caller identity: before anything that a stranger could use up.
        let peer = request.extensions().get::<Peer>();
        let peer = peer.unwrap_or(&Peer::Nobody("no transport vouches for it"));
        match peer {
            Peer::User(uid) => _ = guard.span().record("uid", uid),
            Peer::Workload(spiffe_id) => {
                _ = guard.span().record("spiffe_id", spiffe_id.as_str());
            }
            Peer::Nobody(_) => {}
        }
        let caller = self.callers.find(peer);
        let caller = caller.ok_or_else(|| Refusal::CallerUnknown(peer.clone()))?;
        guard.of(&caller);

        // 4. Deadline: before admission, so that a request whose time is over
        //    takes no room.
        let (own, longest, room) = match method {
            "UseShare" => (self.stream_deadline, self.stream_deadline, &self.streams),
            _ => (self.own_deadline, self.longest_deadline, &self.unary),
        };
        let allowed = deadline::allowed(request.headers(), own, longest)?;
        if allowed.is_zero() {
            return Err(Refusal::Deadline);
        }

        // 5. Rate: before admission, so that a request over its caller's rate takes
        //    no room. One that finds no room has spent its token: it was a call.
        self.rates.take_call(&caller)?;

        // 6. In-flight limits: last, because only what passed the rest deserves
        //    room. Held until the body of the answer ends.
        let admitted = room.admit(Party::Caller(Arc::clone(&caller)))?;
        let call = Call::new(caller, request_id.clone(), started, started + allowed);
        Ok((call, admitted))
    }
}

impl<S> Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
{
    async fn pass(mut self, mut request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        let gate = &self.gate;
        let method = method(request.uri().path());

        // 1. Request id: first, so that everything below can name the request,
        //    refusals included. A malformed one is replaced and refused below.
        let offered = request.headers().get(REQUEST_ID);
        let parsed = offered.map(|value| value.to_str().unwrap_or_default().parse());
        let (request_id, malformed_id) = match parsed {
            None => (RequestId::random(), false),
            Some(Ok(request_id)) => (request_id, false),
            Some(Err(_)) => (RequestId::random(), true),
        };

        // 2. Trace: around everything that can fail, so that each request is one
        //    span and one closing event, written when its body ends.
        let span = tracing::info_span!(
            target: traces::REQUEST,
            "request",
            %request_id,
            method,
            caller = field::Empty,
            uid = field::Empty,
            spiffe_id = field::Empty,
            share = field::Empty,
            payload_kind = field::Empty,
            kms_request_id = field::Empty,
            trace_id = field::Empty,
            reason = field::Empty,
            detail = field::Empty,
        );
        traces::note_service(&span, S::NAME);
        traces::continue_trace(&span, request.headers());
        let (metrics, audit) = (gate.metrics.clone(), gate.audit.clone());
        let mut guard =
            Guarded::new(span.clone(), metrics, audit, method, started, request_id.clone());
        let refuse = |refusal: &Refusal| {
            span.in_scope(|| status::refuse(refusal, &request_id).into_http::<Body>())
        };

        // 3. to 6. Caller identity, deadline, rate, in-flight limits.
        let admitted = gate.admit(&request, method, &request_id, started, &mut guard);
        let admitted = match malformed_id {
            // A stranger is told that it is one, whatever else it sent.
            true => {
                admitted.and(Err(Refusal::invalid(REQUEST_ID, "is 1 to 64 of A-Z a-z 0-9 - _ .")))
            }
            false => admitted,
        };
        let (call, admitted) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return guard.around(named(refuse(&refusal), &request_id)),
        };
        guard.hold(&call, admitted);

        // 7. The service, with panics caught: a fault in one request must not
        //    take the connection, and with it other requests, down. The body is
        //    guarded likewise while it is polled.
        let deadline = call.deadline;
        request.extensions_mut().insert(call);
        let answer = AssertUnwindSafe(async { self.service.call(request).await })
            .catch_unwind()
            .instrument(span.clone());
        let response = match timeout_at(deadline, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => refuse(&Refusal::Panicked),
            Err(_elapsed) => refuse(&Refusal::Deadline),
        };
        let response = match foreign(&response) {
            Some(foreign) => span.in_scope(|| status::adopt(&foreign, &request_id).into_http()),
            None => response,
        };
        guard.around(named(response, &request_id))
    }
}

/// The last part of a gRPC path, as a label: one of the contract's names, since a
/// client can put anything into a path.
fn method(path: &str) -> &'static str {
    const METHODS: [&str; 13] = [
        "Sign",
        "UseShare",
        "GetPublicKey",
        "GenerateShare",
        "GetImportKey",
        "ImportShare",
        "ListShares",
        "GetShare",
        "DisableShare",
        "EnableShare",
        "ScheduleDestruction",
        "DestroyShare",
        "ReencryptShare",
    ];
    let last = path.rsplit('/').next().unwrap_or_default();
    METHODS.into_iter().find(|method| *method == last).unwrap_or("other")
}

/// An error that the gRPC library answered before the service was asked: it has
/// no details.
fn foreign(response: &Response<Body>) -> Option<Status> {
    Status::from_header_map(response.headers())
        .filter(|status| status.code() != Code::Ok && status.details().is_empty())
}

fn named(mut response: Response<Body>, request_id: &RequestId) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let gated = self.clone();
        Box::pin(async move { Ok(gated.pass(request).await) })
    }
}

impl<S: NamedService> NamedService for Gated<S> {
    const NAME: &'static str = S::NAME;
}

/// Lets handlers add to the request's span.
pub fn describe_request(share: &impl std::fmt::Display, payload_kind: Option<&str>) {
    let span = Span::current();
    span.record("share", field::display(share));
    span.record("payload_kind", payload_kind);
}

#[cfg(test)]
mod tests;
