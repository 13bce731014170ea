//! SQLite alone.

use std::{fs, os::unix::fs::PermissionsExt};

use countersign::{
    key::Algorithm,
    store::{ShareStore, StoreErrorKind, sqlite::Sqlite, statement},
};

use super::{conformance::conformance, records::record};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_conforms() {
    let directory = tempfile::tempdir().unwrap();
    conformance(&Sqlite::open(&directory.path().join("shares.db")).unwrap()).await;
}

#[tokio::test]
async fn two_processes_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shares.db");
    let (one, other) = (Sqlite::open(&file).unwrap(), Sqlite::open(&file).unwrap());
    let row = record("wallet", Algorithm::Ed25519);
    one.put(&row, None).await.unwrap();
    let share = row.description.identity.share;
    assert_eq!(other.describe(share).await, Ok(Some(row.description)));
}

#[tokio::test]
async fn rows_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shares.db");
    let row = record("wallet", Algorithm::Ed25519);
    let store = Sqlite::open(&file).unwrap();
    store.put(&row, None).await.unwrap();
    drop(store);
    let store = Sqlite::open(&file).unwrap();
    let share = row.description.identity.share;
    assert_eq!(store.describe(share).await, Ok(Some(row.description)));
}

#[test]
fn nobody_else_may_read_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shares.db");
    let _store = Sqlite::open(&file).unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        seen += 1;
    }
    assert!(seen >= 2, "the file and its log");
}

#[test]
fn every_statement_prepares() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shares.db");
    let _store = Sqlite::open(&file).unwrap();
    let connection = rusqlite::Connection::open(&file).unwrap();
    for statement in statement::ALL {
        connection.prepare(statement).unwrap();
    }
}

#[test]
fn a_file_out_of_reach_is_unreachable() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing").join("shares.db");
    let error = Sqlite::open(&missing).err().unwrap();
    assert_eq!(error.kind, StoreErrorKind::Unreachable);

    let file = directory.path().join("text");
    fs::write(&file, "not a database, and long enough to be seen as none".repeat(100)).unwrap();
    let error = Sqlite::open(&file).err().unwrap();
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
}

/// A caller that goes away in the middle of a read takes no reader with it.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_reads_cost_no_reader() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("shares.db")).unwrap();
    for _ in 0..200 {
        tokio::select! {
            biased;
            _ = store.status() => {}
            () = tokio::task::yield_now() => {}
        }
        store.status().await.unwrap();
    }
}
