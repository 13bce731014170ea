//! What goes wrong with a database, and how it heals: on the real server.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use countersign::{
    key::{Algorithm, Revision, ShareState},
    store::{ShareStore, StoreError, StoreErrorKind, postgres::Postgres},
};
use rustix::process::{Pid, Signal, kill_process};

use super::{kind, records::record};
use crate::support::{pki::Authority, postgres::PostgresServer};

fn refusal(opened: Result<Postgres, StoreError>) -> (StoreErrorKind, String) {
    let error = opened.err().expect("it is refused");
    assert!(!error.detail.contains("correct horse"), "{error}");
    (error.kind, error.detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_used_again() {
    let Some(server) = PostgresServer::dedicated() else {
        return;
    };
    let database = server.database().await;
    let store = Postgres::open(database.settings()).await.unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    let share = row.description.identity.share;
    store.put(&row, None).await.unwrap();

    server.stop();
    assert_eq!(kind(store.status().await), Err(StoreErrorKind::Unreachable));
    let described = store.describe(share).await;
    assert_eq!(kind(described), Err(StoreErrorKind::Unreachable));
    let put = store.put(&row, None).await;
    assert_eq!(kind(put), Err(StoreErrorKind::Unreachable));
    let (opened, _) = refusal(Postgres::open(database.settings()).await);
    assert_eq!(opened, StoreErrorKind::Unreachable);

    server.restart();
    assert_eq!(store.describe(share).await, Ok(Some(row.description)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_replaced() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let store = Postgres::open(database.settings()).await.unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    let share = row.description.identity.share;
    store.put(&row, None).await.unwrap();
    let admin = database.admin().await;
    for _ in 0..5 {
        let ended = admin
            .query(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = 'app'",
                &[],
            )
            .await
            .unwrap();
        assert!(!ended.is_empty());
        let described = store.describe(share).await;
        assert_eq!(described, Ok(Some(row.description.clone())));
    }
}

#[tokio::test]
async fn a_slow_statement_times_out() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let mut settings = database.settings();
    settings.statement_timeout = Duration::from_millis(200);
    settings.pool_size = 1;
    let store = Postgres::open(settings).await.unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    let share = row.description.identity.share;
    store.put(&row, None).await.unwrap();

    let mut admin = database.admin().await;
    let lock = admin.transaction().await.unwrap();
    lock.batch_execute("SELECT 1 FROM server_wallet_key_shares FOR UPDATE").await.unwrap();
    let disable = || store.set_state(share, ShareState::Disabled, Revision::FIRST);
    assert_eq!(kind(disable().await), Err(StoreErrorKind::Timeout));
    lock.rollback().await.unwrap();
    assert_eq!(disable().await, Ok(Revision::FIRST.next()));
}

/// A server that no longer answers at all cannot end the statement itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_times_out() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let mut settings = database.settings();
    settings.statement_timeout = Duration::from_millis(200);
    settings.pool_size = 1;
    let store = Postgres::open(settings).await.unwrap();
    let backend = database
        .admin()
        .await
        .query_one(
            "SELECT pid FROM pg_stat_activity
             WHERE datname = current_database() AND usename = 'app'
             ORDER BY backend_start DESC LIMIT 1",
            &[],
        )
        .await
        .unwrap();
    let backend = Pid::from_raw(backend.get("pid")).unwrap();
    kill_process(backend, Signal::STOP).unwrap();
    let silent = store.status().await;
    let next = store.status().await;
    kill_process(backend, Signal::CONT).unwrap();
    assert_eq!(kind(silent), Err(StoreErrorKind::Timeout));
    assert_eq!(next, Ok(()));
}

#[tokio::test]
async fn a_busy_pool_times_out() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let mut settings = database.settings();
    settings.connect_timeout = Duration::from_millis(300);
    settings.pool_size = 1;
    let store = Postgres::open(settings).await.unwrap();
    let admin = database.admin().await;
    admin.batch_execute("BEGIN; LOCK server_wallet_key_shares").await.unwrap();
    let (waiting, refused) = tokio::join!(store.status(), async {
        let refused = store.status().await;
        admin.batch_execute("ROLLBACK").await.unwrap();
        refused
    });
    assert_eq!(kind(refused), Err(StoreErrorKind::Timeout));
    assert_eq!(waiting, Ok(()));
}

#[tokio::test]
async fn a_schema_that_cannot_be_made_says_what_to_do() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let admin = database.admin().await;
    // What Postgres 15 and newer have from the start.
    admin.batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await.unwrap();
    let mut settings = database.settings();
    settings.user = "serve".to_owned();
    let (kind, detail) = refusal(Postgres::open(settings).await);
    assert_eq!(kind, StoreErrorKind::Schema);
    assert!(detail.contains("migration 1"), "{detail}");
    assert!(detail.contains("a role that may create tables"), "{detail}");
}

