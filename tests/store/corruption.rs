//! Columns that somebody changed: the row is refused, and the column named.

use countersign::{
    key::{Algorithm, ShareId},
    store::{ShareStore, StoreErrorKind, postgres::Postgres, sqlite::Sqlite},
};

use super::records::{environment, record};
use crate::support::postgres::PostgresServer;

/// SQL that both engines read alike.
const NONSENSE: [(&str, &str); 11] = [
    ("environment", "'Not An Environment'"),
    ("wallet_id", "'no wallet'"),
    ("account_address", "'with space'"),
    ("algorithm", "'rot13'"),
    ("record_version", "0"),
    ("record_version", "4294967296"),
    ("state", "'half'"),
    ("kek_provider", "''"),
    ("kek_mount", "'//'"),
    ("kek_name", "'?'"),
    ("revision", "-1"),
];

async fn refused(store: &dyn ShareStore, share: ShareId, column: &str, value: &str) {
    let contents = value.trim_matches('\'');
    let described = store.describe(share).await.map(drop);
    let listed = store.list(&environment(), None, None, 10).await.map(drop);
    // A row of another environment is nobody's to list here.
    let listed = (column != "environment").then_some(listed);
    for result in listed.into_iter().chain([described]) {
        let error = result.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{column}: {error}");
        assert!(error.detail.contains(column), "{column}: {error}");
        let told = !contents.is_empty() && error.detail.contains(contents);
        assert!(!told || !value.starts_with('\''), "{column}: {error}");
    }
}

#[tokio::test]
async fn sqlite_refuses_nonsense() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shares.db");
    let store = Sqlite::open(&file).unwrap();
    let raw = rusqlite::Connection::open(&file).unwrap();
    let own = [
        ("public_key", "x'00'"),
        ("public_key", "zeroblob(32)"),
        ("created_at", "-1"),
        ("wallet_id", "CAST(x'ff' AS TEXT)"),
        ("id", "zeroblob(16)"),
    ];
    for (column, value) in NONSENSE.into_iter().chain(own) {
        let row = record("wallet", Algorithm::Ed25519);
        store.put(&row, None).await.unwrap();
        raw.execute_batch(&format!("UPDATE server_wallet_key_shares SET {column} = {value}"))
            .unwrap();
        let share = match column {
            "id" => continue,
            _ => row.description.identity.share,
        };
        refused(&store, share, column, value).await;
        raw.execute_batch("DELETE FROM server_wallet_key_shares").unwrap();
    }
    let listed = store.list(&environment(), None, None, 10).await.unwrap_err();
    assert!(listed.detail.contains("column id"), "{listed}");
}

#[tokio::test]
async fn postgres_refuses_nonsense() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let store = Postgres::open(database.settings()).await.unwrap();
    let raw = database.admin().await;
    let own = [
        ("public_key", r"'\x00'"),
        ("public_key", "decode(repeat('00', 32), 'hex')"),
        ("created_at", "'1969-12-31 23:59:59+00'"),
        ("created_at", "'-infinity'"),
    ];
    for (column, value) in NONSENSE.into_iter().chain(own) {
        let row = record("wallet", Algorithm::Ed25519);
        store.put(&row, None).await.unwrap();
        raw.batch_execute(&format!("UPDATE server_wallet_key_shares SET {column} = {value}"))
            .await
            .unwrap();
        refused(&store, row.description.identity.share, column, value).await;
        raw.batch_execute("DELETE FROM server_wallet_key_shares").await.unwrap();
    }
}
