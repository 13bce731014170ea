//! The end of a share: disabled, waiting, destroyed; each step with its reason in the log,
//! and nothing of the envelope left in the file.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use countersign::{
    audit::{
        reader::{Found, Reader},
        record::{Event, Request},
    },
    key::{Algorithm, ShareId},
    proto,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    refusals::refused,
    support::{
        enclave::{Enclave, Setup, Share},
        refused::{assert_invalid, assert_refused},
    },
};

const WHY: &str = "the customer left";

async fn disable(enclave: &Enclave, share: &Share) -> proto::Share {
    let request = proto::DisableShareRequest { share_id: share.id.clone(), ..Default::default() };
    let disabled = enclave.custody().await.disable_share(request).await;
    disabled.unwrap().into_inner().share.unwrap()
}

async fn schedule(enclave: &Enclave, share: &Share) -> Result<proto::Share, Status> {
    let request = proto::ScheduleDestructionRequest {
        share_id: share.id.clone(),
        reason: WHY.to_owned(),
        ..Default::default()
    };
    let scheduled = enclave.custody().await.schedule_destruction(request).await?;
    Ok(scheduled.into_inner().share.unwrap())
}

fn destroy(share: &Share) -> proto::DestroyShareRequest {
    proto::DestroyShareRequest {
        share_id: share.id.clone(),
        reason: WHY.to_owned(),
        ..Default::default()
    }
}

async fn not_destroyed(enclave: &Enclave, request: proto::DestroyShareRequest) -> Status {
    let mut custody = enclave.custody().await;
    refused(enclave, custody.destroy_share(request)).await
}

/// Every reason in the log, with the action that it was given for.
fn reasons(enclave: &Enclave) -> Vec<(String, String)> {
    let mut reader = Reader::new(&enclave.dir.path().join("audit"));
    let mut reasons = Vec::new();
    while let Some(Found::Record(record)) = reader.advance().unwrap() {
        if let Event::Request(request) = record.event
            && let Request { action, why: Some(why), .. } = *request
        {
            reasons.push((action, why));
        }
    }
    reasons
}

