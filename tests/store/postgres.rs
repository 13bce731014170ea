//! Postgres alone, when all is well.

use countersign::{
    key::Algorithm,
    record::ShareRecord,
    store::{ShareStore, postgres::Postgres, statement},
};

use uuid::Uuid;

use super::{conformance::conformance, records::record};
use crate::support::postgres::PostgresServer;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_conforms() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    conformance(&Postgres::open(database.settings()).await.unwrap()).await;
}

#[tokio::test]
async fn every_statement_prepares() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    Postgres::open(database.settings()).await.unwrap();
    let admin = database.admin().await;
    for statement in statement::ALL {
        admin.prepare(statement).await.unwrap();
    }
}

#[tokio::test]
async fn connections_are_encrypted() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let _store = Postgres::open(database.settings()).await.unwrap();
    let row = database
        .admin()
        .await
        .query_one(
            "SELECT version, cipher, application_name
             FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE datname = current_database() AND usename = 'app'
             ORDER BY backend_start DESC LIMIT 1",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>("version"), "TLSv1.3");
    assert!(row.get::<_, &str>("cipher").starts_with("TLS_"));
    assert_eq!(row.get::<_, &str>("application_name"), "countersign");
}

/// Also where the administrator trades durability for speed.
#[tokio::test]
async fn a_write_that_returned_is_on_disk() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    Postgres::open(database.settings()).await.unwrap();
    let admin = database.admin().await;
    admin
        .batch_execute(
            "DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
             END $$;
             ALTER TABLE server_wallet_key_shares
                 ADD COLUMN seen TEXT DEFAULT current_setting('synchronous_commit')",
        )
        .await
        .unwrap();
    let store = Postgres::open(database.settings()).await.unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    store.put(&row, None).await.unwrap();
    let seen = admin.query_one("SELECT seen FROM server_wallet_key_shares", &[]).await.unwrap();
    assert_eq!(seen.get::<_, &str>("seen"), "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_that_start_at_once_migrate_once() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let opened = (0..6).map(|_| Postgres::open(database.settings()));
    for store in futures_util::future::join_all(opened).await {
        store.unwrap();
    }
}

/// The role that serves is not the one that migrated.
#[tokio::test]
async fn serving_needs_no_right_to_change_the_schema() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    Postgres::open(database.settings()).await.unwrap();
    let admin = database.admin().await;
    admin
        .batch_execute(
            "GRANT SELECT ON countersign_schema TO serve;
             GRANT SELECT, INSERT, UPDATE ON server_wallet_key_shares TO serve;
             GRANT SELECT, INSERT, UPDATE ON countersign_audit_cursors TO serve",
        )
        .await
        .unwrap();
    let mut settings = database.settings();
    settings.user = "serve".to_owned();
    let store = Postgres::open(settings).await.unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    let revision = store.put(&row, None).await.unwrap();
    store.put(&row, Some(revision)).await.unwrap();
    assert_eq!(store.count(Uuid::new_v4(), 0, 1, &[]).await, Ok(true));
}

#[tokio::test]
async fn the_ciphertext_is_kept_out_of_line_and_bounded() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let store = Postgres::open(database.settings()).await.unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    store.put(&row, None).await.unwrap();
    let admin = database.admin().await;
    let storage = admin
        .query_one(
            "SELECT attstorage::text FROM pg_attribute
             WHERE attrelid = 'server_wallet_key_shares'::regclass
             AND attname = 'encrypted_key_shares'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(storage.get::<_, &str>(0), "e");
    let columns = admin
        .query_one(
            "SELECT encryption_key_id, encryption_algorithm, access_count, last_accessed_at IS NULL
             FROM server_wallet_key_shares",
            &[],
        )
        .await
        .unwrap();
    let kek = "vault-transit/transit/eu/countersign-testing";
    assert_eq!(columns.get::<_, &str>(0), kek);
    assert_eq!(columns.get::<_, &str>(1), "AES-256-GCM");
    assert_eq!(columns.get::<_, i64>(2), 0);
    assert!(columns.get::<_, bool>(3));
    let too_long = admin
        .execute(
            "UPDATE server_wallet_key_shares SET encrypted_key_shares = decode(repeat('00', 70657), 'hex')",
            &[],
        )
        .await
        .unwrap_err();
    assert!(too_long.code().is_some_and(|code| code.code() == "23514"));
}

/// What docs/custody.md says: gone for every query at once, and from the files of the
/// database when the table is written anew. On a server of its own: a transaction in any
/// database of a shared one that is older than the removal keeps the rows.
#[tokio::test]
async fn what_is_removed_leaves_the_files_with_a_full_vacuum() {
    let Some(server) = PostgresServer::dedicated() else {
        return;
    };
    let database = server.database().await;
    let store = Postgres::open(database.settings()).await.unwrap();
    let (doomed, kept) =
        (record("wallet", Algorithm::Ed25519), record("wallet", Algorithm::Ed25519));
    for row in [&doomed, &kept] {
        store.put(row, None).await.unwrap();
    }
    let sealed = |row: &ShareRecord| row.envelope[row.envelope.len() - 48..].to_vec();
    assert!(database.has_on_disk(&sealed(&doomed)).await, "the search finds what is there");
    let description = &doomed.description;
    let elsewhere = server.database().await;
    let older = elsewhere.admin().await;
    older.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    store.remove(description.identity.share, description.revision).await.unwrap();
    let admin = database.admin().await;
    let vacuum = async || admin.batch_execute("VACUUM FULL server_wallet_key_shares").await;
    vacuum().await.unwrap();
    assert!(database.has_on_disk(&sealed(&doomed)).await, "an older transaction keeps it");
    older.batch_execute("COMMIT").await.unwrap();
    vacuum().await.unwrap();
    assert!(!database.has_on_disk(&sealed(&doomed)).await);
    assert!(database.has_on_disk(&sealed(&kept)).await);
}
