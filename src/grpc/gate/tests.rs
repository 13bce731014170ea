use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http_body_util::Full;
use tonic_types::StatusExt;

use prost::Message;

use super::*;
use crate::{
    audit::{Place, Rotation, Settings, record::Start},
    caller::{Caller, SpiffeId},
    grpc::Room,
    rate::{Quota, RateLimits},
};

/// A gate that lets each caller, of whom there are two, through so often.
fn gate(burst: u32) -> Gate {
    let caller = |name: &str, uid| Caller {
        name: name.into(),
        uid: Some(uid),
        spiffe_id: Some(spiffe_id(name)),
        groups: Box::default(),
        rate: None,
    };
    let callers: Callers = [caller("first", 1), caller("second", 2)].into_iter().collect();
    let hourly = Quota::with_period(Duration::from_secs(3600)).unwrap();
    let caller = Some(hourly.allow_burst(NonZeroU32::new(burst).unwrap()));
    let metrics = Metrics::new();
    let room = Room { total: 2, per_caller: 1 };
    Gate {
        rates: Rates::new(&callers, RateLimits { caller, share: None }, metrics.clone()),
        callers,
        own_deadline: Duration::from_secs(5),
        longest_deadline: Duration::from_secs(5),
        stream_deadline: Duration::from_secs(5),
        unary: Admission::new(room),
        streams: Admission::new(room),
        metrics,
        audit: audit(),
    }
}

/// A log that nobody reads.
fn audit() -> Audit {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        directory: directory.path().to_owned(),
        place: Place::Anywhere,
        rotation: Rotation { size: 1 << 20, age: Duration::from_secs(3600) },
        checkpoints: Duration::from_secs(3600),
        compress: false,
        keep: None,
        webhook: None,
    };
    Audit::open(&settings, Start::default(), Metrics::new()).unwrap().0
}

/// What is behind the gate, and how often it was asked.
#[derive(Clone, Default)]
struct Asked(Arc<AtomicUsize>);

impl NamedService for Asked {
    const NAME: &'static str = "countersign.v1.SigningEnclave";
}

impl Service<Request<Body>> for Asked {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        // Not empty: its room is kept until it is read or dropped.
        std::future::ready(Ok(Response::new(Body::new(Full::from("an answer")))))
    }
}

fn spiffe_id(name: &str) -> SpiffeId {
    format!("spiffe://td/{name}").parse().unwrap()
}

fn request(uid: u32, method: &str) -> Request<Body> {
    request_of(Peer::User(uid), method)
}

fn request_of(peer: Peer, method: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = format!("/countersign.v1.SigningEnclave/{method}").parse().unwrap();
    request.extensions_mut().insert(peer);
    request
}

/// The reason of a refusal, or none.
fn reason(response: &Response<Body>) -> Option<String> {
    let status = Status::from_header_map(response.headers())?;
    Some(status.get_error_details().error_info()?.reason.clone())
}

#[tokio::test]
async fn each_caller_has_a_rate_of_its_own() {
    let (gate, asked) = (gate(3), Asked::default());
    let mut gated = gate.before(asked.clone());
    // Every call counts, of whichever kind.
    for method in ["Sign", "UseShare", "GetPublicKey"] {
        let response = gated.call(request(1, method)).await.unwrap();
        assert_eq!(reason(&response), None);
    }
    for method in ["Sign", "UseShare", "GetPublicKey", "ListShares", "unheard-of"] {
        let response = gated.call(request(1, method)).await.unwrap();
        assert_eq!(reason(&response).as_deref(), Some("CALLER_RATE"), "{method}");
        let status = Status::from_header_map(response.headers()).unwrap();
        let details = status.get_error_details();
        let wait = details.retry_info().unwrap().retry_delay.unwrap();
        assert!((Duration::from_secs(3500)..=Duration::from_secs(3600)).contains(&wait));
    }
    assert_eq!(asked.0.load(Ordering::SeqCst), 3);
    let response = gated.call(request(2, "Sign")).await.unwrap();
    assert_eq!(reason(&response), None);
}

#[tokio::test]
async fn a_caller_has_one_rate_by_whichever_identity_it_comes() {
    let mut gated = gate(2).before(Asked::default());
    let peers = [Peer::User(1), Peer::Workload(spiffe_id("first"))];
    for expected in [None, Some("CALLER_RATE")] {
        for peer in &peers {
            let response = gated.call(request_of(peer.clone(), "Sign")).await.unwrap();
            assert_eq!(reason(&response).as_deref(), expected, "{peer}");
        }
    }
}

/// What is refused before the rate takes no token; what is refused after it does.
#[tokio::test]
async fn the_rate_comes_after_the_deadline_and_before_the_room() {
    let (gate, asked) = (gate(2), Asked::default());
    let mut gated = gate.before(asked.clone());
    let mut late = async |timeout: &str| {
        let mut request = request(1, "Sign");
        request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        reason(&gated.call(request).await.unwrap())
    };
    for _ in 0..5 {
        assert_eq!(late("0n").await.as_deref(), Some("DEADLINE_EXCEEDED"));
        assert_eq!(late("soon").await.as_deref(), Some("INVALID_REQUEST"));
    }
    let response = gated.call(request(99, "Sign")).await.unwrap();
    assert_eq!(reason(&response).as_deref(), Some("CALLER_UNKNOWN"));

    let held = gated.call(request(1, "Sign")).await.unwrap();
    assert_eq!(reason(&held), None);
    // Two tokens are spent, one of them on a call that found no room; the third call
    // does not come so far.
    for expected in ["OVERLOADED", "CALLER_RATE", "CALLER_RATE"] {
        let response = gated.call(request(1, "Sign")).await.unwrap();
        assert_eq!(reason(&response).as_deref(), Some(expected));
    }
    assert_eq!(asked.0.load(Ordering::SeqCst), 1);
}

/// A call that is not among them would have no name in metrics, and no deadline of its own.
#[test]
fn every_call_of_the_contract_has_its_name() {
    let set = prost_types::FileDescriptorSet::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let calls: Vec<_> = services.flat_map(|service| &service.method).collect();
    assert!(!calls.is_empty());
    for call in calls {
        assert_eq!(method(&format!("/service/{}", call.name())), call.name());
    }
}
