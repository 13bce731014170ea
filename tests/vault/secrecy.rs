//! No key, token, credential or answer in an error or a log.

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::kms::{
    Kms,
    vault_transit::{Login, Role, VaultTransit},
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    Record, Tenant,
    network::{approle, login},
    ready, scripted, shared_vault, soon,
};
use crate::support::{
    https::{HttpsServer, Reply},
    logs::Log,
    pki::Authority,
};

/// Secrets and how they might be written.
struct Needles(Vec<(String, String)>);

impl Needles {
    fn text(&mut self, name: &str, text: &str) {
        self.0.push((name.to_owned(), text.to_owned()));
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.text(name, &STANDARD.encode(bytes));
        self.text(name, &hex::encode(bytes));
        self.text(name, &format!("{bytes:?}"));
        self.text(name, &format!("{:?}", &bytes[..8]).replace(']', ""));
    }

    fn find(&self, haystack: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(_, needle)| haystack.contains(needle));
        found.map(|(name, _)| name.as_str()).collect()
    }
}

/// A server that says every secret back in its errors, as an answer might.
#[tokio::test]
async fn a_server_that_tells_all() {
    let log = Log::capture();
    let pki = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write_certificate(pki.path());
    authority.write_server_certificate(pki.path());
    let mut needles = Needles(Vec::new());
    needles.bytes("DEK", &[0xd7; 32]);
    for (name, text) in [
        ("token", "hvs.given-by-login"),
        ("file token", "hvs.scripted"),
        ("secret id", "scripted-secret-id"),
        ("body", "a-body-is-none-of-the-log"),
    ] {
        needles.text(name, text);
    }
    let telling = json!({
        "errors": ["a-body-is-none-of-the-log", "hvs.given-by-login", STANDARD.encode([0xd7; 32])],
        "data": {"plaintext": STANDARD.encode([0xd7; 32]), "ciphertext": 5},
    });
    let mut told = Vec::new();
    for status in [200, 200, 204, 307, 400, 403, 404, 429, 500, 503, 599] {
        let telling = telling.to_string();
        let server = HttpsServer::start(pki.path(), move |request| {
            let path = request.uri().path();
            match (path, status) {
                ("/v1/auth/approle/login", 200) => {
                    Reply::json(200, login("hvs.given-by-login", 3600))
                }
                ("/v1/transit/decrypt/countersign-test", 200) => {
                    Reply::json(200, r#"{"data":{"plaintext":["a-body-is-none-of-the-log"]}}"#)
                }
                _ => Reply::json(status, &telling).with("location", "https://hvs.given-by-login"),
            }
        });
        let mut settings = scripted(pki.path(), &[server.url()]);
        settings.signer = Some(approle(pki.path()));
        let kms = VaultTransit::start(settings).unwrap();
        let record = Record::canned();
        needles.bytes("own DEK", &record.sealed.dek());
        told.push(record.fail(&kms).await);
        told.extend(record.rewrap(&kms).await.err());
        told.extend(record.sealed.wrap(&kms, soon()).await.err());
        told.extend(kms.status(soon()).await.err());
        kms.close().await;
        assert!(!server.seen().is_empty());
    }
    for error in told {
        let text = format!("{error} {error:?} {error:#?}");
        assert_eq!(needles.find(&text), [""; 0], "{text}");
    }
    let text = log.text();
    assert_eq!(needles.find(&text), [""; 0], "{text}");
    assert!(text.contains("Vault login succeeded") && text.contains("Vault login failed"));
    // That this would find something, had it been logged.
    tracing::trace!(token = "hvs.scripted", "Planted");
    assert_eq!(needles.find(&log.text()), ["file token"]);
}

/// The ordinary life of a backend on a real Vault, at the most verbose level.
#[tokio::test]
async fn an_ordinary_life() {
    let vault = shared_vault!();
    let log = Log::capture();
    let life = std::time::Duration::from_secs(1);
    let tenant = Tenant::with_tokens(vault, life, life * 60).await;
    let (token, _) = tenant.token(Role::Rotator).await;
    let mut needles = Needles(Vec::new());
    needles.text("token", &token);
    let mut settings = tenant.settings();
    for login in [&settings.signer, &settings.custodian] {
        let Some(Login::AppRole { secret_id_file, .. }) = login else { unreachable!() };
        let secret = std::fs::read_to_string(secret_id_file).unwrap();
        needles.text("secret id", secret.trim());
    }
    let path = tenant.file("token", &token);
    settings.rotator = Some(Login::TokenFile { path });
    let kms = VaultTransit::start(settings).unwrap();
    ready(&kms).await;
    let record = Record::wrap(tenant.environment(), &kms).await;
    needles.bytes("DEK", &record.sealed.dek());
    record.rewrap(&kms).await.unwrap();
    // Long enough for a renewal.
    sleep(life).await;
    record.unwrap(&kms).await;
    tenant.delete_policy(Role::Signer).await;
    let error = record.fail(&kms).await;
    kms.close().await;
    let text = format!("{error} {error:?} {}", log.text());
    assert_eq!(needles.find(&text), [""; 0], "{text}");
}
