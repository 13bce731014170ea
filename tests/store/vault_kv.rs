//! Vault's KV engine alone, in a real Vault.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use countersign::kms::vault_transit::Login;
use countersign::{
    key::{Algorithm, Revision, ShareId, ShareState},
    record::ShareRecord,
    store::{
        ShareStore, StoreErrorKind,
        vault_kv::{
            VaultKv,
            policy::{Access, hcl},
        },
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    conformance::conformance,
    kind,
    records::{environment, record, successor},
};
use crate::support::{
    https::{HttpsServer, Reply},
    permits,
    pki::Authority,
    vault::{Tenant, VaultServer},
};

/// A store with the rights of our policy.
async fn store(tenant: &Tenant<'_>, access: Access) -> VaultKv {
    VaultKv::open(tenant.records(access, &environment()).await).unwrap()
}

fn id(record: &ShareRecord) -> ShareId {
    record.description.identity.share
}

async fn fetch(store: &dyn ShareStore, record: &ShareRecord) -> Option<ShareRecord> {
    let permit = permits::to_open(&record.description);
    store.fetch(permit.opening()).await.unwrap()
}

/// A tenant of the shared Vault with an engine of its own, where there is a Vault.
macro_rules! tenant {
    ($vault:ident, $tenant:ident) => {
        let Some($vault) = VaultServer::shared().await else {
            return;
        };
        let $tenant = Tenant::new($vault).await;
        $tenant.mount_kv().await;
    };
}

pub(super) use tenant;

#[tokio::test(flavor = "multi_thread")]
async fn vault_kv_conforms() {
    tenant!(vault, tenant);
    let store = store(&tenant, Access::Write).await;
    conformance(&store).await;
    store.close().await;
}

/// Nothing of a removed share is left in Vault, and no version of it comes back.
#[tokio::test]
async fn removing_destroys_the_history() {
    tenant!(vault, tenant);
    let store = store(&tenant, Access::Write).await;
    let row = record("wallet", Algorithm::Ed25519);
    let mut revision = store.put(&row, None).await.unwrap();
    for state in [ShareState::Disabled, ShareState::Enabled, ShareState::Disabled] {
        revision = store.set_state(id(&row), state, revision).await.unwrap();
    }
    let data = tenant.secret("data", &environment(), id(&row));
    let metadata = tenant.secret("metadata", &environment(), id(&row));
    let versions = vault.root(Method::GET, &metadata, Value::Null).await;
    assert_eq!(versions["versions"].as_object().unwrap().len(), 4);

    store.remove(id(&row), revision).await.unwrap();
    assert_eq!(vault.call_as_root(Method::GET, &metadata, Value::Null).await.0, 404);
    for version in 1..=5 {
        let path = format!("{data}?version={version}");
        assert_eq!(vault.call_as_root(Method::GET, &path, Value::Null).await.0, 404);
    }
    let undelete = tenant.secret("undelete", &environment(), id(&row));
    let versions = json!({"versions": [1, 2, 3, 4, 5]});
    vault.call_as_root(Method::POST, &undelete, versions).await;
    assert_eq!(vault.call_as_root(Method::GET, &data, Value::Null).await.0, 404);
}

/// A removal that breaks off has taken the envelope, gives nothing back, and can be done
/// again.
#[tokio::test]
async fn a_broken_removal_is_done_again() {
    tenant!(vault, tenant);
    let store = store(&tenant, Access::Write).await;
    let row = record("wallet", Algorithm::Ed25519);
    let first = store.put(&row, None).await.unwrap();
    let revision = store.set_state(id(&row), ShareState::Disabled, first).await.unwrap();
    let whole = hcl(Access::Write, &tenant.kv(), "countersign", &environment());
    let cannot_delete = whole.replace(", \"delete\"", "");
    assert_ne!(whole, cannot_delete);
    tenant.permit_records(Access::Write, &cannot_delete).await;
    assert_eq!(kind(store.remove(id(&row), revision).await), Err(StoreErrorKind::Denied));

    let left = store.describe(id(&row)).await.unwrap().unwrap();
    assert_eq!((left.state, left.revision), (ShareState::Disabled, revision.next()));
    assert_eq!(fetch(&store, &row).await, None);
    for at in [revision, revision.next()] {
        let enabled = store.set_state(id(&row), ShareState::Enabled, at).await;
        assert_eq!(kind(enabled), Err(StoreErrorKind::Conflict));
        let waits = store.schedule(id(&row), None, at).await;
        assert_eq!(kind(waits), Err(StoreErrorKind::Conflict));
    }
    assert_eq!(kind(store.put(&row, None).await), Err(StoreErrorKind::Exists));
    assert_eq!(kind(store.remove(id(&row), revision).await), Err(StoreErrorKind::Conflict));
    tenant.permit_records(Access::Write, &whole).await;
    store.remove(id(&row), revision.next()).await.unwrap();
    assert_eq!(store.describe(id(&row)).await, Ok(None));
    let metadata = tenant.secret("metadata", &environment(), id(&row));
    assert_eq!(vault.call_as_root(Method::GET, &metadata, Value::Null).await.0, 404);
}

/// Who reads may read, of its environment alone.
#[tokio::test]
async fn the_policies_allow_what_each_needs() {
    tenant!(vault, tenant);
    let writer = store(&tenant, Access::Write).await;
    let row = record("wallet", Algorithm::Ed25519);
    writer.put(&row, None).await.unwrap();
    let mut settings = tenant.records(Access::Read, &environment()).await;
    let reader = VaultKv::open(settings.clone()).unwrap();
    reader.status().await.unwrap();
    assert_eq!(fetch(&reader, &row).await.as_ref(), Some(&row));
    assert_eq!(reader.list(&environment(), None, None, 9).await.unwrap().len(), 1);
    let denied = Err(StoreErrorKind::Denied);
    assert_eq!(kind(reader.put(&successor(&row), Some(Revision::FIRST)).await), denied);
    let state = reader.set_state(id(&row), ShareState::Disabled, Revision::FIRST).await;
    assert_eq!(kind(state), denied);
    assert_eq!(kind(reader.remove(id(&row), Revision::FIRST).await), Err(StoreErrorKind::Denied));
    let former = reader.destroy_former(id(&row), Revision::FIRST).await;
    assert_eq!(kind(former), Err(StoreErrorKind::Denied));
    assert_eq!(fetch(&writer, &row).await.as_ref(), Some(&row));

    settings.environment = "elsewhere".parse().unwrap();
    let elsewhere = VaultKv::open(settings).unwrap();
    assert_eq!(kind(elsewhere.describe(id(&row)).await), Err(StoreErrorKind::Denied));
    assert_eq!(kind(elsewhere.put(&row, None).await), Err(StoreErrorKind::Failed));
}

/// The rotator writes what is there and destroys what that was before. It makes no record,
/// and a removal of its is broken off: the record stays, and is listed.
#[tokio::test]
async fn the_rotators_policy_allows_what_it_needs() {
    tenant!(vault, tenant);
    let writer = store(&tenant, Access::Write).await;
    let row = record("wallet", Algorithm::Ed25519);
    writer.put(&row, None).await.unwrap();
    let rotator = store(&tenant, Access::Rotate).await;
    rotator.status().await.unwrap();
    let another = record("wallet", Algorithm::Ed25519);
    assert_eq!(kind(rotator.put(&another, None).await), Err(StoreErrorKind::Denied));
    assert_eq!(rotator.list(&environment(), None, None, 9).await.unwrap().len(), 1);
    let mut next = successor(&row);
    next.description.revision = rotator.put(&next, Some(Revision::FIRST)).await.unwrap();
    let data = tenant.secret("data", &environment(), id(&row));
    let first = format!("{data}?version=1");
    assert_eq!(vault.call_as_root(Method::GET, &first, Value::Null).await.0, 200);
    rotator.destroy_former(id(&row), next.description.revision).await.unwrap();
    assert_eq!(vault.call_as_root(Method::GET, &first, Value::Null).await.0, 404);
    assert_eq!(fetch(&writer, &next).await.as_ref(), Some(&next));

    let removed = rotator.remove(id(&row), next.description.revision).await;
    assert_eq!(kind(removed), Err(StoreErrorKind::Denied));
    assert_eq!(rotator.list(&environment(), None, None, 9).await.unwrap().len(), 1);
}

/// What is in Vault and is no record, or another's, is that share's own trouble.
#[tokio::test]
async fn a_bad_secret_is_one_shares_trouble() {
    tenant!(vault, tenant);
    let store = store(&tenant, Access::Write).await;
    let good = record("wallet", Algorithm::Ed25519);
    store.put(&good, None).await.unwrap();
    let path = |share| tenant.secret("data", &environment(), share);
    let secret = vault.root(Method::GET, &path(id(&good)), Value::Null).await["data"].clone();
    let mut changed = Vec::new();
    for (field, value, expected) in [
        ("wallet_id", json!("no sesame"), "wallet_id"),
        ("format", json!(2), "format"),
        ("environment", json!("elsewhere"), "environment"),
        ("encrypted_key_shares", json!("sesame!"), "encrypted_key_shares"),
        ("sesame", json!(1), "no record"),
        ("id", json!(ShareId::random().to_string()), "named after"),
    ] {
        let mut secret = secret.clone();
        secret["record"][field] = value;
        changed.push((secret, expected));
    }
    changed.push((json!({"password": "sesame"}), "no record"));
    for (mut secret, expected) in changed {
        let share = ShareId::random();
        if secret["record"]["id"] == json!(id(&good).to_string()) {
            secret["record"]["id"] = json!(share.to_string());
        }
        let body = json!({"options": {"cas": 0}, "data": secret});
        vault.root(Method::POST, &path(share), body).await;
        let error = store.describe(share).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{expected}: {error}");
        assert!(error.detail.contains(expected), "{expected}: {error}");
        assert!(error.detail.contains(&share.to_string()), "{error}");
        assert!(!error.detail.contains("sesame"), "{error}");
        assert_eq!(fetch(&store, &good).await.as_ref(), Some(&good));
        let all = store.describe_all(&[share, id(&good)]).await;
        assert_eq!(all, Ok(vec![good.description.clone()]));
    }
    // What an operator deleted is not there, and its id is not free.
    let row = record("wallet", Algorithm::Ed25519);
    store.put(&row, None).await.unwrap();
    vault.root(Method::DELETE, &path(id(&row)), Value::Null).await;
    assert_eq!(store.describe(id(&row)).await, Ok(None));
    assert_eq!(kind(store.put(&row, None).await), Err(StoreErrorKind::Exists));
}

/// Where records would not be kept, none is written.
#[tokio::test]
async fn an_engine_that_does_not_keep_is_refused() {
    tenant!(vault, tenant);
    let mut settings = tenant.records(Access::Write, &environment()).await;
    let row = record("wallet", Algorithm::Ed25519);
    let config = format!("{}/config", tenant.kv());
    let after = json!({"delete_version_after": "24h", "cas_required": true});
    vault.root(Method::POST, &config, after).await;
    let refused = async |settings| {
        let store = VaultKv::open(settings).unwrap();
        let error = store.put(&row, None).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Schema, "{error}");
        assert_eq!(kind(store.status().await), Err(StoreErrorKind::Schema));
        error.detail
    };
    assert!(refused(settings.clone()).await.contains("delete_version_after"));
    let path = tenant.secret("metadata", &environment(), id(&row));
    assert_eq!(vault.call_as_root(Method::GET, &path, Value::Null).await.0, 404);

    // Version 1 would take the write, and has no versions.
    let old = format!("{}-old", tenant.kv());
    vault.mount_kv(&old, "1").await;
    for mount in [old.clone(), format!("{}-none", tenant.kv())] {
        tenant
            .permit_records(
                Access::Write,
                &hcl(Access::Write, &mount, "countersign", &environment()),
            )
            .await;
        settings.mount = mount;
        assert!(refused(settings.clone()).await.contains("no KV engine of version 2"));
    }
    let list = format!("{old}/data/countersign?list=true");
    assert_eq!(vault.call_as_root(Method::GET, &list, Value::Null).await.0, 404);
}

