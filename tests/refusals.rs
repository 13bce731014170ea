//! Bad input and denied requests: each has its code and reason, and nothing is
//! fetched, unwrapped, wrapped, written or signed.

use std::{future::Future, time::Duration};

use countersign::{
    key::{Algorithm, ShareId},
    proto::{self, SignRequest},
};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use crate::support::{
    enclave::{Enclave, Setup, Share, bare_client, digest, message},
    logs::Log,
    refused::{assert_invalid, assert_refused, assert_unfit},
};

/// Runs a call that must be refused, and proves that it cost nothing.
#[track_caller]
pub fn refused<'a, T>(
    enclave: &'a Enclave,
    call: impl Future<Output = Result<Response<T>, Status>> + 'a,
) -> impl Future<Output = Status> + 'a {
    let before = enclave.counts.uses();
    async move {
        let status = call.await.err().expect("must be refused");
        assert_eq!(enclave.counts.uses(), before, "{status:?}");
        status
    }
}

async fn sign_refused(enclave: &Enclave, request: SignRequest) -> Status {
    let mut client = enclave.client().await;
    refused(enclave, client.sign(request)).await
}

fn with(share: &Share, change: impl FnOnce(&mut SignRequest)) -> SignRequest {
    let mut request = share.sign_request(0);
    change(&mut request);
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_fields_are_named() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let upper = share.id.to_uppercase();
    let ids = ["", "1", "not-a-uuid", &upper, &share.id.replace('-', ""), &share.id[1..]];
    for id in ids {
        let id = id.to_owned();
        let request = with(&share, |request| request.share_id = id);
        assert_invalid(&sign_refused(&enclave, request).await, "share_id");
    }
    let nil = "00000000-0000-0000-0000-000000000000".to_owned();
    let request = with(&share, |request| request.share_id = nil);
    assert_invalid(&sign_refused(&enclave, request).await, "share_id");

    for wallet in ["", "white space", "böse", "a/b", &"w".repeat(129)] {
        let wallet = wallet.to_owned();
        let request = with(&share, |request| request.wallet_id = wallet);
        assert_invalid(&sign_refused(&enclave, request).await, "wallet_id");
    }
    let request = with(&share, |request| request.expected_address = "a".repeat(129));
    assert_invalid(&sign_refused(&enclave, request).await, "expected_address");
    let request = with(&share, |request| request.encoding = 7);
    assert_invalid(&sign_refused(&enclave, request).await, "encoding");
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_have_their_sizes() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let request = with(&share, |request| request.payload = None);
    assert_invalid(&sign_refused(&enclave, request).await, "payload");
    let empty = Some(proto::Payload { kind: None });
    let request = with(&share, |request| request.payload = empty);
    assert_invalid(&sign_refused(&enclave, request).await, "payload");
    for length in [0, 65_537, 100_000] {
        let payload = message(&vec![1; length]);
        let request = with(&share, |request| request.payload = payload);
        assert_invalid(&sign_refused(&enclave, request).await, "payload.message");
    }
    for length in [0, 31, 33, 64] {
        let payload = digest(&vec![1; length]);
        let request = with(&share, |request| request.payload = payload);
        assert_invalid(&sign_refused(&enclave, request).await, "payload.digest");
    }
    // Longer than the service reads at all.
    let payload = message(&vec![1; 200_000]);
    let request = with(&share, |request| request.payload = payload);
    assert_invalid(&sign_refused(&enclave, request).await, "message");
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_must_fit_the_algorithm() {
    let enclave = Enclave::start().await;
    let misfits = [
        (Algorithm::EcdsaSecp256k1, message(&[1; 32])),
        (Algorithm::SchnorrSecp256k1, message(&[1; 31])),
        (Algorithm::SchnorrSecp256k1, message(&[1; 33])),
    ];
    for (algorithm, payload) in misfits {
        let share = enclave.share(algorithm).await;
        let request = with(&share, |request| request.payload = payload);
        assert_unfit(&sign_refused(&enclave, request).await, "payload");
    }
    for algorithm in [Algorithm::Ed25519, Algorithm::SchnorrSecp256k1] {
        let share = enclave.share(algorithm).await;
        let request = with(&share, |request| {
            request.set_encoding(proto::SignatureEncoding::Der);
        });
        assert_unfit(&sign_refused(&enclave, request).await, "encoding");
    }
}

/// With a policy that names `SignDigest` for every key, the algorithm still has
/// the last word.
#[tokio::test(flavor = "multi_thread")]
async fn digests_are_refused_where_the_algorithm_hashes() {
    let enclave = Enclave::with(Setup {
        policy: r#"@id("all") permit (principal, action in
            [Action::"SignDigest", Action::"GenerateShare"], resource);"#,
        ..Setup::default()
    })
    .await;
    for algorithm in [Algorithm::Ed25519, Algorithm::SchnorrSecp256k1] {
        let share = enclave.share(algorithm).await;
        let request = with(&share, |request| request.payload = digest(&[1; 32]));
        assert_unfit(&sign_refused(&enclave, request).await, "payload");
    }
}

