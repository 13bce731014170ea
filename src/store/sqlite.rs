//! The embedded store: one SQLite file, the default.
//!
//! WAL with `synchronous=FULL`, so that a write that returned survives a power
//! cut, and readers never wait for the writer. There is one connection for
//! writing and a few for reading. A lookup by key runs where it is asked for;
//! every other statement runs on tokio's blocking threads.
//!
//! What is deleted or overwritten is zeroed in the file (`secure_delete`), and a share that is
//! removed takes the write-ahead log with it.
//!
//! `access_count` and `last_accessed_at` are a projection of the audit log, which
//! alone counts exactly; nothing on the signing path writes them.
#![forbid(unsafe_code)]

mod connection;
mod error;
mod row;
mod schema;

use std::{path::Path, time::SystemTime};

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Params, params};
use uuid::Uuid;

use self::{
    connection::Connections,
    error::{failed, inserted},
};
use super::{
    ShareStore, ShareUse, StoreError, StoreErrorKind,
    row::{OVERWRITTEN, micros, require_size, revision, swapped},
    schema::Migration,
    statement,
};
use crate::{
    key::{Environment, Revision, ShareId, ShareState, WalletId},
    policy::Opening,
    record::{ShareDescription, ShareRecord},
};

/// $1 log, $2 to, $3 from. A log that nobody counted is counted from 0.
const MOVE: &str = "
    INSERT INTO countersign_audit_cursors (log, next, changed_at)
    SELECT $1, $2, unixepoch() * 1000000
    WHERE $3 = 0 OR EXISTS (SELECT 1 FROM countersign_audit_cursors WHERE log = $1)
    ON CONFLICT (log) DO UPDATE SET next = excluded.next, changed_at = excluded.changed_at
    WHERE next = $3";

/// $1 uses, $2 when last, $3 share.
const ADD: &str = "
    UPDATE server_wallet_key_shares SET
        access_count = access_count + $1,
        last_accessed_at = max(coalesce(last_accessed_at, $2), $2)
    WHERE id = $3";

/// The SQLite store.
pub struct Sqlite(Connections);

impl Sqlite {
    /// Opens the file, makes it with mode 0600 when it is not there, and brings
    /// its schema up to date.
    ///
    /// # Errors
    /// `Unreachable` when it cannot be opened, `Schema` when it needs a newer
    /// reader than this one, `Failed` otherwise.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_as(path, schema::MIGRATIONS)
    }

    /// Opens the file as the binary that knows `migrations` would.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    #[doc(hidden)]
    pub fn open_as(path: &Path, migrations: &[Migration]) -> Result<Self, StoreError> {
        Connections::open(path, migrations).map(Self)
    }
}

