//! An allowance: what a service whose callers need not be known gives each of
//! them. Health is such a service; a probe is seldom a caller.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use super::{
    admission::{Admission, Admitted},
    status,
};
use crate::{
    caller::{Callers, Party, Peer},
    key::RequestId,
};

/// A service with an allowance for each peer.
#[derive(Clone)]
pub struct Allowed<S> {
    admission: Admission,
    callers: Callers,
    service: S,
}

/// Keeps the request's room until its answer ends.
struct AllowedBody {
    body: Body,
    _admitted: Admitted,
}

impl<S> Allowed<S> {
    /// Gives `service` the room of `admission`, which a caller has once, by
    /// whichever of its identities it comes.
    pub fn new(admission: Admission, callers: Callers, service: S) -> Self {
        Self { admission, callers, service }
    }
}

impl<S> Service<Request<Body>> for Allowed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        let party = peer.map_or(Party::Nobody, |peer| self.callers.party(peer));
        match self.admission.admit(party) {
            Err(refusal) => {
                let refused = status::refuse(&refusal, &RequestId::random()).into_http();
                Box::pin(async { Ok(refused) })
            }
            Ok(admitted) => {
                let answer = self.service.call(request);
                Box::pin(async move {
                    let response = answer.await?;
                    Ok(response.map(|body| Body::new(AllowedBody { body, _admitted: admitted })))
                })
            }
        }
    }
}

impl http_body::Body for AllowedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S: NamedService> NamedService for Allowed<S> {
    const NAME: &'static str = S::NAME;
}
