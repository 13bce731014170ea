//! Every request that reaches policy has one record and one outcome, whatever becomes of
//! it, and what does not reach policy is counted.

use std::{
    fs,
    sync::atomic::Ordering,
    thread,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    audit::record::{Decision, Event, Outcome},
    client,
    key::{Algorithm, ShareId},
    proto,
};
use sha2::{Digest, Sha256};
use tonic::Request;

use super::Log;
use crate::support::enclave::{Enclave, Share, bare_client, digest};

/// A request under an id of its own.
fn named<T>(id: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-request-id", id.parse().unwrap());
    request
}

fn share_request(share: &Share) -> proto::GetPublicKeyRequest {
    proto::GetPublicKeyRequest { share_id: share.id.clone(), wallet_id: share.wallet.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_one_record_and_one_outcome() {
    let begun = SystemTime::now();
    let mut enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (mut client, mut custody) = (enclave.client().await, enclave.custody().await);
    let sign = |number| share.sign_request(number);

    let signed = client.sign(named("signed", sign(0))).await.unwrap().into_inner();
    let bare = proto::SignRequest { payload: digest(&[7; 32]), ..sign(0) };
    client.sign(named("denied", bare)).await.unwrap_err();
    let nowhere = ShareId::random().to_string();
    let unknown = proto::SignRequest { share_id: nowhere.clone(), ..sign(0) };
    client.sign(named("unknown", unknown)).await.unwrap_err();
    let der = proto::SignRequest { encoding: proto::SignatureEncoding::Der.into(), ..sign(0) };
    client.sign(named("unfit", der)).await.unwrap_err();
    let address = proto::SignRequest { expected_address: "elsewhere".to_owned(), ..sign(0) };
    client.sign(named("address", address)).await.unwrap_err();
    enclave.counts.panic_in_unwrap.store(true, Ordering::SeqCst);
    client.sign(named("panicked", sign(0))).await.unwrap_err();
    enclave.counts.slow_unwrap_ms.store(60_000, Ordering::SeqCst);
    let mut late = named("late", sign(0));
    late.set_timeout(Duration::from_millis(100));
    bare_client(enclave.socket()).await.sign(late).await.unwrap_err();
    enclave.counts.slow_unwrap_ms.store(0, Ordering::SeqCst);
    client.get_public_key(named("key", share_request(&share))).await.unwrap();

    custody.list_shares(named("list", proto::ListSharesRequest::default())).await.unwrap();
    let get = proto::GetShareRequest { share_id: share.id.clone() };
    custody.get_share(named("get", get)).await.unwrap();
    let again = proto::GenerateShareRequest {
        share_id: share.id.clone(),
        wallet_id: share.wallet.clone(),
        algorithm: share.algorithm.number().into(),
    };
    custody.generate_share(named("again", again)).await.unwrap_err();
    let disable = proto::DisableShareRequest {
        share_id: share.id.clone(),
        expected_revision: 0,
        ..Default::default()
    };
    custody.disable_share(named("disable", disable)).await.unwrap();
    client.sign(named("disabled", sign(0))).await.unwrap_err();
    let stale = proto::EnableShareRequest {
        share_id: share.id.clone(),
        expected_revision: 77,
        ..Default::default()
    };
    custody.enable_share(named("stale", stale)).await.unwrap_err();
    let enable = proto::EnableShareRequest {
        share_id: share.id.clone(),
        expected_revision: 0,
        ..Default::default()
    };
    custody.enable_share(named("enable", enable)).await.unwrap();

    for _ in 0..3 {
        let malformed = proto::SignRequest { share_id: "?".to_owned(), ..sign(0) };
        client.sign(named("malformed", malformed)).await.unwrap_err();
    }
    let database = enclave.dir.path().join("shares.db");
    assert!(database.exists());
    enclave.stop().await;

    let log = Log::read(&enclave.dir.path().join("audit"));
    let times: Vec<_> =
        log.records.iter().map(|record| record.time.moment().expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
    let happened = begun..=SystemTime::now();
    assert!(times.iter().all(|time| happened.contains(time)), "{happened:?}: {times:?}");
    let expected = [
        ("signed", "Sign", Outcome::Signed, None),
        ("denied", "SignDigest", Outcome::Denied, Some("POLICY_DENIED")),
        ("unknown", "Sign", Outcome::Denied, Some("POLICY_DENIED")),
        ("unfit", "Sign", Outcome::Failed, Some("PAYLOAD_UNFIT")),
        ("address", "Sign", Outcome::Failed, Some("ADDRESS_MISMATCH")),
        ("panicked", "Sign", Outcome::Failed, None),
        ("late", "Sign", Outcome::Cancelled, None),
        ("key", "GetPublicKey", Outcome::Done, None),
        ("list", "ListShares", Outcome::Done, None),
        ("get", "GetShare", Outcome::Done, None),
        ("again", "GenerateShare", Outcome::Failed, Some("SHARE_EXISTS")),
        ("disable", "DisableShare", Outcome::Done, None),
        ("disabled", "Sign", Outcome::Failed, Some("SHARE_DISABLED")),
        ("stale", "EnableShare", Outcome::Failed, Some("REVISION_MISMATCH")),
        ("enable", "EnableShare", Outcome::Done, None),
    ];
    for (id, action, outcome, reason) in expected {
        let [(_, request, ended)] = *log.of(id) else { panic!("{id}: {:?}", log.of(id)) };
        assert_eq!((&*request.action, ended.outcome), (action, outcome), "{id}: {ended:?}");
        assert_eq!(ended.reason.as_deref(), reason, "{id}");
        assert_eq!(request.caller, "app", "{id}");
        let denied = outcome == Outcome::Denied;
        let decision = if denied { Decision::Denied } else { Decision::Permitted };
        assert_eq!((request.decision, request.policies.is_empty()), (decision, denied), "{id}");
        assert!(ended.duration_us.is_some(), "{id}");
    }
    // And the one that made the share.
    assert_eq!(log.requests.len(), expected.len() + 1);

    let [(_, request, ended)] = *log.of("signed") else { panic!() };
    let of = |bytes: &[u8]| Some(<[u8; 32]>::from(Sha256::digest(bytes)).into());
    let Some(proto::payload::Kind::Message(message)) = share.payload(0).kind else { panic!() };
    assert_eq!(request.payload_digest, of(&message));
    assert_eq!(ended.signature, of(&signed.signature.unwrap().value));
    assert_eq!(request.share.as_deref(), Some(&*share.id));
    assert_eq!(request.wallet.as_deref(), Some(&*share.wallet));
    assert_eq!(request.algorithm.as_deref(), Some("ed25519"));
    assert_eq!((request.record_version, ended.kek_version), (Some(1), Some(1)));
    assert_eq!(request.payload_kind.as_deref(), Some("message"));
    assert_eq!(request.policies, ["app-uses-shares"]);
    let [(_, request, _)] = *log.of("unknown") else { panic!() };
    assert_eq!(request.share, Some(nowhere));

    let refused: Vec<_> = log
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Refused(refused) => Some((refused.caller.as_deref(), &*refused.reason)),
            _ => None,
        })
        .collect();
    assert!(
        !refused.is_empty() && refused.iter().all(|one| *one == (Some("app"), "INVALID_REQUEST"))
    );
    let counts = log.records.iter().map(|record| match &record.event {
        Event::Refused(refused) => refused.count,
        _ => 0,
    });
    assert_eq!(counts.sum::<u64>(), 3);
    let policies =
        log.records.iter().filter(|record| matches!(record.event, Event::Policies { .. }));
    assert_eq!(policies.count(), 1);
    assert_eq!(log.records.last().unwrap().event, Event::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_has_a_record() {
    let mut enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let mut client = enclave.client().await;
    let frames = [share.open()].into_iter().chain((1..=40).map(|id| share.frame(id)));
    let frames: Vec<_> = frames.collect();
    let stream = named("stream", tokio_stream::iter(frames));
    let mut answers = client.use_share(stream).await.unwrap().into_inner();
    let mut signatures = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        if let Some(proto::use_share_response::Frame::Signed(frame)) = answer.frame {
            signatures.push(frame.signature.unwrap().value);
        }
    }
    let mut denied = share.frame(2);
    let Some(proto::use_share_request::Frame::Sign(sign)) = &mut denied.frame else { panic!() };
    sign.payload = digest(&[7; 32]);
    let frames = [share.open(), share.frame(1), denied, share.frame(3)];
    let stream = named("denied", tokio_stream::iter(frames));
    let mut answers = client.use_share(stream).await.unwrap().into_inner();
    while answers.message().await.is_ok_and(|answer| answer.is_some()) {}
    // Its connection ends while its share is open.
    let (socket, open) = (enclave.socket(), share.open());
    let vanishing = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (frames, kept) = tokio::sync::mpsc::channel(1);
            frames.send(open).await.unwrap();
            let kept = tokio_stream::wrappers::ReceiverStream::new(kept);
            let mut client = client::enclave(&socket).await.unwrap();
            let answers = client.use_share(named("given-up", kept)).await.unwrap();
            answers.into_inner().message().await.unwrap();
        });
    };
    thread::spawn(vanishing).join().unwrap();
    while enclave.signing.enclave.pool().free() < enclave.slots {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    enclave.stop().await;

    let log = Log::read(&enclave.dir.path().join("audit"));
    let ends = |id: &str| {
        let ends = log.of(id).into_iter().map(|(seq, request, ended)| {
            (seq, request.stream, &*request.action, ended.outcome, ended.reason.as_deref())
        });
        ends.collect::<Vec<_>>()
    };
    let stream = ends("stream");
    let opened = stream[0].0;
    assert_eq!(stream[0], (opened, None, "UseShare", Outcome::Done, None));
    assert_eq!(stream.len(), 41);
    for (_, of, action, outcome, _) in &stream[1..] {
        assert_eq!((*of, *action, *outcome), (Some(opened), "Sign", Outcome::Signed));
    }
    assert_eq!(signatures.len(), 40);
    let mut recorded: Vec<_> =
        log.of("stream").into_iter().filter_map(|(_, _, ended)| ended.signature.clone()).collect();
    let of = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes)).into();
    let mut held: Vec<_> = signatures.iter().map(|bytes| of(bytes)).collect();
    recorded.sort();
    held.sort();
    assert_eq!(recorded, held);

    let denied = ends("denied");
    let opened = denied[0].0;
    assert_eq!(denied[0], (opened, None, "UseShare", Outcome::Denied, Some("POLICY_DENIED")));
    let mut frames: Vec<_> = denied[1..].iter().map(|end| (end.1, end.2, end.3)).collect();
    frames.sort_by_key(|(_, action, _)| *action);
    let expected =
        [(Some(opened), "Sign", Outcome::Signed), (Some(opened), "SignDigest", Outcome::Denied)];
    assert_eq!(frames, expected);
    let [(_, None, "UseShare", Outcome::Cancelled, None)] = *ends("given-up") else {
        panic!("{:?}", ends("given-up"));
    };
}