#[async_trait]
impl ShareStore for Sqlite {
    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        self.0
            .look_up(move |connection| {
                connection
                    .prepare_cached(statement::DESCRIBE)?
                    .query_row([share.as_bytes()], |row| Ok(row::describe(row)))
                    .optional()
            })
            .await?
            .transpose()
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        let (share, known) = (opening.share(), opening.public_key());
        self.0
            .look_up(move |connection| {
                connection
                    .prepare_cached(statement::FETCH)?
                    .query_row([share.as_bytes()], |row| Ok(row::record(row, known)))
                    .optional()
            })
            .await?
            .transpose()
    }

    async fn put(
        &self,
        record: &ShareRecord,
        expected: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        require_size(record)?;
        let record = record.clone();
        self.0
            .write(move |connection| match expected {
                None => insert(connection, &record),
                Some(expected) => replace(connection, &record, expected),
            })
            .await
    }

    async fn list(
        &self,
        environment: &Environment,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        let (environment, wallet) = (environment.clone(), wallet.cloned());
        // Every id sorts after the empty blob.
        let after = after.map_or_else(Vec::new, |share| share.as_bytes().to_vec());
        self.0
            .read(move |connection| {
                let mut query;
                let rows = match &wallet {
                    None => {
                        query = connection.prepare_cached(statement::LIST).map_err(failed)?;
                        query.query(params![environment.as_str(), after, limit])
                    }
                    Some(wallet) => {
                        query =
                            connection.prepare_cached(statement::LIST_WALLET).map_err(failed)?;
                        query.query(params![environment.as_str(), wallet.as_str(), after, limit])
                    }
                };
                let rows = rows.map_err(failed)?.mapped(|row| Ok(row::describe(row)));
                rows.map(|row| row.map_err(failed)?).collect()
            })
            .await
    }

    async fn set_state(
        &self,
        share: ShareId,
        state: ShareState,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.0
            .write(move |connection| {
                let values = params![state.as_str(), share.as_bytes(), revision(expected)];
                swapped(execute(connection, statement::SET_STATE, values)?, expected)
            })
            .await
    }

    async fn schedule(
        &self,
        share: ShareId,
        after: Option<SystemTime>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let after = after.map(micros);
        let changed = self.0.write(move |connection| {
            let values = params![after, share.as_bytes(), revision(expected)];
            execute(connection, statement::SCHEDULE, values)
        });
        swapped(changed.await?, expected)
    }

    async fn remove(&self, share: ShareId, expected: Revision) -> Result<(), StoreError> {
        let removed = self.0.write(move |connection| {
            let (share, revision) = (share.as_bytes(), revision(expected));
            let values = params![OVERWRITTEN, share, revision];
            swapped(execute(connection, statement::OVERWRITE, values)?, expected)?;
            // Before the row is gone, so that this can be tried again.
            truncate_log(connection)?;
            execute(connection, statement::REMOVE, params![share, revision])
        });
        swapped(removed.await?, expected).map(drop)
    }

    async fn counted(&self, log: Uuid) -> Result<u64, StoreError> {
        let next = self.0.read(move |connection| {
            connection
                .prepare_cached(statement::COUNTED)
                .and_then(|mut query| {
                    query.query_row([log.as_bytes()], |row| row.get(0)).optional()
                })
                .map_err(failed)
        });
        Ok(next.await?.unwrap_or(0))
    }

    async fn count(
        &self,
        log: Uuid,
        from: u64,
        to: u64,
        uses: &[ShareUse],
    ) -> Result<bool, StoreError> {
        let uses = uses.to_vec();
        let counted = move |connection: &rusqlite::Connection| {
            // Rolled back where it is not committed.
            let transaction = connection.unchecked_transaction()?;
            let moved =
                transaction.prepare_cached(MOVE)?.execute(params![log.as_bytes(), to, from])?;
            if moved == 0 {
                return Ok(false);
            }
            let mut add = transaction.prepare_cached(ADD)?;
            for ShareUse { share, count, last } in uses {
                add.execute(params![count, micros(last), share.as_bytes()])?;
            }
            drop(add);
            transaction.commit()?;
            Ok(true)
        };
        self.0.write(move |connection| counted(connection).map_err(failed)).await
    }

    async fn forget(&self, log: Uuid, at: u64) -> Result<bool, StoreError> {
        let forgotten = self.0.write(move |connection| {
            connection
                .prepare_cached(statement::FORGET)
                .and_then(|mut delete| delete.execute(params![log.as_bytes(), at]))
                .map_err(failed)
        });
        Ok(forgotten.await? > 0)
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.0
            .read(|connection| {
                connection
                    .prepare_cached(statement::STATUS)
                    .and_then(|mut query| query.exists([]))
                    .map(drop)
                    .map_err(failed)
            })
            .await
    }
}

/// How many rows it changed.
fn execute(
    connection: &rusqlite::Connection,
    statement: &str,
    values: impl Params,
) -> Result<u64, StoreError> {
    let changed = connection.prepare_cached(statement).and_then(|mut all| all.execute(values));
    Ok(changed.map_err(failed)? as u64)
}

/// Writes the write-ahead log into the file and cuts it to nothing: what was overwritten
/// stands in it until then.
fn truncate_log(connection: &rusqlite::Connection) -> Result<(), StoreError> {
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy: i64 = connection.query_row(checkpoint, [], |row| row.get(0)).map_err(failed)?;
    match busy {
        0 => Ok(()),
        _ => Err(StoreError::new(StoreErrorKind::Timeout, "another process reads the file")),
    }
}

fn insert(connection: &rusqlite::Connection, record: &ShareRecord) -> Result<Revision, StoreError> {
    let ShareDescription { identity, public_key, state, kek, created_at, .. } = &record.description;
    inserted(connection.prepare_cached(statement::INSERT).and_then(|mut insert| {
        insert.execute(params![
            identity.share.as_bytes(),
            identity.environment.as_str(),
            identity.wallet.as_str(),
            identity.address.as_ref().map(|address| address.as_str()),
            identity.algorithm.as_str(),
            micros(*created_at),
            public_key.as_bytes(),
            identity.version.get(),
            state.as_str(),
            kek.provider(),
            kek.mount(),
            kek.name(),
            kek.to_string(),
            record.envelope,
            identity.binding.as_str(),
        ])
    }))
}

fn replace(
    connection: &rusqlite::Connection,
    record: &ShareRecord,
    expected: Revision,
) -> Result<Revision, StoreError> {
    let ShareDescription { identity, public_key, state, kek, .. } = &record.description;
    let changed = connection
        .prepare_cached(statement::REPLACE)
        .and_then(|mut update| {
            update.execute(params![
                public_key.as_bytes(),
                identity.version.get(),
                state.as_str(),
                kek.provider(),
                kek.mount(),
                kek.name(),
                kek.to_string(),
                record.envelope,
                identity.share.as_bytes(),
                revision(expected),
            ])
        })
        .map_err(failed)?;
    swapped(changed as u64, expected)
}
