//! What a store cannot do is refused over gRPC, before anything is made for it.

use std::fs;

use countersign::{
    config::StoreConfig,
    key::{Algorithm, ShareId, ShareState},
    proto,
    record::ShareRecord,
    store::{ShareStore, directory::Backup},
};
use tonic::Code;

use super::records::record;
use crate::{
    refusals::refused,
    support::{
        enclave::{Enclave, Setup},
        refused::assert_refused,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_store_refuses_custody() {
    let home = tempfile::tempdir().unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    let share_id = row.description.identity.share.to_string();
    let backup = Backup::open(home.path()).unwrap();
    backup.put(&row, None).await.unwrap();
    let mut disabled = record("wallet", Algorithm::Ed25519);
    disabled.description.state = ShareState::Disabled;
    backup.put(&disabled, None).await.unwrap();
    let mut waited = record("wallet", Algorithm::Ed25519);
    waited.description.state = ShareState::Disabled;
    waited.description.destroy_after = Some(waited.description.created_at);
    backup.put(&waited, None).await.unwrap();
    let files = || {
        let names = fs::read_dir(home.path()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = names.map(|path| (fs::read(&path).unwrap(), path)).collect();
        files.sort();
        files
    };
    let before = files();
    let path = home.path().to_owned();
    let enclave = Enclave::with(Setup {
        environment: "testing".parse().unwrap(),
        store: Some(StoreConfig::Directory { path }),
        ..Setup::default()
    })
    .await;
    let mut custody = enclave.custody().await;
    let show = proto::GetShareRequest { share_id: share_id.clone() };
    let shown = custody.get_share(show.clone()).await.unwrap();
    let page = custody.list_shares(proto::ListSharesRequest::default()).await.unwrap();
    assert_eq!(page.into_inner().shares.len(), 3);

    let lacks = |status| assert_refused(&status, Code::FailedPrecondition, "STORE_LACKS");
    let generate = proto::GenerateShareRequest {
        share_id: ShareId::random().to_string(),
        wallet_id: "wallet".to_owned(),
        algorithm: 1,
    };
    lacks(refused(&enclave, custody.generate_share(generate)).await);
    let key = proto::GetImportKeyRequest::default();
    lacks(refused(&enclave, custody.get_import_key(key)).await);
    let disable = proto::DisableShareRequest { share_id: share_id.clone(), ..Default::default() };
    lacks(refused(&enclave, custody.disable_share(disable)).await);
    let share_of = |row: &ShareRecord| row.description.identity.share.to_string();
    let reason = || "a test".to_owned();
    let schedule = proto::ScheduleDestructionRequest {
        share_id: share_of(&disabled),
        reason: reason(),
        ..Default::default()
    };
    lacks(refused(&enclave, custody.schedule_destruction(schedule)).await);
    let destroy = proto::DestroyShareRequest {
        share_id: share_of(&waited),
        reason: reason(),
        ..Default::default()
    };
    lacks(refused(&enclave, custody.destroy_share(destroy)).await);
    let reencrypt =
        proto::ReencryptShareRequest { share_id: share_id.clone(), ..Default::default() };
    lacks(refused(&enclave, custody.reencrypt_share(reencrypt)).await);
    // It is enabled: there is nothing to change.
    let enable = proto::EnableShareRequest { share_id, ..Default::default() };
    custody.enable_share(enable).await.unwrap();
    let after = custody.get_share(show).await.unwrap();
    assert_eq!(after.into_inner(), shown.into_inner());
    assert_eq!(files(), before);
}