#[tokio::test(flavor = "multi_thread")]
async fn in_two_steps_with_a_reason_each() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    // Neither step is taken with a share that is in use.
    let mut custody = enclave.custody().await;
    let scheduling = proto::ScheduleDestructionRequest {
        share_id: share.id.clone(),
        reason: WHY.to_owned(),
        ..Default::default()
    };
    let status = refused(&enclave, custody.schedule_destruction(scheduling)).await;
    assert_refused(&status, Code::FailedPrecondition, "SHARE_ENABLED");
    let status = not_destroyed(&enclave, destroy(&share)).await;
    assert_refused(&status, Code::FailedPrecondition, "SHARE_ENABLED");
    // Nor is the second without the first.
    disable(&enclave, &share).await;
    let status = not_destroyed(&enclave, destroy(&share)).await;
    assert_refused(&status, Code::FailedPrecondition, "DESTRUCTION_NOT_DUE");
    let waiting = schedule(&enclave, &share).await.unwrap();
    assert!(SystemTime::try_from(waiting.destroy_after.unwrap()).unwrap() <= SystemTime::now());
    // Repeated it changes nothing.
    assert_eq!(schedule(&enclave, &share).await.unwrap(), waiting);
    let stale = proto::DestroyShareRequest { expected_revision: 1, ..destroy(&share) };
    let status = not_destroyed(&enclave, stale).await;
    assert_refused(&status, Code::Aborted, "REVISION_MISMATCH");

    let destroyed = custody.destroy_share(destroy(&share)).await.unwrap().into_inner();
    assert_eq!(destroyed.share.unwrap(), waiting);
    let status = not_destroyed(&enclave, destroy(&share)).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    let signing = enclave.client().await.sign(share.sign_request(1)).await.unwrap_err();
    assert_refused(&signing, Code::PermissionDenied, "POLICY_DENIED");

    let schedules = ("ScheduleDestruction".to_owned(), WHY.to_owned());
    let destroys = ("DestroyShare".to_owned(), WHY.to_owned());
    let reasons = reasons(&enclave);
    assert_eq!(reasons.iter().filter(|reason| **reason == schedules).count(), 3);
    assert_eq!(reasons.iter().filter(|reason| **reason == destroys).count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_and_can_be_taken_back() {
    let waiting = Duration::from_secs(3600);
    let enclave = Enclave::with(Setup { destroy_after: waiting, ..Setup::default() }).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    disable(&enclave, &share).await;
    let before = SystemTime::now();
    let scheduled = schedule(&enclave, &share).await.unwrap();
    let after = SystemTime::try_from(scheduled.destroy_after.unwrap()).unwrap();
    let second = Duration::from_secs(1);
    assert!(after + second >= before + waiting && after <= SystemTime::now() + waiting);
    let status = not_destroyed(&enclave, destroy(&share)).await;
    assert_refused(&status, Code::FailedPrecondition, "DESTRUCTION_NOT_DUE");
    let details = status.get_error_details();
    let metadata = &details.error_info().unwrap().metadata;
    assert_eq!(metadata["destroy_after"], humantime::format_rfc3339(after).to_string());

    let request = proto::EnableShareRequest {
        share_id: share.id.clone(),
        expected_revision: scheduled.revision,
        reason: "came back".to_owned(),
    };
    let enabled = enclave.custody().await.enable_share(request).await.unwrap();
    assert_eq!(enabled.into_inner().share.unwrap().destroy_after, None);
    enclave.client().await.sign(share.sign_request(1)).await.unwrap();
    // And from the beginning.
    disable(&enclave, &share).await;
    let status = not_destroyed(&enclave, destroy(&share)).await;
    assert_refused(&status, Code::FailedPrecondition, "DESTRUCTION_NOT_DUE");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    disable(&enclave, &share).await;
    schedule(&enclave, &share).await.unwrap();
    for reason in ["", "two\nlines", &"a".repeat(201)] {
        let reason = reason.to_owned();
        let request = proto::DestroyShareRequest { reason, ..destroy(&share) };
        assert_invalid(&not_destroyed(&enclave, request).await, "reason");
    }
    let request = proto::DestroyShareRequest { share_id: "x".to_owned(), ..destroy(&share) };
    assert_invalid(&not_destroyed(&enclave, request).await, "share_id");
    let share_id = ShareId::random().to_string();
    let request = proto::DestroyShareRequest { share_id, ..destroy(&share) };
    let status = not_destroyed(&enclave, request).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    let mut custody = enclave.custody().await;
    let request = proto::EnableShareRequest {
        share_id: share.id.clone(),
        reason: "\u{7}".to_owned(),
        ..Default::default()
    };
    assert_invalid(&refused(&enclave, custody.enable_share(request)).await, "reason");
    // Two hundred of more than one byte each are as many.
    let request = proto::DestroyShareRequest { reason: "é".repeat(200), ..destroy(&share) };
    custody.destroy_share(request).await.unwrap();
}

/// Who may ask for it need not be who may do it.
#[tokio::test(flavor = "multi_thread")]
async fn policy_keeps_the_two_steps_apart() {
    let policy = r#"
        @id("make") permit (principal, action in [Action::"GenerateShare",
            Action::"DisableShare", Action::"ScheduleDestruction"], resource);
    "#;
    let enclave = Enclave::with(Setup { policy, ..Setup::default() }).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    disable(&enclave, &share).await;
    schedule(&enclave, &share).await.unwrap();
    let status = not_destroyed(&enclave, destroy(&share)).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
}

/// Two operators at once: one destroys it, the other learns that it changed or is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_two_destroys_it() {
    let enclave = Enclave::start().await;
    for _ in 0..10 {
        let share = enclave.share(Algorithm::Ed25519).await;
        disable(&enclave, &share).await;
        schedule(&enclave, &share).await.unwrap();
        let (mut one, mut other) = (enclave.custody().await, enclave.custody().await);
        let enable = proto::EnableShareRequest { share_id: share.id.clone(), ..Default::default() };
        let (destroyed, enabled) =
            tokio::join!(one.destroy_share(destroy(&share)), other.enable_share(enable));
        assert!(destroyed.is_ok() != enabled.is_ok(), "{destroyed:?} {enabled:?}");
        let signed = enclave.client().await.sign(share.sign_request(1)).await;
        assert_eq!(signed.is_ok(), enabled.is_ok());
    }
}

/// What was in the file is in no file of the database any more, where other shares stand as
/// they were.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_left_in_sqlite() {
    let enclave = Enclave::start().await;
    let mut shares = Vec::new();
    for _ in 0..40 {
        shares.push(enclave.share(Algorithm::Ed25519).await);
    }
    let envelope = |share: &Share| -> Vec<u8> {
        let id: ShareId = share.id.parse().unwrap();
        let select = "SELECT encrypted_key_shares FROM server_wallet_key_shares WHERE id = ?1";
        enclave.database().query_row(select, [id.as_bytes()], |row| row.get(0)).unwrap()
    };
    // The ciphertext and the wrapped DEK stand at the end.
    let needles: Vec<_> = shares.iter().map(|share| envelope(share).split_off(150)).collect();
    let found = |needle: &[u8]| {
        let files = ["shares.db", "shares.db-wal"].map(|file| enclave.dir.path().join(file));
        let files = files.iter().map(|file| fs::read(file).unwrap_or_default());
        files.filter(|bytes| bytes.windows(16).any(|window| window == &needle[..16])).count()
    };
    for (share, needle) in shares.iter().zip(&needles) {
        assert!(found(needle) > 0, "the search finds what is there");
        disable(&enclave, share).await;
    }
    let (doomed, kept) = needles.split_at(20);
    for share in &shares[..20] {
        schedule(&enclave, share).await.unwrap();
        enclave.custody().await.destroy_share(destroy(share)).await.unwrap();
    }
    for needle in doomed {
        for part in needle.chunks_exact(16) {
            assert_eq!(found(part), 0);
        }
    }
    for needle in kept {
        assert!(found(needle) > 0);
    }
}