/// Each fault has its kind, and ends without a restart.
#[tokio::test]
async fn sealed_stopped_denied_and_back() {
    let Some(vault) = VaultServer::dedicated().await else {
        return;
    };
    let tenant = Tenant::new(&vault).await;
    tenant.mount_kv().await;
    let store = store(&tenant, Access::Write).await;
    let row = record("wallet", Algorithm::Ed25519);
    store.put(&row, None).await.unwrap();
    vault.seal().await;
    let error = store.describe(id(&row)).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unreachable);
    assert!(error.detail.contains("Sealed"), "{error}");
    assert_eq!(kind(store.status().await), Err(StoreErrorKind::Unreachable));
    vault.unseal().await;
    assert_eq!(fetch(&store, &row).await.as_ref(), Some(&row));

    vault.stop();
    assert_eq!(kind(store.describe(id(&row)).await), Err(StoreErrorKind::Unreachable));
    let put = store.put(&successor(&row), Some(Revision::FIRST)).await;
    assert_eq!(kind(put), Err(StoreErrorKind::Unreachable));
    vault.restart();
    vault.unseal().await;
    assert_eq!(fetch(&store, &row).await.as_ref(), Some(&row));

    let whole = hcl(Access::Write, &tenant.kv(), "countersign", &environment());
    let nothing = "path \"nothing\" { capabilities = [\"deny\"] }";
    tenant.permit_records(Access::Write, nothing).await;
    assert_eq!(kind(store.describe(id(&row)).await), Err(StoreErrorKind::Denied));
    assert_eq!(kind(store.status().await), Err(StoreErrorKind::Denied));
    tenant.permit_records(Access::Write, &whole).await;
    assert_eq!(fetch(&store, &row).await.as_ref(), Some(&row));
}