/// A policy for any action does not cover bare digests.
#[tokio::test(flavor = "multi_thread")]
async fn digests_need_a_policy_that_names_them() {
    let enclave = Enclave::with(Setup {
        policy: r#"@id("everything") permit (principal, action, resource);"#,
        ..Setup::default()
    })
    .await;
    let share = enclave.share(Algorithm::EcdsaP256).await;
    let mut client = enclave.client().await;
    client.sign(share.sign_request(0)).await.unwrap();
    let request = with(&share, |request| request.payload = digest(&[1; 32]));
    let status = sign_refused(&enclave, request).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_forbidden_shares_look_the_same() {
    let enclave = Enclave::with(Setup {
        policy: r#"
            @id("app-signs-wallet-1")
            permit (principal == Caller::"app", action, resource)
            when { resource has wallet && resource.wallet == "wallet-1" };
            @id("app-generates")
            permit (principal == Caller::"app", action == Action::"GenerateShare", resource);"#,
        ..Setup::default()
    })
    .await;
    let forbidden = enclave.share_of("wallet-2", Algorithm::Ed25519).await;
    let own = enclave.share(Algorithm::Ed25519).await;
    let unknown = ShareId::random().to_string();
    let refusals = [
        sign_refused(&enclave, forbidden.sign_request(0)).await,
        sign_refused(&enclave, with(&forbidden, |request| request.share_id = unknown)).await,
        // Somebody else's share under one's own wallet's name.
        sign_refused(&enclave, with(&forbidden, |request| request.wallet_id = own.wallet)).await,
    ];
    for status in &refusals {
        assert_refused(status, Code::PermissionDenied, "POLICY_DENIED");
        assert_eq!(status.message(), refusals[0].message());
        assert!(status.get_error_details().retry_info().is_none());
    }
    let mut client = enclave.client().await;
    let request = proto::GetPublicKeyRequest {
        share_id: forbidden.id.clone(),
        wallet_id: forbidden.wallet.clone(),
    };
    let status = refused(&enclave, client.get_public_key(request)).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
}

/// Which policy forbids, and why, is for the operator: in his words, in the log alone.
#[tokio::test]
async fn what_forbids_is_in_the_log_and_not_in_the_answer() {
    let log = Log::capture();
    let enclave = Enclave::with(Setup {
        policy: r#"
            @id("permit-all") permit (principal, action, resource);
            @id("forbid: Zürich's") @reason("The treasury is frozen")
            forbid (principal, action == Action::"Sign", resource);"#,
        ..Setup::default()
    })
    .await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let status = sign_refused(&enclave, share.sign_request(0)).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    let answer = format!("{status:?}");
    let log = log.text();
    for words in ["forbid: Zürich's", "The treasury is frozen"] {
        assert!(log.contains(words), "{log}");
        assert!(!answer.contains(words), "{answer}");
    }
    assert!(!answer.contains("permit-all"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_particular_is_no_caller() {
    let enclave = Enclave::with(Setup { callers: Default::default(), ..Setup::default() }).await;
    let request = SignRequest::default();
    let status = sign_refused(&enclave, request).await;
    assert_refused(&status, Code::Unauthenticated, "CALLER_UNKNOWN");
}

/// A policy that fails to evaluate denies, even though Cedar skips it and
/// another policy permits.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_policy_denies() {
    let enclave = Enclave::with(Setup {
        policy: r#"
            @id("permit-all") permit (principal, action, resource);
            @id("forbid-that-overflows")
            forbid (principal, action == Action::"Sign", resource)
            when { principal has uid && (principal.uid + 1) * 9223372036854775807 + 1 > 0 };"#,
        ..Setup::default()
    })
    .await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let status = sign_refused(&enclave, share.sign_request(0)).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_FAILED");
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_shares_are_not_used() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let mut custody = enclave.custody().await;
    let request = proto::DisableShareRequest {
        share_id: share.id.clone(),
        expected_revision: 1,
        ..Default::default()
    };
    let disabled = custody.disable_share(request.clone()).await.unwrap().into_inner();
    assert_eq!(disabled.share.unwrap().revision, 2);
    let status = sign_refused(&enclave, share.sign_request(0)).await;
    assert_refused(&status, Code::FailedPrecondition, "SHARE_DISABLED");

    // The revision moved on: the same request again is refused, and changes nothing.
    let status = refused(&enclave, custody.disable_share(request)).await;
    assert_refused(&status, Code::Aborted, "REVISION_MISMATCH");
    assert!(status.get_error_details().retry_info().is_none());

    let enable = proto::EnableShareRequest {
        share_id: share.id.clone(),
        expected_revision: 0,
        ..Default::default()
    };
    let enabled = custody.enable_share(enable.clone()).await.unwrap().into_inner();
    assert_eq!(enabled.share.unwrap().revision, 3);
    let again = custody.enable_share(enable).await.unwrap().into_inner();
    assert_eq!(again.share.unwrap().revision, 3, "nothing to change");
    let mut client = enclave.client().await;
    client.sign(share.sign_request(0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn expectations_that_do_not_hold_are_refused() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::EcdsaSecp256k1).await;
    let request = with(&share, |request| {
        request.expected_address = request.share_id.clone();
    });
    let status = sign_refused(&enclave, request).await;
    assert_refused(&status, Code::FailedPrecondition, "ADDRESS_MISMATCH");
    // The checksum is part of the address: compared byte for byte.
    let request = with(&share, |request| {
        request.expected_address = share.address.to_lowercase();
    });
    let status = sign_refused(&enclave, request).await;
    assert_refused(&status, Code::FailedPrecondition, "ADDRESS_MISMATCH");
    let request = with(&share, |request| request.min_record_version = 2);
    let status = sign_refused(&enclave, request).await;
    assert_refused(&status, Code::FailedPrecondition, "RECORD_VERSION_TOO_OLD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passed_is_not_worked_for() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let mut client = bare_client(enclave.socket()).await;
    let mut request = Request::new(share.sign_request(0));
    request.metadata_mut().insert("grpc-timeout", "0n".parse().unwrap());
    let status = refused(&enclave, client.sign(request)).await;
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");

    let mut request = Request::new(share.sign_request(0));
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let status = refused(&enclave, client.sign(request)).await;
    assert_invalid(&status, "grpc-timeout");

    let mut request = Request::new(share.sign_request(0));
    request.set_timeout(Duration::from_secs(3));
    client.sign(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn request_ids_are_echoed_and_checked() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let mut client = enclave.client().await;
    let mut request = Request::new(share.sign_request(0));
    request.metadata_mut().insert("x-request-id", "order-4711".parse().unwrap());
    let answer = client.sign(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "order-4711");

    let mut request = Request::new(SignRequest::default());
    request.metadata_mut().insert("x-request-id", "order-4712".parse().unwrap());
    let status = refused(&enclave, client.sign(request)).await;
    let details = status.get_error_details();
    assert_eq!(details.request_info().unwrap().request_id, "order-4712");

    let mut request = Request::new(share.sign_request(0));
    request.metadata_mut().insert("x-request-id", "with space".parse().unwrap());
    let status = refused(&enclave, client.sign(request)).await;
    assert_invalid(&status, "x-request-id");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_unimplemented() {
    let enclave = Enclave::start().await;
    let channel = countersign::client::connect(&enclave.socket()).await.unwrap();
    // Custody is not on the application's socket.
    let mut custody = proto::share_custody_client::ShareCustodyClient::new(channel);
    let status = custody.list_shares(proto::ListSharesRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);

    // A call that this version does not have.
    let channel = countersign::client::connect(&enclave.socket()).await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/countersign.v1.SigningEnclave/Mint");
    let codec: tonic_prost::ProstCodec<SignRequest, proto::SignResponse> = Default::default();
    let call = client.unary(Request::new(SignRequest::default()), path, codec);
    assert_refused(&call.await.unwrap_err(), Code::Unimplemented, "UNSUPPORTED");
}