/// No payload and no key, in any form; digests of payloads are there.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_recorded() {
    let mut enclave = Enclave::start().await;
    let mut client = enclave.client().await;
    // The log has a bare digest as it is, which is all that ECDSA secp256k1 is sent here.
    for algorithm in Algorithm::ALL.into_iter().filter(|one| *one != Algorithm::EcdsaSecp256k1) {
        let share = enclave.share(algorithm).await;
        client.sign(share.sign_request(0)).await.unwrap();
        let frames = tokio_stream::iter([share.open(), share.frame(1)]);
        let mut answers = client.use_share(frames).await.unwrap().into_inner();
        while answers.message().await.unwrap().is_some() {}
    }
    enclave.stop().await;
    let mut log = Vec::new();
    for file in fs::read_dir(enclave.dir.path().join("audit")).unwrap() {
        log.extend(fs::read(file.unwrap().path()).unwrap());
    }
    let kek = fs::read(enclave.dir.path().join("kek")).unwrap();
    let is_there = |needle: &[u8]| log.windows(needle.len()).any(|window| window == needle);
    for secret in [b"padded to thirty-two".as_slice(), &kek, &kek[..12]] {
        // In base64 whatever stands before it: of what lies between two borders.
        let forms = [
            secret.to_vec(),
            hex::encode(secret).into_bytes(),
            STANDARD.encode(&secret[..secret.len() / 3 * 3]).into_bytes(),
            STANDARD.encode(&secret[1..1 + (secret.len() - 1) / 3 * 3]).into_bytes(),
            STANDARD.encode(&secret[2..2 + (secret.len() - 2) / 3 * 3]).into_bytes(),
        ];
        for form in forms {
            assert!(!is_there(&form), "{}", String::from_utf8_lossy(&form));
        }
    }
    assert!(is_there(b"payload_digest") && is_there(b"wallet-1"));
}
