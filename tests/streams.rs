//! The ends of a stream: each has its own status, what was accepted before is
//! answered, and the share is wiped.

use std::{sync::atomic::Ordering, time::Duration};

use countersign::{
    config::{KmsConfig, Limits, StoreConfig},
    key::{Algorithm, ShareState},
    proto::{self, use_share_request, use_share_response::Frame},
    store::{ShareStore, directory::Backup},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use crate::support::{
    enclave::{Enclave, PERMISSIVE, Setup, Share, digest, frame, message},
    permits,
    refused::{assert_invalid, assert_refused, assert_unfit},
};

type Frames = mpsc::Sender<proto::UseShareRequest>;
type Answers = Streaming<proto::UseShareResponse>;

/// A stream that stays open until the sender is dropped.
async fn stream(enclave: &Enclave) -> (Frames, Answers) {
    let (frames, received) = mpsc::channel(1024);
    let mut client = enclave.client().await;
    let answers = client.use_share(ReceiverStream::new(received)).await.unwrap();
    (frames, answers.into_inner())
}

async fn opened(enclave: &Enclave, share: &Share) -> (Frames, Answers) {
    let (frames, mut answers) = stream(enclave).await;
    frames.send(share.open()).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    assert!(matches!(first.frame, Some(Frame::Opened(_))));
    (frames, answers)
}

/// Reads to the end: the ids that were signed, and the status.
async fn rest(answers: &mut Answers) -> (Vec<u64>, Result<(), Status>) {
    let mut ids = Vec::new();
    loop {
        match timeout(Duration::from_secs(10), answers.message()).await.expect("it ends") {
            Ok(Some(answer)) => match answer.frame {
                Some(Frame::Signed(signed)) => ids.push(signed.id),
                other => panic!("{other:?}"),
            },
            Ok(None) => return (ids, Ok(())),
            Err(status) => return (ids, Err(status)),
        }
    }
}

/// A file that says less revisions than the one before it is no late answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_file_of_a_directory_ends_a_stream() {
    let maker = Enclave::start().await;
    let share = maker.share(Algorithm::Ed25519).await;
    let (id, store) = (share.id.parse().unwrap(), &maker.signing.store);
    for (state, revision) in [(ShareState::Disabled, 1), (ShareState::Enabled, 2)] {
        store.set_state(id, state, revision.into()).await.unwrap();
    }
    let described = store.describe(id).await.unwrap().unwrap();
    let record = store.fetch(permits::to_open(&described).opening()).await.unwrap();
    let mut record = record.unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_owned();
    Backup::open(&path).unwrap().put(&record, None).await.unwrap();
    let kek_file = maker.dir.path().join("kek");
    let enclave = Enclave::with(Setup {
        store: Some(StoreConfig::Directory { path }),
        kms: Some(KmsConfig::Local { kek_file }),
        ..Setup::default()
    })
    .await;
    let (_frames, mut answers) = opened(&enclave, &share).await;
    record.description.revision = 1.into();
    record.description.state = ShareState::Disabled;
    Backup::open(home.path()).unwrap().put(&record, Some(3.into())).await.unwrap();
    let (signed, end) = rest(&mut answers).await;
    assert_eq!(signed, [0; 0]);
    assert_refused(&end.unwrap_err(), Code::FailedPrecondition, "SHARE_DISABLED");
}

