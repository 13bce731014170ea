//! What the policies that we print allow: each role its one operation.

use std::process::Command;

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    envelope::KekContext,
    kms::{
        Kms, KmsErrorKind,
        vault_transit::{Login, Role, Settings, VaultTransit},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Record, Tenant, shared_vault, soon};
use crate::support::served::binary;

/// Each role may do its own operation and none of the others, nor anything else
/// with the key.
#[tokio::test]
async fn each_role_does_its_one_operation() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;
    let context = STANDARD.encode(record.sealed.context().as_bytes());
    let ciphertext = std::str::from_utf8(record.wrapped.as_bytes()).unwrap();
    let unwrap = json!({"ciphertext": ciphertext, "context": context});
    let wrap = json!({"plaintext": STANDARD.encode([7; 32]), "context": context});
    let rewrap = json!({"batch_input": [unwrap]});
    for role in Role::ALL {
        let (token, _) = tenant.token(role).await;
        let ask = async |method, path: String, body| {
            vault.call(method, &path, &token, Some(body)).await.0
        };
        for (operation, body, whose) in [
            ("decrypt", &unwrap, Role::Signer),
            ("encrypt", &wrap, Role::Custodian),
            ("rewrap", &rewrap, Role::Rotator),
        ] {
            let status = ask(Method::POST, tenant.path(operation), body.clone()).await;
            let expected = if role == whose { 200 } else { 403 };
            assert_eq!(status, expected, "{role:?} {operation}");
        }
        let key = tenant.key();
        for path in [
            format!("transit/datakey/plaintext/{key}"),
            format!("transit/export/encryption-key/{key}"),
            format!("transit/backup/{key}"),
            format!("transit/keys/{key}/rotate"),
            format!("transit/keys/{key}/config"),
            "auth/token/create".to_owned(),
        ] {
            let status = ask(Method::POST, path.clone(), json!({"context": context})).await;
            assert_eq!(status, 403, "{role:?} {path}");
        }
        for (path, expected) in [
            ("auth/token/lookup-self", 403),
            ("auth/token/renew-self", 200),
            ("auth/token/revoke-self", 204),
        ] {
            let (token, _) = tenant.token(role).await;
            let method = if expected == 403 { Method::GET } else { Method::POST };
            let answer = vault.call(method, path, &token, None).await;
            assert_eq!(answer.0, expected, "{role:?} {path}");
        }
        let reads_key = ask(Method::GET, format!("transit/keys/{key}"), Value::Null).await;
        let expected = if role == Role::Custodian { 403 } else { 200 };
        assert_eq!(reads_key, expected, "{role:?}");
    }
}

/// Who shreds may rotate, raise and trim, and no more: the key can be neither taken out nor
/// deleted, and nothing is unwrapped.
#[tokio::test]
async fn who_shreds_does_nothing_else() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;
    let context = STANDARD.encode(record.sealed.context().as_bytes());
    let ciphertext = std::str::from_utf8(record.wrapped.as_bytes()).unwrap();
    tenant.let_shred().await;
    let (token, _) = tenant.token(Role::Rotator).await;
    let ask = async |method, path: String, body| {
        let answer = vault.call(method, &path, &token, Some(body)).await;
        (answer.0, answer.1["errors"].to_string())
    };
    let keys = format!("transit/keys/{}", tenant.key());
    for (method, path, body) in [
        (
            Method::POST,
            tenant.path("decrypt"),
            json!({"ciphertext": ciphertext, "context": context}),
        ),
        (Method::POST, tenant.path("encrypt"), json!({"plaintext": "AAAA", "context": context})),
        (Method::POST, format!("{keys}/config"), json!({"exportable": true})),
        (Method::POST, format!("{keys}/config"), json!({"allow_plaintext_backup": true})),
        (Method::POST, format!("{keys}/config"), json!({"deletion_allowed": true})),
        (Method::POST, format!("{keys}/config"), json!({"auto_rotate_period": 0})),
        (Method::DELETE, keys.clone(), Value::Null),
        (Method::POST, format!("{keys}/trim"), json!({})),
    ] {
        let (status, errors) = ask(method, path.clone(), body.clone()).await;
        assert_eq!(status, 403, "{path} {errors}");
    }
    for (path, body) in [
        ("rotate", json!({})),
        ("config", json!({"min_decryption_version": 2})),
        ("config", json!({"min_encryption_version": 2})),
        ("trim", json!({"min_available_version": 2})),
    ] {
        let (status, errors) = ask(Method::POST, format!("{keys}/{path}"), body).await;
        assert!([200, 204].contains(&status), "{path}: {status} {errors}");
    }
}

