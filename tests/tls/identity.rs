//! Who a client certificate says that its peer is.

use std::{sync::atomic::Ordering, time::Duration};

use countersign::{
    config::Limits,
    grpc::Room,
    proto::{self, share_custody_client::ShareCustodyClient},
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::instance::{APP, IDLE, Instance};
use crate::support::{logs::Log, pki::svid, refused::assert_refused};

/// A caller is the same on both: the same policies permit and deny, in streams,
/// too.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_policies_decide() {
    let instance = Instance::start().await;
    let Instance { enclave, files, share } = &instance;
    let mut local = enclave.client().await;
    let mut remote = instance.client(&files.authority.svid(APP)).await;
    let request = share.sign_request(1);
    let expected = local.sign(request.clone()).await.unwrap().into_inner();
    let signed = remote.sign(request.clone()).await.unwrap().into_inner();
    assert_eq!(signed.signature, expected.signature, "Ed25519 is deterministic");

    let frames = tokio_stream::iter([share.open(), share.frame(1), share.frame(2)]);
    let answers = remote.use_share(frames).await.unwrap().into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");

    let digest = proto::SignRequest {
        payload: crate::support::enclave::digest(&[7; 32]),
        ..share.sign_request(1)
    };
    let before = enclave.counts.uses();
    for status in
        [local.sign(digest.clone()).await.unwrap_err(), remote.sign(digest).await.unwrap_err()]
    {
        assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    }
    let mut idle = instance.client(&files.authority.svid(IDLE)).await;
    let status = idle.sign(request).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    assert_eq!(enclave.counts.uses(), before);
}

/// Nobody is told more than that, and nothing is fetched; the log says why.
#[tokio::test]
async fn whoever_is_no_caller_is_refused() {
    let log = Log::capture();
    let instance = Instance::start().await;
    let Instance { enclave, files, share } = &instance;
    let authority = &files.authority;
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = svid(&[APP]);
        change(&mut params);
        params
    };
    let cases = [
        (svid(&["spiffe://example.org/other"]), "spiffe://example.org/other is no known caller"),
        (svid(&["spiffe://elsewhere.org/ns/payments/sa/app"]), "is no known caller"),
        (svid(&[APP, APP]), "more than one URI"),
        (svid(&[APP, "spiffe://example.org/other"]), "more than one URI"),
        (svid(&[APP, "https://example.org"]), "more than one URI"),
        (svid(&[]), "no URI"),
        (svid(&["https://example.org/ns/payments/sa/app"]), "not the SPIFFE ID of a workload"),
        (svid(&["spiffe://example.org"]), "not the SPIFFE ID of a workload"),
        (svid(&["spiffe://EXAMPLE.org/ns/payments/sa/app"]), "not the SPIFFE ID of a workload"),
        (svid(&[&format!("{APP}/")]), "not the SPIFFE ID of a workload"),
        (svid(&[&format!("{APP}?a=b")]), "not the SPIFFE ID of a workload"),
        (with(&|params| params.key_usages.push(KeyUsagePurpose::KeyCertSign)), "may sign"),
        (with(&|params| params.key_usages.push(KeyUsagePurpose::CrlSign)), "may sign"),
    ];
    for (params, why) in cases {
        let names = format!("{:?} {:?}", params.subject_alt_names, params.key_usages);
        let before = enclave.counts.uses();
        let described = enclave.counts.described.load(Ordering::SeqCst);
        let mut client = instance.client(&authority.issue(&params)).await;
        let status = client.sign(share.sign_request(0)).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, "CALLER_UNKNOWN");
        assert_eq!(status.message(), "the peer is no known caller");
        let frames = tokio_stream::iter([share.open()]);
        let status = client.use_share(frames).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, "CALLER_UNKNOWN");
        assert_eq!(enclave.counts.uses(), before, "{names}");
        assert_eq!(enclave.counts.described.load(Ordering::SeqCst), described, "{names}");
        let text = log.text();
        let line = text.lines().rfind(|line| line.contains("Request refused")).unwrap();
        assert!(line.contains(why), "{names}: {line}");
    }
    assert!(log.text().contains("spiffe_id=\"spiffe://example.org/other\""));
}

/// Other names beside the one URI, and no extended usage, change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_svid_may_have_is_accepted() {
    let instance = Instance::start().await;
    let authority = &instance.files.authority;
    let mut named = svid(&[APP]);
    let others = CertificateParams::new(["app.example.org".to_owned(), "10.0.0.1".to_owned()]);
    named.subject_alt_names.extend(others.unwrap().subject_alt_names);
    let mut bare = svid(&[APP]);
    bare.extended_key_usages.clear();
    let mut explicit = svid(&[APP]);
    explicit.is_ca = IsCa::ExplicitNoCa;
    for params in [named, bare, explicit] {
        let mut client = instance.client(&authority.issue(&params)).await;
        client.sign(instance.share.sign_request(0)).await.unwrap();
    }
}

/// An authority never is a caller, and what is not for clients is no client's.
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_or_a_server_is_no_client() {
    let instance = Instance::start().await;
    let mut authority = svid(&[APP]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let mut server = svid(&[APP]);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for params in [authority, server] {
        let config = instance.config(&instance.files.authority.issue(&params));
        let refused = crate::support::tls::served(instance.address(), config).await;
        assert!(refused.is_err());
    }
}

/// The operators' service has its socket and no other way in.
#[tokio::test(flavor = "multi_thread")]
async fn custody_is_not_there_and_health_is() {
    let instance = Instance::start().await;
    let channel = instance.channel(&instance.files.authority.svid(APP)).await;
    let mut custody = ShareCustodyClient::new(channel.clone());
    let request = proto::ListSharesRequest::default();
    let status = custody.list_shares(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.details().is_empty(), "no such service answered");
    let mut health = HealthClient::new(channel);
    let liveness = HealthCheckRequest { service: "liveness".to_owned() };
    health.check(liveness.clone()).await.unwrap();

    // As on the Unix socket, a probe need not be a caller.
    let stranger = instance.files.authority.svid("spiffe://example.org/probe");
    let mut health = HealthClient::new(instance.channel(&stranger).await);
    health.check(liveness).await.unwrap();
}

/// What a caller has in flight counts together, by whichever way it came.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_its_room_once() {
    let unary = Room { total: 4, per_caller: 1 };
    let instance = Instance::within(Limits { unary, ..Limits::default() }).await;
    let Instance { enclave, files, share } = &instance;
    let mut local = enclave.client().await;
    let mut remote = instance.client(&files.authority.svid(APP)).await;
    let mut idle = instance.client(&files.authority.svid(IDLE)).await;
    enclave.counts.slow_unwrap_ms.store(1000, Ordering::SeqCst);
    let request = share.sign_request(1);
    let slow = tokio::spawn(async move { local.sign(request).await });
    sleep(Duration::from_millis(300)).await;
    let status = remote.sign(share.sign_request(2)).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "OVERLOADED");
    // Another caller has room of its own.
    let status = idle.sign(share.sign_request(2)).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    slow.await.unwrap().unwrap();
    remote.sign(share.sign_request(2)).await.unwrap();
}
