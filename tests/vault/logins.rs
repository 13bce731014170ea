//! Logins and the life of tokens, on a real Vault.

use std::{fs, time::Duration};

use countersign::kms::{
    Kms, KmsErrorKind,
    vault_transit::{Login, Role, VaultTransit},
};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Record, Tenant, VaultServer, ready, shared_vault, soon};
use crate::support::jwt::Issuer;

/// A backend whose signer logs in this way.
fn signing_with(tenant: &Tenant<'_>, login: Login) -> VaultTransit {
    let mut settings = tenant.settings();
    settings.signer = Some(login);
    settings.custodian = None;
    settings.rotator = None;
    VaultTransit::start(settings).unwrap()
}

#[tokio::test]
async fn kubernetes() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;
    let login = tenant.kubernetes_login(Role::Signer, &Issuer::new()).await;
    let kms = signing_with(&tenant, login);
    record.unwrap(&kms).await;
    assert!(!vault.token_review().seen().is_empty());
}

#[tokio::test]
async fn jwt() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;
    let login = tenant.jwt_login(Role::Signer, &Issuer::new()).await;
    let kms = signing_with(&tenant, login);
    record.unwrap(&kms).await;
}

/// A login that Vault does not accept is said to be that, and works once its
/// cause is gone.
#[tokio::test]
async fn a_refused_login_recovers() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;

    let jwt = tenant.jwt_login(Role::Signer, &Issuer::new()).await;
    let Login::Jwt { token_file, .. } = &jwt else { unreachable!() };
    let good = fs::read(token_file).unwrap();
    fs::write(token_file, Issuer::new().token("signer")).unwrap();
    let kms = signing_with(&tenant, jwt.clone());
    assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Login);
    let status = kms.status(soon()).await.unwrap_err();
    assert_eq!(status.kind, KmsErrorKind::Login);
    fs::remove_file(token_file).unwrap();
    sleep(Duration::from_millis(300)).await;
    let missing = record.fail(&kms).await;
    assert_eq!(missing.kind, KmsErrorKind::Login);
    fs::write(token_file, good).unwrap();
    record.recover(&kms).await;
    kms.status(soon()).await.unwrap();
}

#[tokio::test]
async fn a_login_at_no_mount() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;
    let login = Login::Kubernetes {
        mount: "nowhere".to_owned(),
        role: "signer".to_owned(),
        token_file: tenant.file("jwt", "not.a.jwt"),
    };
    let kms = signing_with(&tenant, login);
    assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Login);
}

/// A token in a file is used as it is, read anew when Vault refuses it, and left
/// alive at the end.
#[tokio::test]
async fn a_token_file() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;
    let (first, accessor) = tenant.token(Role::Signer).await;
    let path = tenant.file("token", &format!("{first}\n"));
    let kms = signing_with(&tenant, Login::TokenFile { path });
    record.unwrap(&kms).await;

    let body = json!({"accessor": accessor});
    vault.root(Method::POST, "auth/token/revoke-accessor", body).await;
    assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Login);

    let (second, _) = tenant.token(Role::Signer).await;
    tenant.file("token", &second);
    record.recover(&kms).await;
    kms.close().await;
    let lookup = vault.call_as_root(Method::POST, "auth/token/lookup", json!({"token": second}));
    assert_eq!(lookup.await.0, 200, "somebody else's token is not revoked");
}