/// What `check --online` asks: Vault tells environments apart by the policies that we print,
/// for each login by itself, and by no wider one.
#[tokio::test]
async fn a_wider_policy_is_noticed() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let apart = async |settings: Settings| {
        let kms = VaultTransit::start(settings).unwrap();
        kms.tells_apart(tenant.environment(), soon()).await.unwrap()
    };
    assert_eq!(apart(tenant.settings()).await, Some(true));
    let wide = Login::TokenFile { path: tenant.file("root", vault.root_token()) };
    for role in [Role::Signer, Role::Custodian] {
        let mut settings = tenant.settings();
        match role {
            Role::Signer => settings.signer = Some(wide.clone()),
            _ => settings.custodian = Some(wide.clone()),
        }
        assert_eq!(apart(settings).await, Some(false), "{role:?}");
    }
}

/// The policy pins the environment: no other context, no batch that could hide
/// one, and no request without.
#[tokio::test]
async fn a_role_keeps_to_its_environment() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let record = Record::wrap(tenant.environment(), &tenant.kms()).await;
    let (token, _) = tenant.token(Role::Signer).await;
    let context = STANDARD.encode(record.sealed.context().as_bytes());
    let ciphertext = std::str::from_utf8(record.wrapped.as_bytes()).unwrap();
    let elsewhere = KekContext::prefix(&"elsewhere".parse().unwrap());
    let elsewhere = STANDARD.encode(elsewhere + "0123456789abcdef0123456789abcdef");
    let item = json!({"ciphertext": ciphertext, "context": context});
    for (body, expected) in [
        (item.clone(), 200),
        (json!({"ciphertext": ciphertext, "context": elsewhere}), 403),
        (json!({"ciphertext": ciphertext}), 403),
        (json!({"batch_input": [item]}), 403),
        (json!({"ciphertext": ciphertext, "context": context, "batch_input": [item]}), 403),
    ] {
        let path = tenant.path("decrypt");
        let answer = vault.call(Method::POST, &path, &token, Some(body.clone()));
        assert_eq!(answer.await.0, expected, "{body}");
    }
}

/// A role that is not configured has no rights here either.
#[tokio::test]
async fn without_a_login_there_is_no_operation() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let all = tenant.kms();
    let record = Record::wrap(tenant.environment(), &all).await;
    let mut settings = tenant.settings();
    settings.custodian = None;
    settings.rotator = None;
    let kms = VaultTransit::start(settings).unwrap();
    record.unwrap(&kms).await;
    let wrap = record.sealed.wrap(&kms, soon()).await.unwrap_err();
    assert_eq!(wrap.kind, KmsErrorKind::NoLogin);
    assert_eq!(record.rewrap(&kms).await.unwrap_err().kind, KmsErrorKind::NoLogin);
    assert_eq!(tenant.count("rewrap"), 0);
}

/// One unwrapping is one `decrypt` in Vault's audit log, under the id that the
/// caller is told; rewrapping is none.
#[tokio::test]
async fn vault_counts_what_we_count() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let kms = tenant.kms();
    let record = Record::wrap(tenant.environment(), &kms).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let unwrapped = record.unwrap(&kms).await;
        ids.push(unwrapped.request_id.unwrap().into_string());
    }
    assert_eq!(vault.answers().ids(&tenant.path("decrypt")), ids);
    tenant.rotate_key().await;
    record.rewrap(&kms).await.unwrap();
    assert_eq!(tenant.count("rewrap"), 1);
    assert_eq!(tenant.count("decrypt"), ids.len());
    let past = record.unwrap_by(&kms, tokio::time::Instant::now()).await;
    assert_eq!(past.err().unwrap().kind, KmsErrorKind::Timeout);
    assert_eq!(tenant.count("decrypt"), ids.len());
}

/// The command that prints the policies takes no name that a policy would not
/// pin, nor another environment's key.
#[test]
fn a_policy_is_of_one_key() {
    let policy = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["vault", "policy", "--role", "signer"]);
        let output = command.args(["--environment", "staging"]).args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (good, text) = policy(&["--mount", "team/transit", "--key", "wallets-staging"]);
    assert!(good && text.contains("path \"team/transit/decrypt/wallets-staging\""));
    assert!(policy(&[]).1.contains("transit/decrypt/countersign-staging"));
    for (arguments, problem) in [
        (["--key", "countersign-production"], "must end with \"-staging\""),
        (["--key", "staging"], "must end with"),
        (["--key", "a/b-staging"], "is unusable"),
        (["--key", "*-staging"], "is unusable"),
        (["--mount", "+"], "is unusable"),
        (["--mount", "a\" {}"], "is unusable"),
        (["--mount", "../sys"], "is unusable"),
    ] {
        let (good, text) = policy(&arguments);
        assert!(!good && text.contains(problem), "{arguments:?}: {text}");
    }
}
