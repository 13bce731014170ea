//! Rates: exactly what a bucket holds passes, and what is refused fetches, unwraps
//! and signs nothing. Buckets here get a token back per hour, so that no test
//! depends on how fast it runs.

use std::{num::NonZeroU32, time::Duration};

use countersign::{
    config::Limits,
    key::{Algorithm, ShareId},
    proto::{self, GetPublicKeyRequest, use_share_response::Frame},
    rate::{Quota, RateLimits},
};
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    refusals::refused,
    support::{
        enclave::{Enclave, PERMISSIVE, Setup, Share, app_caller, digest},
        refused::{assert_refused, assert_unfit},
    },
};

fn hourly(burst: u32) -> Option<Quota> {
    let hourly = Quota::with_period(Duration::from_secs(3600)).unwrap();
    Some(hourly.allow_burst(NonZeroU32::new(burst).unwrap()))
}

fn limited(caller: Option<Quota>, share: Option<Quota>) -> Setup {
    let rates = RateLimits { caller, share };
    Setup { limits: Limits { rates, ..Limits::default() }, ..Setup::default() }
}

/// Asserts the refusal of a rate; gives the time after which to call again.
#[track_caller]
fn assert_too_fast(status: &Status, reason: &str) -> Duration {
    assert_refused(status, Code::ResourceExhausted, reason);
    let details = status.get_error_details();
    let wait = details.retry_info().and_then(|info| info.retry_delay).expect("it says when");
    assert!(wait >= Duration::from_millis(1));
    wait
}

async fn sign(enclave: &Enclave, share: &Share) -> Result<(), Status> {
    let signed = enclave.client().await.sign(share.sign_request(0)).await;
    signed.map(drop)
}

async fn sign_refused(enclave: &Enclave, request: proto::SignRequest) -> Status {
    let mut client = enclave.client().await;
    refused(enclave, client.sign(request)).await
}

async fn public_key(enclave: &Enclave, share: &Share) -> Result<(), Status> {
    let request =
        GetPublicKeyRequest { share_id: share.id.clone(), wallet_id: share.wallet.clone() };
    enclave.client().await.get_public_key(request).await.map(drop)
}

/// Opens the share and has so many frames signed: the ids that were, and the end.
async fn stream(enclave: &Enclave, share: &Share, frames: u64) -> (Vec<u64>, Result<(), Status>) {
    let open = std::iter::once(share.open());
    let frames: Vec<_> = open.chain((0..frames).map(|id| share.frame(id))).collect();
    let answers = enclave.client().await.use_share(tokio_stream::iter(frames)).await;
    let mut answers = match answers {
        Ok(answers) => answers.into_inner(),
        Err(status) => return (Vec::new(), Err(status)),
    };
    let mut ids = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer.map(|answer| answer.frame.unwrap()) {
            Ok(Frame::Opened(_)) => {}
            Ok(Frame::Signed(signed)) => ids.push(signed.id),
            Err(status) => return (ids, Err(status)),
        }
    }
    (ids, Ok(()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_counts_against_its_caller() {
    // One to make the share, on the operators' socket.
    let enclave = Enclave::with(limited(hourly(1 + 3), None)).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    sign(&enclave, &share).await.unwrap();
    public_key(&enclave, &share).await.unwrap();
    let (ids, end) = stream(&enclave, &share, 0).await;
    assert!(ids.is_empty() && end.is_ok(), "{end:?}");

    let described = || enclave.counts.described.load(std::sync::atomic::Ordering::SeqCst);
    let before = described();
    assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "CALLER_RATE");
    // What makes no sense is not looked at, either.
    assert_too_fast(&sign_refused(&enclave, Default::default()).await, "CALLER_RATE");
    assert_too_fast(&public_key(&enclave, &share).await.unwrap_err(), "CALLER_RATE");
    let (_, end) = stream(&enclave, &share, 1).await;
    assert_too_fast(&end.unwrap_err(), "CALLER_RATE");
    let mut custody = enclave.custody().await;
    let list = custody.list_shares(proto::ListSharesRequest::default());
    assert_too_fast(&refused(&enclave, list).await, "CALLER_RATE");
    assert_eq!(described(), before, "the store is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_have_a_rate_of_its_own() {
    let mut caller = app_caller();
    caller.rate = hourly(1 + 2);
    let callers = [caller].into_iter().collect();
    let enclave = Enclave::with(Setup { callers, ..limited(hourly(100), None) }).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    for _ in 0..2 {
        sign(&enclave, &share).await.unwrap();
    }
    assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "CALLER_RATE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_signs_so_often_and_others_are_not_affected() {
    let enclave = Enclave::with(limited(None, hourly(3))).await;
    let [share, other] =
        [enclave.share(Algorithm::Ed25519).await, enclave.share(Algorithm::EcdsaP256).await];
    for _ in 0..3 {
        sign(&enclave, &share).await.unwrap();
    }
    assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "SHARE_RATE");
    for _ in 0..3 {
        sign(&enclave, &other).await.unwrap();
    }
    assert_too_fast(&sign_refused(&enclave, other.sign_request(0)).await, "SHARE_RATE");
    // Reading is not signing.
    public_key(&enclave, &share).await.unwrap();
    let text = enclave.signing.metrics.encode().unwrap();
    assert!(text.contains("countersign_rate_refusals_total{limit=\"share\"} 2\n"), "{text}");
    assert!(text.contains("countersign_rate_refusals_total{limit=\"caller\"} 0\n"), "{text}");
}

/// A stream is no way around a share's rate; what was signed before stands.
#[tokio::test(flavor = "multi_thread")]
async fn frames_take_from_their_share() {
    let enclave = Enclave::with(limited(None, hourly(5))).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    sign(&enclave, &share).await.unwrap();
    let (ids, end) = stream(&enclave, &share, 100).await;
    assert_eq!(ids, [0, 1, 2, 3]);
    let status = end.unwrap_err();
    assert_too_fast(&status, "SHARE_RATE");
    assert!(status.message().starts_with("frame 4: "), "{}", status.message());
    assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "SHARE_RATE");
    // Opening signs nothing.
    let (ids, end) = stream(&enclave, &share, 0).await;
    assert!(ids.is_empty() && end.is_ok(), "{end:?}");
}