/// A token that lives for two seconds signs for longer, with one login.
#[tokio::test]
async fn a_token_is_renewed() {
    let vault = shared_vault!();
    let life = Duration::from_secs(2);
    let tenant = Tenant::with_tokens(vault, life, life * 30).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    ready(&kms).await;
    let logins = tenant.logins();
    let end = Instant::now() + life * 2;
    while Instant::now() < end {
        record.unwrap(&kms).await;
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(tenant.logins(), logins);
}

/// Before a token's maximum there is a new one, and no call notices.
#[tokio::test]
async fn a_token_is_replaced_before_its_end() {
    let vault = shared_vault!();
    let life = Duration::from_secs(3);
    let tenant = Tenant::with_tokens(vault, life, life).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    ready(&kms).await;
    let logins = tenant.logins();
    let mut unwrapped = 0;
    let end = Instant::now() + life + Duration::from_secs(1);
    while Instant::now() < end {
        record.unwrap(&kms).await;
        unwrapped += 1;
        sleep(Duration::from_millis(100)).await;
    }
    assert!(tenant.logins() > logins);
    assert_eq!(tenant.count("decrypt"), unwrapped, "none was refused");
}

/// The token that a new login replaces does not live on until it expires.
#[tokio::test]
async fn a_replaced_token_is_revoked() {
    let vault = shared_vault!();
    let life = Duration::from_secs(16);
    let tenant = Tenant::with_tokens(vault, life, life).await;
    let mut settings = tenant.settings();
    settings.timeouts.request = Duration::from_millis(1500);
    let begun = Instant::now();
    let kms = VaultTransit::start(settings).unwrap();
    ready(&kms).await;
    while tenant.logins() < 6 {
        assert!(begun.elapsed() < life, "no new logins");
        sleep(Duration::from_millis(100)).await;
    }
    while tokens(vault, &tenant).await > 3 {
        sleep(Duration::from_millis(100)).await;
    }
    let last = life - Duration::from_secs(1);
    assert!(begun.elapsed() < last, "the old tokens expired");
    ready(&kms).await;
    kms.close().await;
    assert_eq!(tokens(vault, &tenant).await, 0);
}

/// However many calls find their token revoked, they log in once and succeed.
#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    ready(&kms).await;
    let logins = tenant.logins();
    revoke_all(vault, &tenant).await;
    let calls = (0..12).map(|_| {
        let sealed = &record.sealed;
        record.custody.unwrap(&kms, sealed, &record.wrapped, soon())
    });
    for unwrapped in join_all(calls).await {
        assert!(record.sealed.is_dek(&unwrapped.unwrap()));
    }
    assert_eq!(tenant.logins(), logins + 1);
}

/// Calls that come while the first login is under way wait for it.
#[tokio::test]
async fn calls_share_the_first_login() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let other = tenant.kms();
    let record = Record::wrap(tenant.environment(), &other).await;
    ready(&other).await;
    let logins = tenant.logins();
    let kms = signing_with(&tenant, tenant.login(Role::Signer));
    let calls = (0..12).map(|_| {
        let sealed = &record.sealed;
        record.custody.unwrap(&kms, sealed, &record.wrapped, soon())
    });
    for unwrapped in join_all(calls).await {
        assert!(record.sealed.is_dek(&unwrapped.unwrap()));
    }
    assert_eq!(tenant.logins(), logins + 1);
}

/// Whoever asks for the status at once waits for the logins.
#[tokio::test]
async fn the_status_awaits_the_first_login() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    tenant.kms().status(soon()).await.unwrap();
    assert_eq!(tenant.logins(), 3);
}

/// After a shutdown no token of ours is left, and nothing logs in again.
#[tokio::test]
async fn a_shutdown_revokes() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    ready(&kms).await;
    assert_eq!(tokens(vault, &tenant).await, 3);
    kms.close().await;
    assert_eq!(tokens(vault, &tenant).await, 0);
    assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Login);
    assert_eq!(tenant.logins(), 3);
}

/// Revokes every token that the tenant's logins gave.
async fn revoke_all(vault: &VaultServer, tenant: &Tenant<'_>) {
    let path = format!("sys/leases/revoke-prefix/{}", tenant.login_path());
    vault.root(Method::PUT, &path, json!({"sync": true})).await;
}

/// How many tokens the tenant's logins gave that live.
async fn tokens(vault: &VaultServer, tenant: &Tenant<'_>) -> usize {
    let list = Method::from_bytes(b"LIST").unwrap();
    let path = format!("sys/leases/lookup/{}", tenant.login_path());
    let (status, answer) = vault.call_as_root(list, &path, Value::Null).await;
    match status {
        404 => 0,
        _ => answer["data"]["keys"].as_array().unwrap().len(),
    }
}
