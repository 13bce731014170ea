//! What can be wrong between us and Vault, played by servers of the test's own.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::kms::{
    Kms, KmsErrorKind,
    vault_transit::{Settings, SettingsError, VaultTransit},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{Record, ready, scripted, soon};
use crate::support::{
    custody::same,
    https::{HttpsServer, Reply, Seen},
    pki::Authority,
};

/// How the scripted Vault names every request.
const REQUEST_ID: &str = "6d9f1c3e-52a7-4a5d-9d0e-0f4f6c1b2a3d";

/// A directory with a certificate for servers and the authority behind it.
pub(super) fn pki() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write_certificate(directory.path());
    authority.write_server_certificate(directory.path());
    directory
}

pub(super) fn start(settings: Settings) -> VaultTransit {
    VaultTransit::start(settings).unwrap()
}

fn backend(directory: &Path, servers: &[&HttpsServer]) -> VaultTransit {
    let urls: Vec<_> = servers.iter().map(|server| server.url()).collect();
    start(scripted(directory, &urls))
}

/// The answer of a Vault that unwraps everything to the same DEK.
pub(super) fn unwrapped(_: &Seen) -> Reply {
    let plaintext = STANDARD.encode([7; 32]);
    Reply::json(200, json!({"request_id": REQUEST_ID, "data": {"plaintext": plaintext}}))
}

pub(super) fn error(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({"errors": [message]}))
}

#[tokio::test]
async fn the_wrong_authority() {
    let (theirs, ours) = (pki(), pki());
    let server = HttpsServer::start(theirs.path(), unwrapped);
    let kms = backend(ours.path(), &[&server]);
    let error = Record::canned().fail(&kms).await;
    assert_eq!(error.kind, KmsErrorKind::Tls, "{error}");
    assert!(server.seen().is_empty());
    let status = kms.status(soon()).await.unwrap_err();
    assert_eq!(status.kind, KmsErrorKind::Tls);
}

#[tokio::test]
async fn tls_below_1_3() {
    let pki = pki();
    let server = HttpsServer::start_with(pki.path(), &rustls::version::TLS12, unwrapped);
    let kms = backend(pki.path(), &[&server]);
    let error = Record::canned().fail(&kms).await;
    assert_eq!(error.kind, KmsErrorKind::Tls, "{error}");
    assert!(server.seen().is_empty());
}

/// A redirect is reported and not followed; neither token nor record arrives
/// where it points to.
#[tokio::test]
async fn a_redirect() {
    let pki = pki();
    let elsewhere = HttpsServer::start(pki.path(), unwrapped);
    for status in [301, 302, 307, 308] {
        let location = format!("{}/v1/transit/decrypt/countersign-test", elsewhere.url());
        let standby =
            HttpsServer::start(pki.path(), move |_| error(status, "").with("location", &location));
        let kms = backend(pki.path(), &[&standby]);
        let error = Record::canned().fail(&kms).await;
        assert_eq!(error.kind, KmsErrorKind::Redirected, "{error}");
        assert!(!error.to_string().contains(&elsewhere.url()));
        assert!(!standby.seen().is_empty());
    }
    assert!(elsewhere.seen().is_empty());
}

/// The next address of the list is another matter: it is configured.
#[tokio::test]
async fn a_standby_gives_way_to_the_next_address() {
    let pki = pki();
    let active = HttpsServer::start(pki.path(), unwrapped);
    let standby = HttpsServer::start(pki.path(), |_| error(307, "").with("location", "https://x"));
    let kms = backend(pki.path(), &[&standby, &active]);
    let record = Record::canned();
    for _ in 0..3 {
        record.unwrap_by(&kms, soon()).await.unwrap();
    }
    assert_eq!(standby.seen().len(), 1, "the active node is remembered");
    assert_eq!(active.seen().len(), 3);
}

#[tokio::test]
async fn failover() {
    let pki = pki();
    // Nothing listens here any more.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let first = HttpsServer::start(pki.path(), |_| error(503, "Vault is sealed"));
    let second = HttpsServer::start(pki.path(), unwrapped);
    let urls = [format!("https://{gone}"), first.url(), second.url()];
    let kms = start(scripted(pki.path(), &urls));
    let record = Record::canned();
    for _ in 0..3 {
        record.unwrap_by(&kms, soon()).await.unwrap();
    }
    assert_eq!(first.seen().len(), 1);
    assert_eq!(second.seen().len(), 3);
    drop(second);
    assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Sealed);
}