/// Nor around a caller's.
#[tokio::test(flavor = "multi_thread")]
async fn frames_take_from_their_caller() {
    // One to make the share, one to open it.
    let enclave = Enclave::with(limited(hourly(1 + 1 + 3), None)).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (ids, end) = stream(&enclave, &share, 100).await;
    assert_eq!(ids, [0, 1, 2]);
    let status = end.unwrap_err();
    assert_too_fast(&status, "CALLER_RATE");
    assert!(status.message().starts_with("frame 3: "), "{}", status.message());
    assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "CALLER_RATE");
}

/// Nor does who is denied learn that a share's rate is used up.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_permitted_takes_nothing_from_a_share() {
    let enclave = Enclave::with(limited(None, hourly(3))).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let with = |change: &dyn Fn(&mut proto::SignRequest)| {
        let mut request = share.sign_request(0);
        change(&mut request);
        request
    };
    let denied = with(&|request| request.payload = digest(&[1; 32]));
    let elsewhere = with(&|request| request.wallet_id = "wallet-2".into());
    let unknown = with(&|request| request.share_id = ShareId::random().to_string());
    let unfit = with(&|request| request.set_encoding(proto::SignatureEncoding::Der));
    let other = with(&|request| request.expected_address = "another".into());
    let newer = with(&|request| request.min_record_version = 9);
    let all_refused = async || {
        for request in [&denied, &elsewhere, &unknown] {
            let status = sign_refused(&enclave, request.clone()).await;
            assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
        }
        assert_unfit(&sign_refused(&enclave, unfit.clone()).await, "encoding");
        let status = sign_refused(&enclave, other.clone()).await;
        assert_refused(&status, Code::FailedPrecondition, "ADDRESS_MISMATCH");
        let status = sign_refused(&enclave, newer.clone()).await;
        assert_refused(&status, Code::FailedPrecondition, "RECORD_VERSION_TOO_OLD");
    };
    for _ in 0..3 {
        all_refused().await;
    }
    for _ in 0..3 {
        sign(&enclave, &share).await.unwrap();
    }
    assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "SHARE_RATE");
    all_refused().await;
}

/// A frame that policy denies takes nothing from the share.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_not_permitted_takes_nothing_from_its_share() {
    let enclave = Enclave::with(Setup { policy: PERMISSIVE, ..limited(None, hourly(3)) }).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    for _ in 0..5 {
        let sign = proto::SignFrame { id: 7, payload: digest(&[1; 32]), ..Default::default() };
        let sign = proto::use_share_request::Frame::Sign(sign);
        let frames = [share.open(), proto::UseShareRequest { frame: Some(sign) }];
        let mut client = enclave.client().await;
        let answers = client.use_share(tokio_stream::iter(frames)).await.unwrap().into_inner();
        let end = answers.collect::<Vec<_>>().await.pop().unwrap().unwrap_err();
        assert_refused(&end, Code::PermissionDenied, "POLICY_DENIED");
    }
    let (ids, end) = stream(&enclave, &share, 4).await;
    assert_eq!(ids, [0, 1, 2]);
    assert_too_fast(&end.unwrap_err(), "SHARE_RATE");
}

/// The caller's bucket is asked first: what the share's refuses has spent a token
/// of the caller, and what the caller's refuses takes none of the share.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_limits_the_callers_comes_first() {
    let enclave = Enclave::with(limited(hourly(1 + 4), hourly(2))).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    for _ in 0..2 {
        sign(&enclave, &share).await.unwrap();
    }
    for _ in 0..2 {
        assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "SHARE_RATE");
    }
    assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "CALLER_RATE");

    let enclave = Enclave::with(limited(hourly(1 + 1), hourly(3))).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    sign(&enclave, &share).await.unwrap();
    for _ in 0..5 {
        assert_too_fast(&sign_refused(&enclave, share.sign_request(0)).await, "CALLER_RATE");
    }
    let rates = &enclave.signing.rates;
    let left = (0..5).filter(|_| rates.take_signature(share.id.parse().unwrap()).is_ok());
    assert_eq!(left.count(), 2);
}

/// The wait that is told is true: nothing passes before, and the next one after.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_told_time_the_call_passes() {
    let slow = Quota::with_period(Duration::from_secs(2)).unwrap();
    let enclave = Enclave::with(limited(None, Some(slow))).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    for _ in 0..2 {
        let status = loop {
            // On a slow machine a token may be there again by the next call.
            if let Err(status) = sign(&enclave, &share).await {
                break status;
            }
        };
        let wait = assert_too_fast(&status, "SHARE_RATE");
        assert!(wait <= Duration::from_secs(2), "{wait:?}");
        sleep(wait).await;
        sign(&enclave, &share).await.unwrap();
    }
}
