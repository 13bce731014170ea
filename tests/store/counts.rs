//! How often shares are used: each record of a log counts once, whoever counts.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use countersign::{
    key::{Algorithm, ShareId},
    store::{ShareStore, ShareUse, postgres::Postgres, sqlite::Sqlite},
};
use futures_util::future::join_all;
use tokio_postgres::Client;
use uuid::Uuid;

use super::records::record;
use crate::support::postgres::PostgresServer;

/// The columns, read past the store.
enum Columns {
    Sqlite(PathBuf),
    Postgres(Client),
}

impl Columns {
    /// How often, and when last in microseconds since 1970.
    async fn of(&self, share: ShareId) -> (i64, Option<i64>) {
        match self {
            Self::Sqlite(file) => rusqlite::Connection::open(file)
                .unwrap()
                .query_row(
                    "SELECT access_count, last_accessed_at FROM server_wallet_key_shares
                     WHERE id = ?1",
                    [share.as_bytes()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .unwrap(),
            Self::Postgres(client) => {
                let row = client
                    .query_one(
                        "SELECT access_count, last_accessed_at FROM server_wallet_key_shares
                         WHERE id = $1",
                        &[&share.as_uuid()],
                    )
                    .await
                    .unwrap();
                let last: Option<SystemTime> = row.get(1);
                let micros =
                    |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_micros();
                (row.get(0), last.map(|time| i64::try_from(micros(time)).unwrap()))
            }
        }
    }
}

fn used(share: ShareId, count: u64, second: u64) -> ShareUse {
    ShareUse { share, count, last: UNIX_EPOCH + Duration::from_secs(second) }
}

async fn each_record_counts_once(store: &dyn ShareStore, columns: &Columns) {
    let row = record("counted", Algorithm::Ed25519);
    let revision = store.put(&row, None).await.unwrap();
    let share = row.description.identity.share;
    let (log, other) = (Uuid::new_v4(), Uuid::new_v4());
    let second = |second: i64| Some(second * 1_000_000);
    assert_eq!(columns.of(share).await, (0, None));
    assert_eq!(store.counted(log).await, Ok(0));

    assert_eq!(store.count(log, 0, 10, &[used(share, 3, 100)]).await, Ok(true));
    assert_eq!(store.counted(log).await, Ok(10));
    assert_eq!(columns.of(share).await, (3, second(100)));
    // Again, from elsewhere, and of a log that nobody has begun to count.
    for (log, from, to) in [(log, 0, 10), (log, 5, 12), (log, 11, 12), (other, 1, 2)] {
        assert_eq!(store.count(log, from, to, &[used(share, 3, 500)]).await, Ok(false));
    }
    assert_eq!(columns.of(share).await, (3, second(100)));
    assert_eq!((store.counted(log).await, store.counted(other).await), (Ok(10), Ok(0)));

    // Later records of another sidecar's log may be of an earlier time.
    assert_eq!(store.count(log, 10, 20, &[used(share, 2, 90)]).await, Ok(true));
    assert_eq!(store.count(other, 0, 7, &[used(share, 1, 200)]).await, Ok(true));
    assert_eq!(columns.of(share).await, (6, second(200)));
    // A share that is gone, and nothing at all.
    assert_eq!(store.count(log, 20, 30, &[used(ShareId::random(), 1, 1)]).await, Ok(true));
    assert_eq!(store.count(log, 30, 40, &[]).await, Ok(true));
    assert_eq!(store.counted(log).await, Ok(40));

    // Of many who count the same, one does.
    let uses = [used(share, 10, 300)];
    let counting = (0..8).map(|_| store.count(log, 40, 50, &uses));
    let counted = join_all(counting).await;
    let counted = counted.into_iter().filter(|counted| *counted == Ok(true));
    assert_eq!(counted.count(), 1);
    assert_eq!(columns.of(share).await, (16, second(300)));
    // What is forgotten is counted anew; only where all of it was counted.
    assert_eq!(store.forget(log, 49).await, Ok(false));
    assert_eq!((store.forget(log, 50).await, store.counted(log).await), (Ok(true), Ok(0)));
    assert_eq!((store.forget(log, 50).await, store.counted(other).await), (Ok(false), Ok(7)));
    // Counting is no change of the record.
    let described = store.describe(share).await.unwrap().unwrap();
    assert_eq!(described.revision, revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shares.db");
    let store = Sqlite::open(&file).unwrap();
    each_record_counts_once(&store, &Columns::Sqlite(file)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_counts_once() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let store = Postgres::open(database.settings()).await.unwrap();
    each_record_counts_once(&store, &Columns::Postgres(database.admin().await)).await;
}
