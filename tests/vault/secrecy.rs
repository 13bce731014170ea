//! No key, token, credential or answer in an error or a log.

use std::{fs, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    client,
    envelope::{Envelope, KekContext},
    key::{Algorithm, ShareId},
    kms::{
        Kms,
        vault_transit::{Login, Role, VaultTransit},
    },
    proto,
};
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    Record, Tenant, VaultServer,
    network::{approle, login},
    ready, scripted, shared_vault, soon,
};
use crate::support::{
    enclave::PERMISSIVE,
    https::{HttpsServer, Reply},
    logs::Log,
    pki::Authority,
    served::binary,
    supervisor::Server,
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
        let secret = fs::read_to_string(secret_id_file).unwrap();
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

/// The real program at the most verbose level that can be configured: what its
/// libraries log then is on standard error, or it is not.
#[tokio::test(flavor = "multi_thread")]
async fn the_most_verbose_program() {
    let vault = shared_vault!();
    let tenant = Tenant::new(vault).await;
    let home = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("policies")).unwrap();
    fs::write(at("policies/test.cedar"), PERMISSIVE).unwrap();
    let mut needles = Needles(Vec::new());
    let (signer, _) = tenant.token(Role::Signer).await;
    needles.text("token", &signer);
    let signer = tenant.file("signer", &signer);
    let Login::AppRole { mount, role_id, secret_id_file } = tenant.login(Role::Custodian) else {
        unreachable!()
    };
    let secret_id = fs::read_to_string(&secret_id_file).unwrap();
    needles.text("secret id", secret_id.trim());
    let config = format!(
        r#"
        environment = "{environment}"
        listen = {{ enclave = "{at}/enclave.sock", custody = "{at}/custody.sock" }}
        caller = [{{ name = "app", uid = {uid} }}]
        policy = {{ directory = "{at}/policies" }}
        store = {{ kind = "sqlite", path = "{at}/shares.db" }}
        kms = {{ kind = "vault-transit" }}
        audit = {{ directory = "{at}/audit" }}
        log = {{ level = "trace" }}
        [vault]
        addresses = ["{url}"]
        ca_file = "{ca}"
        signer = {{ method = "token-file", token_file = "{signer}" }}
        [vault.custodian]
        method = "approle"
        mount = "{mount}"
        role_id = "{role_id}"
        secret_id_file = "{secret_id_file}"
        "#,
        environment = tenant.environment(),
        at = home.path().display(),
        uid = rustix::process::getuid().as_raw(),
        url = vault.url(),
        ca = vault.ca_file().display(),
        signer = signer.display(),
        secret_id_file = secret_id_file.display(),
    );
    fs::write(at("config.toml"), config).unwrap();
    let log = at("log");
    let text = || fs::read_to_string(&log).unwrap();
    let mut command = Command::new(binary());
    command.args(["serve", "--config"]).arg(at("config.toml"));
    // What the libraries would take as a wish for more.
    command.env("RUST_LOG", "trace");
    let server = Server::start(&mut command, &log);
    let give_up = Instant::now() + std::time::Duration::from_secs(20);
    while !text().contains("\"Ready\"") {
        assert!(Instant::now() < give_up && server.is_running(), "{}", text());
        sleep(std::time::Duration::from_millis(10)).await;
    }

    let id = ShareId::random().to_string();
    let generate = proto::GenerateShareRequest {
        share_id: id.clone(),
        wallet_id: "wallet-1".to_owned(),
        algorithm: Algorithm::Ed25519.number().into(),
    };
    let mut custody = client::custody(&at("custody.sock")).await.unwrap();
    custody.generate_share(generate).await.unwrap();
    let sign = proto::SignRequest {
        share_id: id,
        wallet_id: "wallet-1".to_owned(),
        payload: crate::support::enclave::message(b"hello"),
        ..Default::default()
    };
    let mut enclave = client::enclave(&at("enclave.sock")).await.unwrap();
    enclave.sign(sign.clone()).await.unwrap();
    needles.text("DEK", &dek(vault, &tenant, &at("shares.db")).await);
    tenant.delete_policy(Role::Signer).await;
    enclave.sign(sign).await.unwrap_err();
    server.stop(rustix::process::Signal::TERM);

    let text = text();
    assert!(text.contains("Vault login succeeded"), "{text}");
    assert!(text.contains("\"request_id\""), "{text}");
    assert_eq!(needles.find(&text), [""; 0], "{text}");
    let planted = format!("{text}{}", secret_id.trim());
    assert_eq!(needles.find(&planted), ["secret id"]);
}

/// The DEK of the only share in a database, in base64, as Vault says it.
async fn dek(vault: &VaultServer, tenant: &Tenant<'_>, database: &Path) -> String {
    let query = "SELECT encrypted_key_shares FROM server_wallet_key_shares";
    let database = rusqlite::Connection::open(database).unwrap();
    let envelope: Vec<u8> = database.query_row(query, [], |row| row.get(0)).unwrap();
    let envelope = Envelope::decode(&envelope).unwrap();
    let context = KekContext::of(&envelope.header().identity);
    let body = json!({
        "ciphertext": String::from_utf8_lossy(envelope.wrapped_dek().as_bytes()),
        "context": STANDARD.encode(context.as_bytes()),
    });
    let path = tenant.path("decrypt");
    let answer = vault.root(Method::POST, &path, body).await;
    answer["plaintext"].as_str().unwrap().to_owned()
}
