//! Traces, sent by a confined server to a collector: what they tell, what they do not, and
//! that nobody waits for them.

mod collector;

use std::{collections::BTreeSet, fs, process::Command, sync::Arc, time::Duration};

use countersign::{client, kms::vault_transit::Settings};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use tokio::time::{Instant, sleep};
use tonic::Request;
use tonic_types::StatusExt;

use crate::support::{
    pki::Authority,
    served::{self, Home, SQLITE, Served, Share, binary},
    vault::{Tenant, VaultServer},
};
use collector::Collector;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const MESSAGE: &[u8] = b"what nobody but the enclave is told";

/// A server that tells this collector.
async fn told(collector: &Collector, keys: &str) -> Served {
    let home = Home::embedded();
    home.add(&format!("[traces]\nendpoint = \"{}\"\n{keys}", collector.url()));
    let serve = home.serve();
    home.start(serve).await
}

/// Signs as a caller that sends this `traceparent`.
async fn sign(served: &Served, share: &Share, traceparents: &[&str]) -> Result<(), tonic::Status> {
    let mut request = Request::new(share.sign_request(MESSAGE));
    for traceparent in traceparents {
        request.metadata_mut().append("traceparent", traceparent.parse().unwrap());
    }
    request.metadata_mut().insert("tracestate", "vendor=1".parse().unwrap());
    let mut enclave = client::enclave(&served.socket()).await.unwrap();
    enclave.sign(request).await.map(drop)
}

fn sampled(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// The spans of the trace that the caller is in.
fn of_the_caller(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| hex::encode(&span.trace_id) == TRACE).collect()
}

fn keys(span: &Span) -> Vec<&str> {
    let mut keys: Vec<_> = span.attributes.iter().map(|field| &*field.key).collect();
    keys.sort_unstable();
    keys
}