/// Readiness asks every node before it gives up, needs no traffic for that, and
/// does not lead later calls to a node that does not serve.
#[tokio::test]
async fn health_passes_a_node_that_does_not_serve() {
    let pki = pki();
    for status in [429, 472, 473, 501, 503, 530] {
        let bad = HttpsServer::start(pki.path(), move |_| error(status, "Vault is sealed"));
        let good = HttpsServer::start(pki.path(), unwrapped);
        let kms = backend(pki.path(), &[&bad, &good]);
        for _ in 0..3 {
            kms.status(soon()).await.unwrap();
        }
        Record::canned().unwrap_by(&kms, soon()).await.unwrap();
        assert_eq!(bad.seen().len(), 1, "{status}: the good node is remembered");
        drop(good);
        let error = kms.status(soon()).await.unwrap_err();
        assert_ne!(error.kind, KmsErrorKind::Unreachable, "{status}: {error}");
    }
}

/// A node that was sealed since the login does not keep the others from ending
/// the token.
#[tokio::test]
async fn a_token_is_revoked_at_the_next_address() {
    let pki = pki();
    let sealed = Arc::new(AtomicBool::new(false));
    let seals = Arc::clone(&sealed);
    let first = HttpsServer::start(pki.path(), move |_| {
        if seals.load(Ordering::Relaxed) {
            return error(503, "Vault is sealed");
        }
        Reply::json(200, login("hvs.given", 3600))
    });
    let second = HttpsServer::start(pki.path(), |_| Reply::json(204, ""));
    let mut settings = scripted(pki.path(), &[first.url(), second.url()]);
    settings.signer = Some(approle(pki.path()));
    let kms = start(settings);
    ready(&kms).await;
    sealed.store(true, Ordering::Relaxed);
    kms.close().await;
    let seen = second.seen();
    let [revocation] = &seen[..] else { panic!("{} requests", seen.len()) };
    assert_eq!(revocation.uri().path(), "/v1/auth/token/revoke-self");
    assert_eq!(revocation.headers()["x-vault-token"], "hvs.given");
}

#[tokio::test]
async fn what_is_sent() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), unwrapped);
    let mut settings = scripted(pki.path(), &[server.url()]);
    settings.namespace = Some("custody/prod".to_owned());
    let kms = start(settings);
    let record = Record::canned();
    let unwrapped = record.unwrap_by(&kms, soon()).await.unwrap();
    assert_eq!(unwrapped.request_id.as_deref(), Some(REQUEST_ID));
    unwrapped.dek.reveal(|dek| same(dek, &[7; 32])).unwrap();
    kms.status(soon()).await.unwrap();

    let seen = server.seen();
    let [unwrap, health] = &seen[..] else { panic!("{} requests", seen.len()) };
    assert_eq!(
        (unwrap.method().as_str(), unwrap.uri().path()),
        ("POST", "/v1/transit/decrypt/countersign-test")
    );
    assert_eq!(unwrap.headers()["x-vault-token"], "hvs.scripted");
    assert_eq!(unwrap.headers()["x-vault-namespace"], "custody/prod");
    assert_eq!(unwrap.headers()["x-vault-request"], "true");
    let body: Value = serde_json::from_slice(unwrap.body()).unwrap();
    let context = STANDARD.encode(record.sealed.context().as_bytes());
    assert_eq!(body, json!({"ciphertext": "vault:v1:AAAA", "context": context}));
    assert_eq!(health.uri().path(), "/v1/sys/health");
    assert_eq!(health.uri().query(), Some("standbyok=true&perfstandbyok=true"));
    assert!(!health.headers().contains_key("x-vault-token"));
}