#[tokio::test]
async fn a_schema_that_vanishes_is_an_error() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let store = Postgres::open(database.settings()).await.unwrap();
    let admin = database.admin().await;
    admin.batch_execute("DROP TABLE server_wallet_key_shares").await.unwrap();
    assert_eq!(kind(store.status().await), Err(StoreErrorKind::Schema));
    let (kind, _) = refusal(Postgres::open(database.settings()).await);
    assert_eq!(kind, StoreErrorKind::Schema);
}

#[tokio::test]
async fn a_role_without_rights_is_denied() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    Postgres::open(database.settings()).await.unwrap();
    let admin = database.admin().await;
    admin
        .batch_execute("GRANT SELECT ON countersign_schema, server_wallet_key_shares TO serve")
        .await
        .unwrap();
    let mut settings = database.settings();
    settings.user = "serve".to_owned();
    let store = Postgres::open(settings.clone()).await.unwrap();
    let put = store.put(&record("wallet", Algorithm::Ed25519), None).await;
    assert_eq!(kind(put), Err(StoreErrorKind::Denied));

    admin.batch_execute("REVOKE SELECT ON server_wallet_key_shares FROM serve").await.unwrap();
    let (kind, _) = refusal(Postgres::open(settings).await);
    assert_eq!(kind, StoreErrorKind::Denied);
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_a_new_one_taken() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let directory = tempfile::tempdir().unwrap();
    let mut settings = database.settings();
    settings.password_file = directory.path().join("password");
    settings.pool_size = 1;
    let (kind, detail) = refusal(Postgres::open(settings.clone()).await);
    assert_eq!(kind, StoreErrorKind::Denied);
    assert!(detail.contains("the password file"), "{detail}");

    fs::write(&settings.password_file, "wrong horse").unwrap();
    let (kind, detail) = refusal(Postgres::open(settings.clone()).await);
    assert_eq!(kind, StoreErrorKind::Denied);
    assert!(!detail.contains("horse"), "{detail}");

    fs::write(&settings.password_file, " correct horse \n\n").unwrap();
    Postgres::open(settings).await.unwrap();
}

/// A server that lets everybody in proves nothing about the channel.
#[tokio::test]
async fn a_login_without_channel_binding_is_denied() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let mut settings = database.settings();
    settings.user = "trusted".to_owned();
    let (kind, detail) = refusal(Postgres::open(settings).await);
    assert_eq!(kind, StoreErrorKind::Denied);
    assert!(detail.contains("channel binding"), "{detail}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let directory = tempfile::tempdir().unwrap();
    let mut settings = database.settings();
    settings.ca_file = directory.path().join("ca.pem");
    let (kind, _) = refusal(Postgres::open(settings.clone()).await);
    assert_eq!(kind, StoreErrorKind::Tls, "no file");
    fs::write(&settings.ca_file, "").unwrap();
    let (kind, _) = refusal(Postgres::open(settings.clone()).await);
    assert_eq!(kind, StoreErrorKind::Tls, "no certificate");
    Authority::new().write_certificate(directory.path());
    let (kind, detail) = refusal(Postgres::open(settings).await);
    assert_eq!(kind, StoreErrorKind::Tls, "{detail}");
}

/// The server listens there too, but its certificate does not say so.
#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    for (host, expected) in [
        ("127.0.0.1", None),
        ("127.0.0.2", Some(StoreErrorKind::Tls)),
        ("/var/run/postgresql", Some(StoreErrorKind::Tls)),
    ] {
        let mut settings = database.settings();
        settings.host = host.to_owned();
        let opened = Postgres::open(settings).await;
        assert_eq!(opened.err().map(|error| error.kind), expected, "{host}");
    }
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let Some(server) = PostgresServer::outdated() else {
        return;
    };
    let database = server.database().await;
    let (kind, detail) = refusal(Postgres::open(database.settings()).await);
    assert_eq!(kind, StoreErrorKind::Tls, "{detail}");
}

#[tokio::test]
async fn plain_text_is_refused() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = database.settings();
    settings.host = "127.0.0.1".to_owned();
    settings.port = plain.local_addr().unwrap().port();
    // Postgres's answer to a request for TLS that it does not speak.
    let answers = thread::spawn(move || {
        let (mut client, _) = plain.accept().unwrap();
        client.read_exact(&mut [0; 8]).unwrap();
        client.write_all(b"N").unwrap();
    });
    let (kind, detail) = refusal(Postgres::open(settings).await);
    answers.join().unwrap();
    assert_eq!(kind, StoreErrorKind::Tls, "{detail}");
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = database.settings();
    settings.host = "127.0.0.1".to_owned();
    settings.port = silent.local_addr().unwrap().port();
    settings.connect_timeout = Duration::from_millis(200);
    let (kind, _) = refusal(Postgres::open(settings).await);
    assert_eq!(kind, StoreErrorKind::Timeout);
}