fn is_sign(span: &Span) -> bool {
    span.name == "countersign.v1.SigningEnclave/Sign"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_its_stages_are_in_the_caller_s_trace() {
    let collector = Collector::start(None);
    let served = told(&collector, "").await;
    let share = served.generate().await;
    sign(&served, &share, &[&sampled("01")]).await.unwrap();
    // What is queued is sent before the process ends.
    let home = served.stop_keeping();
    let spans = collector.spans();
    let spans = of_the_caller(&spans);
    let [request] = spans.iter().filter(|span| is_sign(span)).collect::<Vec<_>>()[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(hex::encode(&request.parent_span_id), PARENT);
    assert_eq!(request.trace_state, "vendor=1");
    assert_eq!(request.kind, SpanKind::Server as i32);
    let expected = [
        "countersign.caller",
        "countersign.payload_kind",
        "countersign.request_id",
        "countersign.share",
        "rpc.grpc.status_code",
        "rpc.method",
        "rpc.service",
        "rpc.system",
    ];
    assert_eq!(keys(request), expected);
    let stages: Vec<_> = spans.iter().filter(|span| !is_sign(span)).collect();
    let mut names: Vec<_> = stages.iter().map(|span| &*span.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["audit", "decide", "fetch", "section", "unwrap"]);
    for stage in stages {
        assert_eq!(stage.parent_span_id, request.span_id);
        assert_eq!(keys(stage), [""; 0]);
        assert!(stage.start_time_unix_nano >= request.start_time_unix_nano);
        assert!(stage.end_time_unix_nano <= request.end_time_unix_nano);
    }
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "countersign");
    assert_eq!(resource["deployment.environment.name"], "test");
    // The log names the trace, and is about requests alone.
    let log = home.log();
    assert!(log.contains(&format!("\"trace_id\":\"{TRACE}\"")), "{log}");
    assert!(!log.contains("\"stage\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_payload_and_no_detail_leaves() {
    let collector = Collector::start(None);
    let served = told(&collector, "").await;
    let share = served.generate().await;
    sign(&served, &share, &[]).await.unwrap();
    let mut enclave = client::enclave(&served.socket()).await.unwrap();
    let mut wrong = share.sign_request(MESSAGE);
    wrong.wallet_id = "another-wallet".to_owned();
    let refusal = enclave.sign(wrong).await.unwrap_err();
    let reason = refusal.get_details_error_info().unwrap().reason;
    served.stop();
    let spans = collector.spans();
    let refused = spans.iter().find(|span| keys(span).contains(&"error.type")).unwrap();
    // What a caller did wrong is no fault of the server.
    assert_eq!(refused.status.as_ref().map_or(0, |status| status.code), 0);
    let told = collector.bytes();
    let holds = |what: &[u8]| told.windows(what.len()).any(|window| window == what);
    assert!(holds(reason.as_bytes()) && holds(share.id().as_bytes()));
    for never in [MESSAGE, b"another-wallet", b"detail", b"uid", b"spiffe_id"] {
        assert!(!holds(never), "{}", String::from_utf8_lossy(never));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_samples_is_the_caller_or_the_ratio() {
    let collector = Collector::start(None);
    let served = told(&collector, "ratio = 0.0").await;
    let share = served.generate().await;
    let in_trace =
        |digit: char, flags| sampled(flags).replace(TRACE, &digit.to_string().repeat(32));
    sign(&served, &share, &[&in_trace('1', "00")]).await.unwrap();
    // No context: malformed, or two of them.
    sign(&served, &share, &[&in_trace('2', "1")]).await.unwrap();
    sign(&served, &share, &[&in_trace('2', "01-more")]).await.unwrap();
    sign(&served, &share, &["00-abc-def-01"]).await.unwrap();
    sign(&served, &share, &[&in_trace('3', "01"), &in_trace('3', "01")]).await.unwrap();
    sign(&served, &share, &[&sampled("01")]).await.unwrap();
    served.stop();
    let spans = collector.spans();
    let traces: BTreeSet<_> = spans.iter().map(|span| hex::encode(&span.trace_id)).collect();
    assert_eq!(traces, BTreeSet::from([TRACE.to_owned()]));
}

/// A stream is one span, however many frames it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_one_span() {
    let collector = Collector::start(None);
    let served = told(&collector, "").await;
    let share = served.generate().await;
    let mut enclave = client::enclave(&served.socket()).await.unwrap();
    let frames = tokio_stream::iter(share.frames(20));
    let mut answers = enclave.use_share(frames).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    served.stop();
    let spans = collector.spans();
    let [stream] =
        spans.iter().filter(|span| span.name.ends_with("/UseShare")).collect::<Vec<_>>()[..]
    else {
        panic!("{spans:?}");
    };
    let stages = spans.iter().filter(|span| span.parent_span_id == stream.span_id);
    assert_eq!(stages.count(), 2, "fetch and unwrap, once");
}

/// Spans are entered on the thread of Vault's client, whose heap is small, and end there when
/// a caller goes away.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_vault_unwraps_for() {
    let Some(vault) = VaultServer::shared().await else { return };
    let collector = Collector::start(None);
    let tenant = Tenant::new(vault).await;
    let settings = Settings { rotator: None, ..tenant.settings() };
    let transit = served::vault(&settings, &vault.ca_file());
    let home = Home::new(tenant.environment().as_str(), &transit, SQLITE);
    home.add(&format!("[traces]\nendpoint = \"{}\"", collector.url()));
    let serve = home.serve();
    let served = home.start(serve).await;
    let share = Arc::new(served.generate().await);
    for round in 0..300 {
        let (socket, share) = (served.socket(), Arc::clone(&share));
        let signing = tokio::spawn(async move {
            let mut enclave = client::enclave(&socket).await.unwrap();
            enclave.sign(share.sign_request(MESSAGE)).await
        });
        sleep(Duration::from_micros(round * 37 % 8000)).await;
        signing.abort();
    }
    sign(&served, &share, &[&sampled("01")]).await.unwrap();
    let home = served.stop_keeping();
    let spans = collector.spans();
    let spans = of_the_caller(&spans);
    let request = spans.iter().find(|span| is_sign(span)).unwrap();
    assert!(keys(request).contains(&"countersign.kms_request_id"), "{request:?}");
    assert!(spans.iter().any(|span| span.name == "unwrap"));
    assert!(!home.log().contains("a secret heap is full"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_to_a_known_authority_alone() {
    for known in [true, false] {
        let authority = Authority::new();
        let collector = Collector::start(Some(&authority.server()));
        let home = Home::embedded();
        let trusted = if known { &authority } else { &Authority::new() };
        trusted.write_certificate(&home.path("config"));
        home.add(&format!(
            "[traces]\nendpoint = \"{}\"\nca_file = {:?}",
            collector.url(),
            home.path("config/ca.pem")
        ));
        let serve = home.serve();
        let served = home.start(serve).await;
        let share = served.generate().await;
        sign(&served, &share, &[]).await.unwrap();
        let outcome = if known { "sent" } else { "lost" };
        served.until("it is counted", |served| spans(served, outcome) > 0).await;
        assert_eq!(served.home.log().contains("Traces are lost"), !known);
        served.stop();
        assert_eq!(collector.spans().is_empty(), !known);
    }
}

fn spans(served: &Served, outcome: &str) -> u64 {
    let start = format!("countersign_trace_spans_total{{outcome=\"{outcome}\"}} ");
    let metrics = served.scrape();
    let value = metrics.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
    value.parse().unwrap()
}

/// Signing goes on, also beyond what can wait; and it does not hold the end up.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_is_waited_for_by_nobody() {
    let collector = Collector::hanging();
    let served = told(&collector, "").await;
    let share = served.generate().await;
    let mut enclave = client::enclave(&served.socket()).await.unwrap();
    // More than the queue and a batch, at six spans each.
    for _ in 0..900 {
        enclave.sign(share.sign_request(MESSAGE)).await.unwrap();
    }
    served.until("some are lost", |served| spans(served, "lost") > 0).await;
    let begun = Instant::now();
    served.stop();
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_comes_later_is_found() {
    let port = Collector::free_port();
    let home = Home::embedded();
    home.add(&format!("[traces]\nendpoint = \"http://127.0.0.1:{port}\""));
    let serve = home.serve();
    let served = home.start(serve).await;
    let share = served.generate().await;
    sign(&served, &share, &[]).await.unwrap();
    served.until("some are lost", |served| spans(served, "lost") > 0).await;
    let collector = Collector::start_on(port);
    let give_up = Instant::now() + Duration::from_secs(20);
    while collector.spans().is_empty() {
        assert!(Instant::now() < give_up);
        sign(&served, &share, &[]).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    served.stop();
}

#[test]
fn check_reads_the_authorities() {
    let home = Home::embedded();
    let file = home.path("config/ca.pem");
    home.add(&format!("[traces]\nendpoint = \"https://localhost:4317\"\nca_file = {file:?}"));
    let check = || {
        let mut command = Command::new(binary());
        command.args(["check", "--config"]).arg(home.config());
        home.output(command)
    };
    let missing = check();
    assert_eq!(missing.status.code(), Some(78));
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.contains("traces: ") && said.contains("No such file"), "{said}");
    fs::write(&file, "not a certificate").unwrap();
    let none = check();
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert_eq!(none.status.code(), Some(78), "{said}");
    Authority::new().write_certificate(&home.path("config"));
    assert!(check().status.success());
}