/// Waits until every slot but the KEK's is free: the share is wiped.
async fn wiped(enclave: &Enclave) {
    let pool = enclave.signing.enclave.pool();
    for _ in 0..500 {
        if pool.free() == enclave.slots {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of {} slots are free", pool.free(), enclave.slots);
}

fn limited(change: impl FnOnce(&mut Limits)) -> Setup {
    let mut limits = Limits::default();
    change(&mut limits);
    Setup { limits, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_open() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let before = enclave.counts.uses();

    let (frames, mut answers) = stream(&enclave).await;
    frames.send(share.frame(1)).await.unwrap();
    let (ids, end) = rest(&mut answers).await;
    assert!(ids.is_empty());
    assert_refused(&end.unwrap_err(), Code::InvalidArgument, "STREAM_NOT_OPENED");

    let (frames, mut answers) = stream(&enclave).await;
    drop(frames);
    let (_, end) = rest(&mut answers).await;
    assert_refused(&end.unwrap_err(), Code::InvalidArgument, "STREAM_NOT_OPENED");

    let (frames, mut answers) = stream(&enclave).await;
    frames.send(proto::UseShareRequest { frame: None }).await.unwrap();
    let (_, end) = rest(&mut answers).await;
    assert_invalid(&end.unwrap_err(), "frame");

    let (frames, mut answers) = stream(&enclave).await;
    let open = proto::OpenFrame { share_id: share.id.clone(), ..Default::default() };
    frames.send(frame(use_share_request::Frame::Open(open))).await.unwrap();
    let (_, end) = rest(&mut answers).await;
    assert_invalid(&end.unwrap_err(), "wallet_id");
    assert_eq!(enclave.counts.uses(), before, "nothing was fetched or unwrapped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_may_not_be_used_is_not_opened() {
    let enclave = Enclave::with(Setup {
        policy: r#"@id("no-streams") permit (principal, action in
            [Action::"Sign", Action::"GenerateShare"], resource);"#,
        ..Setup::default()
    })
    .await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let before = enclave.counts.uses();
    let (frames, mut answers) = stream(&enclave).await;
    frames.send(share.open()).await.unwrap();
    let (_, end) = rest(&mut answers).await;
    assert_refused(&end.unwrap_err(), Code::PermissionDenied, "POLICY_DENIED");
    assert_eq!(enclave.counts.uses(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_open_ends_the_stream_after_what_was_accepted() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &share).await;
    for id in [1, 2, 3] {
        frames.send(share.frame(id)).await.unwrap();
    }
    frames.send(share.open()).await.unwrap();
    // The stream may be over by now.
    let _ = frames.send(share.frame(4)).await;
    let (ids, end) = rest(&mut answers).await;
    assert_eq!(ids, [1, 2, 3]);
    assert_refused(&end.unwrap_err(), Code::InvalidArgument, "STREAM_OPENED_TWICE");
    wiped(&enclave).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_frame_is_named_and_ends_the_stream() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::EcdsaSecp256k1).await;
    let sign = |id, payload, encoding| {
        frame(use_share_request::Frame::Sign(proto::SignFrame { id, payload, encoding }))
    };
    let bad = [
        (sign(9, None, 0), "payload"),
        (sign(9, digest(&[1; 31]), 0), "payload.digest"),
        (sign(9, message(&[]), 0), "payload.message"),
        (sign(9, digest(&[1; 32]), 3), "encoding"),
    ];
    for (bad, field) in bad {
        let (frames, mut answers) = opened(&enclave, &share).await;
        frames.send(share.frame(8)).await.unwrap();
        frames.send(bad).await.unwrap();
        let (ids, end) = rest(&mut answers).await;
        assert_eq!(ids, [8]);
        let status = end.unwrap_err();
        assert_invalid(&status, field);
        assert!(status.message().starts_with("frame 9: "), "{}", status.message());
    }
    // A payload of a kind that the caller may not sign, and one that does not fit.
    let ed25519 = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &ed25519).await;
    frames.send(sign(1, digest(&[1; 32]), 0)).await.unwrap();
    let (_, end) = rest(&mut answers).await;
    assert_refused(&end.unwrap_err(), Code::PermissionDenied, "POLICY_DENIED");
    let schnorr = enclave.share(Algorithm::SchnorrSecp256k1).await;
    let (frames, mut answers) = opened(&enclave, &schnorr).await;
    frames.send(sign(1, message(&[1; 31]), 0)).await.unwrap();
    let (_, end) = rest(&mut answers).await;
    assert_unfit(&end.unwrap_err(), "payload");
    wiped(&enclave).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_ends() {
    let enclave = Enclave::with(limited(|limits| {
        limits.session.idle = Duration::from_millis(200);
    }))
    .await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &share).await;
    frames.send(share.frame(1)).await.unwrap();
    let (ids, end) = rest(&mut answers).await;
    assert_eq!(ids, [1]);
    assert_refused(&end.unwrap_err(), Code::DeadlineExceeded, "STREAM_IDLE");
    wiped(&enclave).await;

    // A stream that never opens is idle, too.
    let (_frames, mut answers) = stream(&enclave).await;
    let (_, end) = rest(&mut answers).await;
    assert_refused(&end.unwrap_err(), Code::DeadlineExceeded, "STREAM_IDLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_stream_ends_with_its_lifetime() {
    let enclave = Enclave::with(limited(|limits| {
        limits.session.lifetime = Duration::from_millis(400);
    }))
    .await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &share).await;
    let busy = tokio::spawn(async move {
        for id in 0.. {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if frames.send(share.frame(id)).await.is_err() {
                return;
            }
        }
    });
    let (ids, end) = rest(&mut answers).await;
    assert!(ids.len() > 3, "{ids:?}");
    assert_refused(&end.unwrap_err(), Code::DeadlineExceeded, "STREAM_LIFETIME");
    busy.abort();
    wiped(&enclave).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_deadline_ends_a_stream() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, received) = mpsc::channel(8);
    let mut client = enclave.client().await;
    let mut request = Request::new(ReceiverStream::new(received));
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let mut answers = client.use_share(request).await.unwrap().into_inner();
    frames.send(share.open()).await.unwrap();
    answers.message().await.unwrap().unwrap();
    let (_, end) = rest(&mut answers).await;
    assert_refused(&end.unwrap_err(), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    wiped(&enclave).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_so_many_operations() {
    let enclave = Enclave::with(limited(|limits| limits.session.operations = 5)).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &share).await;
    for id in 0..9 {
        // The stream may be over before the last.
        let _ = frames.send(share.frame(id)).await;
    }
    let (ids, end) = rest(&mut answers).await;
    assert_eq!(ids, [0, 1, 2, 3, 4]);
    assert_refused(&end.unwrap_err(), Code::ResourceExhausted, "STREAM_OPERATIONS");
    wiped(&enclave).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_leaves_nothing_open() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, answers) = opened(&enclave, &share).await;
    let pool = enclave.signing.enclave.pool();
    assert_eq!(pool.free(), enclave.slots - 1, "the open share");
    for id in 0..100 {
        frames.send(share.frame(id)).await.unwrap();
    }
    drop((frames, answers));
    wiped(&enclave).await;
}

/// A client that sends and never reads: the share is closed with the lifetime.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_keeps_nothing_open() {
    let enclave = Enclave::with(limited(|limits| {
        limits.session.lifetime = Duration::from_millis(500);
        limits.session.in_flight = 16;
    }))
    .await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, answers) = opened(&enclave, &share).await;
    let flood = tokio::spawn(async move {
        for id in 0.. {
            if frames.send(share.frame(id)).await.is_err() {
                return;
            }
        }
    });
    wiped(&enclave).await;
    drop(answers);
    flood.abort();
}