/// Logins go to the namespace, too.
#[tokio::test]
async fn a_login_in_a_namespace() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), |request| match request.uri().path() {
        "/v1/auth/approle/login" => Reply::json(200, login("hvs.given", 3600)),
        _ => unwrapped(request),
    });
    let mut settings = scripted(pki.path(), &[server.url()]);
    settings.namespace = Some("custody".to_owned());
    settings.signer = Some(approle(pki.path()));
    let kms = start(settings);
    Record::canned().unwrap_by(&kms, soon()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for request in seen.iter() {
        assert_eq!(request.headers()["x-vault-namespace"], "custody");
    }
    assert!(!seen[0].headers().contains_key("x-vault-token"));
    assert_eq!(seen[1].headers()["x-vault-token"], "hvs.given");
}

/// The body of a login's answer.
pub(super) fn login(token: &str, lease: u64) -> Value {
    json!({
        "request_id": REQUEST_ID, "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": null, "wrap_info": null, "warnings": null,
        "auth": {
            "client_token": token, "accessor": "a", "policies": [], "token_policies": [],
            "metadata": null, "lease_duration": lease, "renewable": true, "entity_id": "",
            "token_type": "service", "orphan": true,
        },
    })
}

pub(super) fn approle(directory: &Path) -> countersign::kms::vault_transit::Login {
    let secret_id_file = directory.join("secret-id");
    fs::write(&secret_id_file, "scripted-secret-id\n").unwrap();
    countersign::kms::vault_transit::Login::AppRole {
        mount: "approle".to_owned(),
        role_id: "role".to_owned(),
        secret_id_file,
    }
}

/// Which failure is tried again how often, and what comes of it.
#[tokio::test]
async fn retries() {
    let pki = pki();
    for (status, message, kind, requests) in [
        (400, "cipher: message authentication failed", KmsErrorKind::Rejected, 1),
        (400, "encryption key not found", KmsErrorKind::KeyMissing, 1),
        (404, "no handler for route", KmsErrorKind::KeyMissing, 1),
        (403, "permission denied", KmsErrorKind::Denied, 1),
        (405, "", KmsErrorKind::Protocol, 1),
        (413, "", KmsErrorKind::Protocol, 1),
        (412, "", KmsErrorKind::Unavailable, 3),
        (500, "internal error", KmsErrorKind::Unavailable, 2),
        (502, "", KmsErrorKind::Unavailable, 3),
        (503, "Vault is sealed", KmsErrorKind::Sealed, 2),
        (503, "node is not active", KmsErrorKind::Unavailable, 2),
        (504, "", KmsErrorKind::Unavailable, 3),
        (429, "rate limit quota exceeded", KmsErrorKind::RateLimited, 3),
        (200, "", KmsErrorKind::Protocol, 1),
        (204, "", KmsErrorKind::Protocol, 1),
    ] {
        let server = HttpsServer::start(pki.path(), move |_| error(status, message));
        let kms = backend(pki.path(), &[&server]);
        let error = Record::canned().fail(&kms).await;
        assert_eq!(error.kind, kind, "{status} {message}: {error}");
        assert_eq!(server.seen().len(), requests, "{status} {message}");
    }
}

/// What fails once is not noticed.
#[tokio::test]
async fn one_failure_is_mended() {
    let pki = pki();
    let before = AtomicUsize::new(0);
    let server = HttpsServer::start(pki.path(), move |request| {
        match before.fetch_add(1, Ordering::Relaxed) {
            0 => error(500, "local node not active but active cluster node not found"),
            _ => unwrapped(request),
        }
    });
    let kms = backend(pki.path(), &[&server]);
    Record::canned().unwrap_by(&kms, soon()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

/// An outage gets fewer requests than there are calls, not more: the budget ends
/// the retries, then the breaker the calls.
#[tokio::test]
async fn an_outage_is_not_amplified() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), |_| error(502, ""));
    let kms = backend(pki.path(), &[&server]);
    let record = Record::canned();
    let calls = 100;
    for _ in 0..calls {
        assert_eq!(record.fail(&kms).await.kind, KmsErrorKind::Unavailable);
    }
    let requests = server.seen().len();
    assert!(requests < calls, "{requests} requests");
}

