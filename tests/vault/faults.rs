//! Faults of a real Vault: each has its kind, and ends without a restart.

use std::{fs, time::Duration};

use countersign::kms::{
    Kms, KmsErrorKind,
    vault_transit::{Login, Role, VaultTransit},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Record, Tenant, VaultServer, ready, shared_vault, soon};

#[tokio::test]
async fn sealed_stopped_and_back() {
    let Some(vault) = VaultServer::dedicated().await else {
        return;
    };
    let tenant = Tenant::new(&vault).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    ready(&kms).await;

    vault.seal().await;
    // More often than it takes the breaker to open.
    for _ in 0..8 {
        assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Sealed);
    }
    assert_eq!(status(&kms).await, KmsErrorKind::Sealed);
    vault.unseal().await;
    record.recover(&kms).await;
    kms.status(soon()).await.unwrap();

    vault.stop();
    for _ in 0..8 {
        let begun = Instant::now();
        assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Unreachable);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    assert_eq!(status(&kms).await, KmsErrorKind::Unreachable);

    // One that starts before Vault does works, too, once Vault does.
    let early = tenant.kms();
    assert_eq!(record.fail(&early).await.kind, KmsErrorKind::Unreachable);
    vault.restart();
    assert_eq!(status(&early).await, KmsErrorKind::Sealed);
    vault.unseal().await;
    for kms in [&kms, &early] {
        record.recover(kms).await;
        ready(kms).await;
    }
}

/// A sealed node among several: the others are asked, for readiness, too, which
/// needs no traffic.
#[tokio::test]
async fn one_of_two_is_sealed() {
    let vault = shared_vault!();
    let Some(sealed) = VaultServer::dedicated().await else {
        return;
    };
    sealed.seal().await;
    let tenant = Tenant::new(vault).await;
    let mut settings = tenant.settings();
    settings.addresses.insert(0, sealed.url());
    let authorities = [sealed.ca_file(), vault.ca_file()].map(|file| fs::read(file).unwrap());
    let authorities = String::from_utf8(authorities.concat()).unwrap();
    settings.ca_file = tenant.file("ca.pem", &authorities);
    let token = tenant.token(Role::Signer).await.0;
    let path = tenant.file("token", &token);
    settings.signer = Some(Login::TokenFile { path });
    settings.custodian = None;
    settings.rotator = None;
    // A token from a file needs no login, which would find the serving node.
    let kms = VaultTransit::start(settings).unwrap();
    ready(&kms).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;
    record.unwrap(&kms).await;
}

async fn status(kms: &VaultTransit) -> KmsErrorKind {
    kms.status(soon()).await.unwrap_err().kind
}

#[tokio::test]
async fn policy_removed() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    ready(&kms).await;
    let logins = tenant.logins();
    tenant.delete_policy(Role::Signer).await;
    for _ in 0..3 {
        assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Denied);
    }
    assert_eq!(tenant.logins(), logins, "a new token would have no more rights");
    tenant.set_policy(Role::Signer).await;
    record.unwrap(&kms).await;
}

#[tokio::test]
async fn rate_limited() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    ready(&kms).await;
    let headers = json!({"enable_rate_limit_response_headers": true});
    vault.root(Method::POST, "sys/quotas/config", headers).await;
    let quota = json!({"path": tenant.path("decrypt"), "rate": 2, "interval": "2s"});
    let path = format!("sys/quotas/rate-limit/{}", tenant.key());
    vault.root(Method::POST, &path, quota).await;
    for _ in 0..2 {
        record.unwrap(&kms).await;
    }
    // Too little time to wait for it: the hint is passed on.
    let short = Instant::now() + Duration::from_millis(500);
    let limited = record.unwrap_by(&kms, short).await.err().unwrap();
    assert_eq!(limited.kind, KmsErrorKind::RateLimited);
    let hint = limited.retry_after.unwrap();
    assert!((1..=2).contains(&hint.as_secs()), "{hint:?}");
    assert!(Instant::now() < short);
    // Time enough: it is waited for.
    let begun = Instant::now();
    record.unwrap(&kms).await;
    assert!(begun.elapsed() > Duration::from_millis(500));
    vault.root(Method::DELETE, &path, Value::Null).await;
    record.unwrap(&kms).await;
}

#[tokio::test]
async fn floor_raised() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    tenant.rotate_key().await;
    let floor = json!({"min_decryption_version": 2});
    tenant.configure_key(floor).await;
    assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::KeyVersion);
    assert_eq!(record.rewrap(&kms).await.unwrap_err().kind, KmsErrorKind::KeyVersion);
    tenant.configure_key(json!({"min_decryption_version": 1})).await;
    record.unwrap(&kms).await;
}

#[tokio::test]
async fn key_deleted() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    tenant.delete_key().await;
    assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::KeyMissing);
    let wrap = record.sealed.wrap(&kms, soon()).await.unwrap_err();
    // Without the right to create keys Vault does not say that there is none.
    assert_eq!(wrap.kind, KmsErrorKind::Denied);
    tenant.create_key().await;
    assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Rejected);
}