/// A slow reader is waited for, not cut off: answers that do not fit are not lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_every_answer() {
    let enclave = Enclave::with(limited(|limits| limits.session.in_flight = 4)).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &share).await;
    let sender = tokio::spawn(async move {
        for id in 0..2000 {
            frames.send(share.frame(id)).await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (ids, end) = rest(&mut answers).await;
    end.unwrap();
    assert_eq!(ids, (0..2000).collect::<Vec<_>>());
    sender.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_streams_after_what_was_accepted() {
    let mut enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &share).await;
    frames.send(share.frame(1)).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    assert!(matches!(first.frame, Some(Frame::Signed(_))));
    enclave.drain();
    let (_, end) = rest(&mut answers).await;
    assert_refused(&end.unwrap_err(), Code::Unavailable, "SHUTTING_DOWN");
    wiped(&enclave).await;
    drop(frames);
    timeout(Duration::from_secs(5), enclave.stop()).await.expect("nothing is left to wait for");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_after_half_close_cannot_be() {
    // HTTP/2 forbids them (RFC 9113 §5.1, half-closed); what arrived before is
    // answered, then the stream ends with OK.
    let enclave = Enclave::with(Setup { policy: PERMISSIVE, ..Setup::default() }).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &share).await;
    for id in 0..50 {
        frames.send(share.frame(id)).await.unwrap();
    }
    drop(frames);
    let (ids, end) = rest(&mut answers).await;
    end.unwrap();
    assert_eq!(ids.len(), 50);
    wiped(&enclave).await;
}

/// An operator's kill switch: open streams end, too.
#[tokio::test(flavor = "multi_thread")]
async fn disabling_a_share_ends_its_streams() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let other = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = opened(&enclave, &share).await;
    let (_others, mut other_answers) = opened(&enclave, &other).await;
    frames.send(share.frame(1)).await.unwrap();
    let request = proto::DisableShareRequest {
        share_id: share.id.clone(),
        expected_revision: 0,
        ..Default::default()
    };
    let begun = std::time::Instant::now();
    enclave.custody().await.disable_share(request).await.unwrap();
    let (ids, end) = rest(&mut answers).await;
    assert_eq!(ids, [1]);
    assert_refused(&end.unwrap_err(), Code::FailedPrecondition, "SHARE_DISABLED");
    assert!(begun.elapsed() < Duration::from_secs(3));
    let quiet = timeout(Duration::from_millis(100), other_answers.message()).await;
    assert!(quiet.is_err(), "the other stream goes on");
}

/// On the instance that disabled it not one frame is answered any more, however many come
/// at once; the poll would be too late for that.
#[tokio::test(flavor = "multi_thread")]
async fn after_disabling_no_frame_is_answered() {
    let enclave = Enclave::start().await;
    let mut custody = enclave.custody().await;
    for _ in 0..10 {
        let share = enclave.share(Algorithm::Ed25519).await;
        let (frames, mut answers) = opened(&enclave, &share).await;
        frames.send(share.frame(1)).await.unwrap();
        answers.message().await.unwrap().unwrap();
        let request =
            proto::DisableShareRequest { share_id: share.id.clone(), ..Default::default() };
        custody.disable_share(request).await.unwrap();
        for id in 2..5 {
            let _ = frames.send(share.frame(id)).await;
        }
        let (ids, end) = rest(&mut answers).await;
        assert_eq!(ids, [0; 0]);
        assert_refused(&end.unwrap_err(), Code::FailedPrecondition, "SHARE_DISABLED");
    }
}

/// However many streams there are, the store is asked once a second, and for all of them;
/// without any, not at all.
#[tokio::test(flavor = "multi_thread")]
async fn one_poll_serves_every_stream() {
    let enclave = Enclave::start().await;
    let polls = || enclave.counts.refreshed.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(polls(), 0);
    let mut streams = Vec::new();
    for algorithm in Algorithm::ALL {
        let share = enclave.share(algorithm).await;
        for _ in 0..4 {
            streams.push(opened(&enclave, &share).await);
        }
    }
    let (before, begun) = (polls(), std::time::Instant::now());
    while polls() < before + 3 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the store is not asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A poll at the beginning and one a second.
    assert!(polls() - before <= begun.elapsed().as_secs() as usize + 1);
    drop(streams);
}

/// Policies may lower the limits; of several that permit, the lowest counts.
#[tokio::test(flavor = "multi_thread")]
async fn policy_lowers_the_limits_of_a_stream() {
    let enclave = Enclave::with(Setup {
        policy: r#"
            @id("everything") permit (principal, action, resource);
            @id("short") @max_idle("300ms") @max_lifetime("9m") @max_operations("7")
            permit (principal, action == Action::"UseShare", resource);
            @id("shorter") @max_operations("3")
            permit (principal, action == Action::"UseShare", resource);
            @id("of no concern") @max_operations("1")
            permit (principal == Caller::"other", action == Action::"UseShare", resource);"#,
        ..Setup::default()
    })
    .await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = stream(&enclave).await;
    frames.send(share.open()).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    let Some(Frame::Opened(limits)) = first.frame else { panic!("opened comes first") };
    assert_eq!(
        (limits.idle_timeout_ms, limits.lifetime_ms, limits.max_operations),
        (300, 300_000, 3)
    );
    for id in 0..4 {
        frames.send(share.frame(id)).await.unwrap();
    }
    let (ids, end) = rest(&mut answers).await;
    assert_eq!(ids, [0, 1, 2]);
    assert_refused(&end.unwrap_err(), Code::ResourceExhausted, "STREAM_OPERATIONS");
}

#[test]
fn limits_that_are_none_are_refused_at_loading() {
    for annotation in ["@max_idle(\"soon\")", "@max_lifetime(\"0s\")", "@max_operations(\"0\")"] {
        let source = format!("@id(\"p\") {annotation} permit (principal, action, resource);");
        let problems = countersign::policy::Policy::parse([("p.cedar", &*source)]).err().unwrap();
        assert!(problems[0].problem.starts_with(annotation.split('(').next().unwrap()));
    }
}
