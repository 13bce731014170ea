//! Old and new binaries on one database, as during a rollout.

use countersign::{
    key::{Algorithm, Revision},
    store::{
        ShareStore, StoreError, StoreErrorKind, postgres::Postgres, schema::Migration,
        sqlite::Sqlite,
    },
};

use super::records::{record, successor};
use crate::support::postgres::PostgresServer;

/// What the next binary might add.
const COMPATIBLE: Migration =
    Migration { min_reader: 1, sql: "ALTER TABLE server_wallet_key_shares ADD COLUMN note TEXT" };
/// What old readers would misread.
const BREAKING: Migration = Migration {
    min_reader: 5,
    sql: "ALTER TABLE server_wallet_key_shares RENAME COLUMN state TO condition",
};

/// What this one has, and the one before.
const SQLITE: [Migration; 3] = [
    Migration { min_reader: 1, sql: include_str!("../../src/store/sqlite/0001_shares.sql") },
    Migration { min_reader: 1, sql: include_str!("../../src/store/sqlite/0002_counts.sql") },
    Migration { min_reader: 1, sql: include_str!("../../src/store/sqlite/0003_custody.sql") },
];
const POSTGRES: [Migration; 3] = [
    Migration { min_reader: 1, sql: include_str!("../../src/store/postgres/0001_shares.sql") },
    Migration { min_reader: 1, sql: include_str!("../../src/store/postgres/0002_counts.sql") },
    Migration { min_reader: 1, sql: include_str!("../../src/store/postgres/0003_custody.sql") },
];

/// Each reads and replaces what the other wrote.
async fn work_together(one: &dyn ShareStore, other: &dyn ShareStore) {
    for (writer, reader) in [(one, other), (other, one)] {
        let mut row = record("wallet", Algorithm::Ed25519);
        writer.put(&row, None).await.unwrap();
        let share = row.description.identity.share;
        assert_eq!(reader.describe(share).await, Ok(Some(row.description.clone())));
        row = successor(&row);
        row.description.revision = reader.put(&row, Some(Revision::FIRST)).await.unwrap();
        assert_eq!(writer.describe(share).await, Ok(Some(row.description)));
    }
}

fn assert_too_old<T>(opened: Result<T, StoreError>) {
    let error = opened.err().unwrap();
    assert_eq!(error.kind, StoreErrorKind::Schema);
    assert!(error.detail.contains("needs a reader of version 5, this is"));
}

#[tokio::test]
async fn sqlite_old_and_new_work_together() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shares.db");
    let oldest = Sqlite::open_as(&file, &SQLITE[..2]).unwrap();
    let old = Sqlite::open(&file).unwrap();
    work_together(&oldest, &old).await;
    let new = Sqlite::open_as(&file, &[SQLITE[0], SQLITE[1], SQLITE[2], COMPATIBLE]).unwrap();
    work_together(&old, &new).await;
    let reopened = Sqlite::open(&file).unwrap();
    work_together(&reopened, &new).await;
}

#[tokio::test]
async fn sqlite_refuses_what_it_would_misread() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shares.db");
    let _newest = Sqlite::open_as(&file, &[SQLITE[0], SQLITE[1], SQLITE[2], COMPATIBLE, BREAKING]);
    assert_too_old(Sqlite::open(&file));
    assert_too_old(Sqlite::open_as(&file, &[SQLITE[0], SQLITE[1], SQLITE[2], COMPATIBLE]));
}

#[tokio::test]
async fn postgres_old_and_new_work_together() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let old = Postgres::open(database.settings()).await.unwrap();
    let new = Postgres::open_as(
        database.settings(),
        &[POSTGRES[0], POSTGRES[1], POSTGRES[2], COMPATIBLE],
    )
    .await
    .unwrap();
    work_together(&old, &new).await;
    let reopened = Postgres::open(database.settings()).await.unwrap();
    work_together(&reopened, &new).await;
}

#[tokio::test]
async fn postgres_refuses_what_it_would_misread() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let running = Postgres::open(database.settings()).await.unwrap();
    let newest = &[POSTGRES[0], POSTGRES[1], POSTGRES[2], COMPATIBLE, BREAKING];
    let _ = Postgres::open_as(database.settings(), newest).await;
    assert_too_old(Postgres::open(database.settings()).await);
    assert_too_old(
        Postgres::open_as(
            database.settings(),
            &[POSTGRES[0], POSTGRES[1], POSTGRES[2], COMPATIBLE],
        )
        .await,
    );
    // One that runs already learns it with its next connection at the latest.
    let described = running.describe(countersign::key::ShareId::random()).await;
    assert_eq!(described.unwrap_err().kind, StoreErrorKind::Schema);
}
