//! Sealing a share anew: a new DEK, the next version, the same key.

use std::{sync::atomic::Ordering, time::Duration};

use countersign::{
    envelope::Envelope,
    key::Algorithm,
    proto::{self, use_share_response::Frame},
};
use rusqlite::params;
use tokio::time::timeout;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{
    enclave::{Enclave, Setup, Share},
    refused::assert_refused,
};

/// A whole row, as far as it changes.
type Row = (Vec<u8>, u32, i64);

fn row(enclave: &Enclave, share: &Share) -> Row {
    let id: Uuid = share.id.parse().unwrap();
    let query = "SELECT encrypted_key_shares, record_version, revision
                 FROM server_wallet_key_shares WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    enclave.database().query_row(query, [id.as_bytes()], read).unwrap()
}

async fn reencrypt(
    enclave: &Enclave,
    share: &Share,
    expected_revision: u64,
) -> Result<proto::Share, Status> {
    let request = proto::ReencryptShareRequest {
        share_id: share.id.clone(),
        expected_revision,
        reason: "an exercise".to_owned(),
    };
    let answer = enclave.custody().await.reencrypt_share(request).await?;
    Ok(answer.into_inner().share.unwrap())
}

/// Every algorithm: nothing of what was sealed stays, all that is public does, and the
/// share signs. An old row that is put back is refused to who names the new version.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_sealed_anew() {
    let enclave = Enclave::start().await;
    let mut client = enclave.client().await;
    for algorithm in Algorithm::ALL {
        let share = enclave.share(algorithm).await;
        let before = row(&enclave, &share);
        let described = reencrypt(&enclave, &share, 1).await.unwrap();
        let after = row(&enclave, &share);
        let key = described.public_key.unwrap();
        assert_eq!((key.record_version, described.revision), (2, 2));
        assert_eq!(
            (&*key.key, &key.account_address),
            (share.public_key.as_bytes(), &share.address)
        );
        assert_eq!((after.1, after.2), (2, 2));
        let (old, new) =
            (Envelope::decode(&before.0).unwrap(), Envelope::decode(&after.0).unwrap());
        assert_ne!(old.header().nonce, new.header().nonce);
        assert_ne!(old.header().commitment, new.header().commitment);
        assert_ne!(old.sealed(), new.sealed());
        assert_ne!(old.wrapped_dek(), new.wrapped_dek());
        let gone = old.wrapped_dek().as_bytes();
        assert!(!after.0.windows(gone.len()).any(|bytes| bytes == gone));

        let request =
            |min_record_version| proto::SignRequest { min_record_version, ..share.sign_request(1) };
        client.sign(request(2)).await.unwrap();
        put_back(&enclave, &share, &before);
        client.sign(request(0)).await.unwrap();
        let refused = client.sign(request(2)).await.unwrap_err();
        assert_refused(&refused, Code::FailedPrecondition, "RECORD_VERSION_TOO_OLD");
        // And once more, from there.
        assert_eq!(reencrypt(&enclave, &share, 0).await.unwrap().revision, 4);
        client.sign(request(2)).await.unwrap();
    }
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots);
}

/// What a writer to the database can do.
fn put_back(enclave: &Enclave, share: &Share, (envelope, version, _): &Row) {
    let id: Uuid = share.id.parse().unwrap();
    let update = "UPDATE server_wallet_key_shares SET encrypted_key_shares = ?2,
                  record_version = ?3, revision = revision + 1 WHERE id = ?1";
    enclave.database().execute(update, params![id.as_bytes(), envelope, version]).unwrap();
}

/// Another revision, a share that there is not, a row that was altered, a KMS that wraps
/// what does not unwrap: the record stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_changes_nothing() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let before = row(&enclave, &share);
    let refused = reencrypt(&enclave, &share, 7).await.unwrap_err();
    assert_refused(&refused, Code::Aborted, "REVISION_MISMATCH");
    assert_eq!(row(&enclave, &share), before);

    enclave.counts.wrap_in_vain.store(true, Ordering::SeqCst);
    let refused = reencrypt(&enclave, &share, 0).await.unwrap_err();
    assert_refused(&refused, Code::DataLoss, "KMS_REJECTED");
    assert_eq!(row(&enclave, &share), before);
    enclave.counts.wrap_in_vain.store(false, Ordering::SeqCst);

    let mut altered = before.clone();
    *altered.0.last_mut().unwrap() ^= 1;
    put_back(&enclave, &share, &altered);
    let before = row(&enclave, &share);
    let refused = reencrypt(&enclave, &share, 0).await.unwrap_err();
    assert_refused(&refused, Code::DataLoss, "ENVELOPE_UNOPENED");
    assert_eq!(row(&enclave, &share), before);

    let unknown = Share { id: Uuid::new_v4().to_string(), ..share };
    let refused = reencrypt(&enclave, &unknown, 0).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "POLICY_DENIED");
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots);
}

/// Whoever may do all else may not do this.
#[tokio::test(flavor = "multi_thread")]
async fn it_takes_a_permission_of_its_own() {
    let enclave = Enclave::with(Setup {
        policy: r#"@id("all but one") permit (principal, action, resource)
                   unless { action == Action::"ReencryptShare" };"#,
        ..Setup::default()
    })
    .await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (before, uses) = (row(&enclave, &share), enclave.counts.uses());
    let refused = reencrypt(&enclave, &share, 0).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "POLICY_DENIED");
    assert_eq!((row(&enclave, &share), enclave.counts.uses()), (before, uses));
}

/// A stream that has the old version open ends; one that is opened then goes on.
#[tokio::test(flavor = "multi_thread")]
async fn open_streams_end() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, received) = tokio::sync::mpsc::channel(8);
    let received = tokio_stream::wrappers::ReceiverStream::new(received);
    let mut client = enclave.client().await;
    let mut answers = client.use_share(received).await.unwrap().into_inner();
    frames.send(share.open()).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    assert!(matches!(first.frame, Some(Frame::Opened(_))));
    reencrypt(&enclave, &share, 0).await.unwrap();
    let ended = timeout(Duration::from_secs(4), answers.message()).await.expect("it ends");
    assert_refused(&ended.unwrap_err(), Code::Aborted, "SHARE_CHANGED");
    let again = tokio_stream::iter([share.open(), share.frame(1)]);
    let mut answers = client.use_share(again).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        count += usize::from(answer.frame.is_some());
    }
    assert_eq!(count, 2);
}

/// Of those who seal it anew at once each wins or is told to read again, and the share
/// signs all the while.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_none_is_lost() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::EcdsaSecp256k1).await;
    let all = (0..6).map(|_| reencrypt(&enclave, &share, 0));
    let ended = futures_util::future::join_all(all).await;
    let mut won = 0;
    for ended in ended {
        match ended {
            Ok(_) => won += 1,
            Err(status) => assert_refused(&status, Code::Aborted, "SHARE_CHANGED"),
        }
    }
    assert!(won >= 1);
    let (_, version, revision) = row(&enclave, &share);
    assert_eq!((version, revision), (won + 1, i64::from(won) + 1));
    enclave.client().await.sign(share.sign_request(1)).await.unwrap();
}