/// A write whose answer is lost is tried again, and finds itself. Only a server that
/// answers dishonestly does that at will.
#[tokio::test]
async fn a_write_whose_answer_is_lost_is_its_own() {
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write_certificate(home.path());
    authority.write_server_certificate(home.path());
    fs::write(home.path().join("token"), "hvs.test").unwrap();
    for is_ours in [true, false] {
        let kept = Arc::new(Mutex::new(None::<Value>));
        let keeping = Arc::clone(&kept);
        let fake = HttpsServer::start(home.path(), move |request| {
            let mut kept = keeping.lock().unwrap();
            match (request.method(), request.uri().path().ends_with("/config"), &*kept) {
                (_, true, _) => Reply::json(200, json!({"data": {"delete_version_after": "0s"}})),
                (&Method::POST, _, None) => {
                    let mut body: Value = serde_json::from_slice(request.body()).unwrap();
                    if !is_ours {
                        body["data"]["write"] = json!("somebody else's");
                    }
                    *kept = Some(body["data"].take());
                    Reply::json(502, "")
                }
                (&Method::POST, _, Some(_)) => {
                    let why = "check-and-set parameter did not match the current version";
                    Reply::json(400, json!({"errors": [why]}))
                }
                (_, _, Some(data)) => {
                    let data = json!({"data": data, "metadata": {"version": 1}});
                    Reply::json(200, json!({"data": data}))
                }
                (_, _, None) => Reply::json(404, json!({"errors": []})),
            }
        });
        let mut settings = tenant.records(Access::Write, &environment()).await;
        settings.server.addresses = vec![fake.url()];
        settings.server.ca_file = home.path().join("ca.pem");
        settings.login = Login::TokenFile { path: home.path().join("token") };
        let store = VaultKv::open(settings).unwrap();
        let row = record("wallet", Algorithm::Ed25519);
        let put = kind(store.put(&row, None).await);
        assert_eq!(put, if is_ours { Ok(Revision::FIRST) } else { Err(StoreErrorKind::Exists) });
        assert_eq!(fetch(&store, &row).await, Some(row));
    }
}