/// The deadline holds against a server that is slow, and against one that
/// accepts and says nothing.
#[tokio::test]
async fn the_deadline_holds() {
    let pki = pki();
    let slow =
        HttpsServer::start(pki.path(), |request| unwrapped(request).after(Duration::from_secs(2)));
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("https://{}", mute.local_addr().unwrap());
    for url in [slow.url(), mute] {
        let kms = start(scripted(pki.path(), &[url]));
        let begun = Instant::now();
        let by = begun + Duration::from_millis(300);
        let error = Record::canned().unwrap_by(&kms, by).await.err().unwrap();
        assert!(begun.elapsed() < Duration::from_millis(600));
        assert!(matches!(error.kind, KmsErrorKind::Timeout | KmsErrorKind::Unreachable), "{error}");
    }
}

/// `Retry-After` is waited for where there is time and passed on where not.
#[tokio::test]
async fn retry_after() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), |_| error(429, "").with("retry-after", 60));
    let kms = backend(pki.path(), &[&server]);
    let begun = Instant::now();
    let error = Record::canned().fail(&kms).await;
    assert_eq!(error.kind, KmsErrorKind::RateLimited);
    assert_eq!(error.retry_after, Some(Duration::from_secs(60)));
    assert_eq!(server.seen().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// An answer that is none gives no DEK, and its slot comes back.
#[tokio::test]
async fn senseless_answers() {
    let pki = pki();
    let plaintext = |plaintext: &str| json!({"data": {"plaintext": plaintext}}).to_string();
    for body in [
        String::new(),
        "null".to_owned(),
        "<html>".to_owned(),
        r#"{"data":null}"#.to_owned(),
        r#"{"data":{"ciphertext":"vault:v1:AAAA"}}"#.to_owned(),
        plaintext(""),
        plaintext(&STANDARD.encode([7; 31])),
        plaintext(&STANDARD.encode([7; 33])),
        plaintext(&STANDARD.encode([7; 64])),
        plaintext("not base64, although it is as long as it"),
        plaintext(&"A".repeat(100_000)),
    ] {
        let reply = body.clone();
        let server = HttpsServer::start(pki.path(), move |_| Reply::json(200, &reply));
        let kms = backend(pki.path(), &[&server]);
        let error = Record::canned().fail(&kms).await;
        assert_eq!(error.kind, KmsErrorKind::Protocol, "{body}");
    }
}

/// Whoever calls in a crowd is served by one client with its pool.
#[tokio::test]
async fn a_crowd() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), unwrapped);
    let kms = Arc::new(backend(pki.path(), &[&server]));
    ready(&kms).await;
    let record = Record::canned();
    let (sealed, wrapped) = (&record.sealed, &record.wrapped);
    let calls = (0..12).map(|_| record.custody.unwrap(&*kms, sealed, wrapped, soon()));
    assert!(join_all(calls).await.into_iter().all(|call| call.is_ok()));
}

#[tokio::test]
async fn unusable_settings() {
    let pki = pki();
    let good = || scripted(pki.path(), &["https://127.0.0.1:8200".to_owned()]);
    let problem = |change: &dyn Fn(&mut Settings)| {
        let mut settings = good();
        change(&mut settings);
        VaultTransit::start(settings).err().unwrap()
    };
    for address in [
        "http://127.0.0.1:8200",
        "127.0.0.1:8200",
        "https://vault/ui",
        "https://user@vault",
        "https://vault?x",
        "",
    ] {
        let error = problem(&|settings| settings.addresses = vec![address.to_owned()]);
        assert!(matches!(error, SettingsError::Address(_)), "{address}");
    }
    let error = problem(&|settings| settings.addresses.clear());
    assert!(matches!(error, SettingsError::NoAddress));
    let error = problem(&|settings| settings.ca_file = pki.path().join("none"));
    assert!(matches!(error, SettingsError::CaFile { .. }));
    let error = problem(&|settings| settings.ca_file = pki.path().join("server.key"));
    assert!(matches!(error, SettingsError::Ca(_)));
    let error = problem(&|settings| settings.namespace = Some("a\nb".to_owned()));
    assert!(matches!(error, SettingsError::Namespace));
    for mount in ["", "a b", "../sys", "a/../b", "a//b", "/transit"] {
        let error = problem(&|settings| settings.mount = mount.to_owned());
        assert!(matches!(error, SettingsError::Kek(_)), "{mount}");
    }
}
