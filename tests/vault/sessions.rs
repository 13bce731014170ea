//! The life of a session with a server that the test plays: what a real one
//! answers rarely, late or never.

use std::{
    fmt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use countersign::kms::{Kms, KmsErrorKind, vault_transit::VaultTransit};
use tokio::time::{Instant, sleep};
use tracing::{Dispatch, Event, Subscriber, field::Field};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use super::{
    Record,
    network::{approle, login, pki, start},
    ready, scripted, soon,
};
use crate::support::https::{HttpsServer, Reply, Seen};

const LOGIN: &str = "/v1/auth/approle/login";
const REVOCATION: &str = "/v1/auth/token/revoke-self";

/// A backend whose signer logs in at a played server; every other role has a
/// token.
fn signing(server: &HttpsServer, directory: &Path) -> VaultTransit {
    let mut settings = scripted(directory, &[server.url()]);
    settings.signer = Some(approle(directory));
    start(settings)
}

/// The answer of a server that knows health and logins.
fn logging_in(request: &Seen, lease: u64) -> Reply {
    match request.uri().path() {
        "/v1/sys/health" => Reply::json(200, "{}"),
        _ => Reply::json(200, login("hvs.given", lease)),
    }
}

/// The status waits for the first login, but not longer than it may.
#[tokio::test]
async fn the_status_keeps_its_deadline() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), |request| match request.uri().path() {
        "/v1/sys/health" => logging_in(request, 60),
        _ => logging_in(request, 60).after(Duration::from_secs(2)),
    });
    let kms = signing(&server, pki.path());
    let begun = Instant::now();
    let by = begun + Duration::from_millis(500);
    let error = kms.status(by).await.unwrap_err();
    assert_eq!(error.kind, KmsErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1));
    kms.status(soon()).await.unwrap();
}

/// A renewal that gives no time is the end of a token, not its eternal life; nor
/// is a login that does.
#[tokio::test]
async fn no_lease_is_no_life() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), |request| match request.uri().path() {
        "/v1/auth/token/renew-self" => Reply::json(200, login("hvs.given", 0)),
        _ => logging_in(request, 1),
    });
    let kms = signing(&server, pki.path());
    ready(&kms).await;
    sleep(Duration::from_millis(2500)).await;
    let logins = |server: &HttpsServer| {
        let seen = server.seen();
        let logins = seen.iter().filter(|seen| seen.uri().path() == LOGIN);
        logins.count()
    };
    let found = logins(&server);
    assert!((3..=6).contains(&found), "{found} logins");

    let server = HttpsServer::start(pki.path(), |request| logging_in(request, 0));
    let kms = signing(&server, pki.path());
    let error = kms.status(soon()).await.unwrap_err();
    assert_eq!(error.kind, KmsErrorKind::Login, "{error}");
    sleep(Duration::from_secs(1)).await;
    let found = logins(&server);
    assert!((2..=4).contains(&found), "{found} logins");
}

/// However large the numbers of a server, nothing overflows: the role goes on.
#[tokio::test]
async fn numbers_beyond_time() {
    let pki = pki();
    for lease in [u64::MAX, u64::MAX / 2, i64::MAX as u64, 1 << 40] {
        let server = HttpsServer::start(pki.path(), move |request| logging_in(request, lease));
        let kms = signing(&server, pki.path());
        kms.status(soon()).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        kms.status(soon()).await.unwrap();
        kms.close().await;
        let logins = server.seen();
        let logins = logins.iter().filter(|seen| seen.uri().path() == LOGIN);
        assert_eq!(logins.count(), 1, "{lease}");
    }
    for seconds in ["61", "86400", "18446744073709551615"] {
        let server = HttpsServer::start(pki.path(), move |_| {
            Reply::json(429, "").with("retry-after", seconds)
        });
        let kms = start(scripted(pki.path(), &[server.url()]));
        let error = Record::canned().fail(&kms).await;
        assert_eq!(error.retry_after, Some(Duration::from_secs(60)));
    }
}

/// Panics at the first login that succeeds.
struct Trap(AtomicBool);

impl<S: Subscriber> Layer<S> for Trap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = String::new();
        event.record(&mut |_: &Field, value: &dyn fmt::Debug| text += &format!("{value:?}"));
        if text.contains("Vault login succeeded") {
            assert!(self.0.swap(true, Ordering::Relaxed), "trapped");
        }
    }
}

/// A task that dies is said to be dead, and begins again.
#[tokio::test]
async fn a_session_survives_a_panic() {
    // While there is but one subscriber, an event that another test's thread
    // meets first, which has none, is off for every thread.
    let _second = Dispatch::new(tracing_subscriber::registry());
    let trap = tracing_subscriber::registry().with(Trap(AtomicBool::new(false)));
    let _guard = trap.set_default();
    let pki = pki();
    let server = HttpsServer::start(pki.path(), |request| logging_in(request, 60));
    let kms = signing(&server, pki.path());
    let error = kms.status(soon()).await.unwrap_err();
    assert_eq!(error.kind, KmsErrorKind::Login, "{error}");
    ready(&kms).await;
}

/// A replaced token is revoked after the calls that took it, and at the latest by
/// the shutdown. One of a file is left to whoever keeps it.
#[tokio::test]
async fn replaced_tokens_are_revoked_in_the_end() {
    let pki = pki();
    let logins = AtomicUsize::new(0);
    let server = HttpsServer::start(pki.path(), move |request| match request.uri().path() {
        "/v1/sys/health" => Reply::json(200, "{}"),
        LOGIN => {
            let number = logins.fetch_add(1, Ordering::Relaxed);
            Reply::json(200, login(&format!("hvs.{number}"), 3))
        }
        "/v1/auth/token/renew-self" => Reply::json(403, r#"{"errors":["permission denied"]}"#),
        _ => Reply::json(204, ""),
    });
    let revoked = || {
        let seen = server.seen();
        let revoked = seen.iter().filter(|seen| seen.uri().path() == REVOCATION);
        let tokens = revoked.map(|seen| seen.headers()["x-vault-token"].to_str().unwrap());
        tokens.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let mut settings = scripted(pki.path(), &[server.url()]);
    settings.signer = Some(approle(pki.path()));
    settings.timeouts.request = Duration::from_millis(200);
    let kms = start(settings);
    ready(&kms).await;
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(revoked(), [""; 0]);
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(revoked(), ["hvs.0"]);
    kms.close().await;
    assert_eq!(revoked(), ["hvs.0", "hvs.1"]);

    let mut settings = scripted(pki.path(), &[server.url()]);
    settings.signer = Some(approle(pki.path()));
    settings.timeouts.request = Duration::from_secs(30);
    let kms = start(settings);
    ready(&kms).await;
    sleep(Duration::from_millis(2300)).await;
    assert_eq!(revoked().len(), 2);
    kms.close().await;
    let mut last = revoked().split_off(2);
    last.sort();
    assert_eq!(last, ["hvs.2", "hvs.3"]);
}
