//! The embedded store: one SQLite file, the default.
//!
//! WAL with `synchronous=FULL`, so that a write that returned survives a power
//! cut, and readers never wait for the writer. Statements run on tokio's
//! blocking threads, on one connection for writing and a few for reading.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, named_params, params,
};
use tokio::{sync::Semaphore, task};

use super::{ShareStore, StoreError, StoreErrorKind};
use crate::{
    envelope::{ENVELOPE_MAX, Identity, KekRef},
    key::{
        Algorithm, Malformed, PublicKey, RecordVersion, Revision, ShareId, ShareState, WalletId,
    },
    policy::Opening,
    record::{ShareDescription, ShareRecord},
};

/// The schema that this binary writes.
const SCHEMA_VERSION: i64 = 1;
/// Each migration in order; the first makes version 1. A migration that readers
/// of older binaries would misread raises `min_reader` in the `meta` table.
const MIGRATIONS: [&str; 1] = [include_str!("sqlite/0001_shares.sql")];
/// Readers that may run at once; a read takes some microseconds.
const READERS: usize = 4;
/// How long a writer waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const COLUMNS: &str = "id, environment, wallet_id, account_address, algorithm, public_key, \
    record_version, state, kek_provider, kek_mount, kek_name, created_at, revision";

/// The SQLite store.
pub struct Sqlite {
    writer: Arc<Mutex<Connection>>,
    readers: Arc<Readers>,
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Sqlite {
    /// Opens the file, makes it with mode 0600 when it is not there, and brings
    /// its schema up to date.
    ///
    /// # Errors
    /// `Unreachable` when it cannot be opened, `Schema` when it needs a newer
    /// reader than this one, `Failed` otherwise.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        restrict(path)?;
        let connect = || -> Result<Connection, StoreError> {
            let connection = Connection::open(path).map_err(failed)?;
            connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
            connection
                .pragma_update(None, "journal_mode", "WAL")
                .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
                .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
                .map_err(failed)?;
            connection.set_prepared_statement_cache_capacity(16);
            Ok(connection)
        };
        let mut writer = connect()?;
        migrate(&mut writer)?;
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let reader = connect()?;
            reader
                .pragma_update(None, "query_only", true)
                .map_err(failed)?;
            readers.push(reader);
        }
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            readers: Arc::new(Readers {
                idle: Mutex::new(readers),
                permits: Semaphore::new(READERS),
            }),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let permit = readers.permits.acquire().await.map_err(stopped)?;
        let taken = {
            let readers = Arc::clone(&readers);
            move || {
                let idle = || readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
                let connection = idle().pop().ok_or_else(|| stopped("no reader"))?;
                let result = query(&connection);
                idle().push(connection);
                result
            }
        };
        let result = task::spawn_blocking(taken).await.map_err(stopped)?;
        drop(permit);
        result
    }

    async fn write<T: Send + 'static>(
        &self,
        statement: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writer = Arc::clone(&self.writer);
        task::spawn_blocking(move || {
            // A panic in a statement rolls its transaction back.
            statement(&mut writer.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(stopped)?
    }
}

#[async_trait]
impl ShareStore for Sqlite {
    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM server_wallet_key_shares WHERE id = ?1");
            connection
                .prepare_cached(&sql)
                .and_then(|mut query| {
                    query
                        .query_row([share.as_bytes()], |row| Ok(description(row)))
                        .optional()
                })
                .map_err(failed)?
                .transpose()
        })
        .await
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        let share = opening.share();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS}, encrypted_key_shares FROM server_wallet_key_shares WHERE id = ?1"
            );
            connection
                .prepare_cached(&sql)
                .and_then(|mut query| {
                    query
                        .query_row([share.as_bytes()], |row| {
                            let envelope: Vec<u8> = row.get("encrypted_key_shares")?;
                            Ok(description(row).map(|description| ShareRecord {
                                description,
                                envelope,
                            }))
                        })
                        .optional()
                })
                .map_err(failed)?
                .transpose()
        })
        .await
    }

    async fn put(
        &self,
        record: &ShareRecord,
        expected: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        let record = record.clone();
        require_size(&record)?;
        self.write(move |connection| match expected {
            None => insert(connection, &record),
            Some(expected) => replace(connection, &record, expected),
        })
        .await
    }

    async fn list(
        &self,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        let wallet = wallet.map(ToString::to_string);
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM server_wallet_key_shares
                 WHERE id > :after AND (:wallet IS NULL OR wallet_id = :wallet)
                 ORDER BY id LIMIT :limit"
            );
            let mut query = connection.prepare_cached(&sql).map_err(failed)?;
            let rows = query
                .query_map(
                    named_params! {
                        ":after": after.map_or_else(Vec::new, |share| share.as_bytes().to_vec()),
                        ":wallet": wallet,
                        ":limit": limit,
                    },
                    |row| Ok(description(row)),
                )
                .map_err(failed)?;
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
        self.write(move |connection| {
            let changed = connection
                .execute(
                    "UPDATE server_wallet_key_shares SET state = ?1, revision = revision + 1
                     WHERE id = ?2 AND revision = ?3",
                    params![state.as_str(), share.as_bytes(), expected.get()],
                )
                .map_err(failed)?;
            require_one(changed, expected)
        })
        .await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.read(|connection| {
            connection
                .query_row("SELECT count(*) FROM meta", [], |_| Ok(()))
                .map_err(failed)
        })
        .await
    }
}

/// The file holds ciphertext only; still nobody else needs to read it.
fn restrict(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;

    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| {
            let detail = format!("{}: {error}", path.display());
            StoreError::new(StoreErrorKind::Unreachable, detail)
        })
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found: i64 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    if found > 0 {
        let min_reader: i64 = transaction
            .query_row("SELECT min_reader FROM meta", [], |row| row.get(0))
            .map_err(failed)?;
        if min_reader > SCHEMA_VERSION {
            let detail = format!(
                "the schema needs a reader of version {min_reader}, this is {SCHEMA_VERSION}"
            );
            return Err(StoreError::new(StoreErrorKind::Schema, detail));
        }
    }
    for (version, migration) in (1..).zip(MIGRATIONS) {
        if version > found {
            transaction.execute_batch(migration).map_err(failed)?;
            transaction
                .pragma_update(None, "user_version", version)
                .map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)
}

fn insert(connection: &Connection, record: &ShareRecord) -> Result<Revision, StoreError> {
    let ShareDescription {
        identity,
        public_key,
        state,
        kek,
        created_at,
        revision: _,
    } = &record.description;
    let inserted = connection.execute(
        "INSERT INTO server_wallet_key_shares
            (id, environment, wallet_id, account_address, encrypted_key_shares,
             encryption_key_id, algorithm, public_key, record_version, state,
             kek_provider, kek_mount, kek_name, created_at, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 1)",
        params![
            identity.share.as_bytes(),
            identity.environment.as_str(),
            identity.wallet.as_str(),
            identity.address.as_ref().map(|address| address.as_str()),
            record.envelope,
            kek.to_string(),
            identity.algorithm.as_str(),
            public_key.as_bytes(),
            identity.version.get(),
            state.as_str(),
            kek.provider(),
            kek.mount(),
            kek.name(),
            micros(*created_at),
        ],
    );
    match inserted {
        Ok(_) => Ok(Revision::FIRST),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Err(
            StoreError::new(StoreErrorKind::Exists, "the share is there already"),
        ),
        Err(error) => Err(failed(error)),
    }
}

fn replace(
    connection: &Connection,
    record: &ShareRecord,
    expected: Revision,
) -> Result<Revision, StoreError> {
    let ShareDescription {
        identity,
        public_key,
        state,
        kek,
        ..
    } = &record.description;
    let changed = connection
        .execute(
            "UPDATE server_wallet_key_shares SET
                encrypted_key_shares = ?3, encryption_key_id = ?4, public_key = ?5,
                record_version = ?6, state = ?7, kek_provider = ?8, kek_mount = ?9,
                kek_name = ?10, revision = revision + 1
             WHERE id = ?1 AND revision = ?2",
            params![
                identity.share.as_bytes(),
                expected.get(),
                record.envelope,
                kek.to_string(),
                public_key.as_bytes(),
                identity.version.get(),
                state.as_str(),
                kek.provider(),
                kek.mount(),
                kek.name(),
            ],
        )
        .map_err(failed)?;
    require_one(changed, expected)
}

fn require_one(changed: usize, expected: Revision) -> Result<Revision, StoreError> {
    match changed {
        1 => Ok(expected.next()),
        _ => Err(StoreError::new(
            StoreErrorKind::Conflict,
            format!("the row is gone or not at revision {}", expected.get()),
        )),
    }
}

fn require_size(record: &ShareRecord) -> Result<(), StoreError> {
    if record.envelope.len() > ENVELOPE_MAX {
        return Err(StoreError::new(
            StoreErrorKind::Corrupt,
            format!("an envelope of {} bytes is none", record.envelope.len()),
        ));
    }
    Ok(())
}

/// Parses a row; a column that breaks its rule makes the row unusable, not
/// somebody else's.
fn description(row: &Row<'_>) -> Result<ShareDescription, StoreError> {
    let text = |column: &str| row.get::<_, String>(column).map_err(failed);
    let bad = |column: &'static str| {
        move |error: Malformed| {
            StoreError::new(StoreErrorKind::Corrupt, format!("column {column}: {error}"))
        }
    };
    let id: [u8; 16] = row.get("id").map_err(failed)?;
    let algorithm: Algorithm = text("algorithm")?.parse().map_err(bad("algorithm"))?;
    let public_key: Vec<u8> = row.get("public_key").map_err(failed)?;
    let version: u32 = row.get("record_version").map_err(failed)?;
    let address: Option<String> = row.get("account_address").map_err(failed)?;
    let kek = KekRef::new(
        &text("kek_provider")?,
        &text("kek_mount")?,
        &text("kek_name")?,
    );
    Ok(ShareDescription {
        identity: Identity {
            environment: text("environment")?.parse().map_err(bad("environment"))?,
            wallet: text("wallet_id")?.parse().map_err(bad("wallet_id"))?,
            share: uuid::Uuid::from_bytes(id).try_into().map_err(bad("id"))?,
            version: RecordVersion::try_from(version).map_err(bad("record_version"))?,
            address: address
                .map(|address| address.parse())
                .transpose()
                .map_err(bad("account_address"))?,
            algorithm,
        },
        public_key: PublicKey::parse(algorithm, &public_key).map_err(|error| {
            StoreError::new(
                StoreErrorKind::Corrupt,
                format!("column public_key: {error}"),
            )
        })?,
        state: text("state")?.parse().map_err(bad("state"))?,
        kek: kek.map_err(bad("kek_*"))?,
        created_at: UNIX_EPOCH
            + Duration::from_micros(row.get::<_, u64>("created_at").map_err(failed)?),
        revision: row.get::<_, u64>("revision").map_err(failed)?.into(),
    })
}

/// Microseconds since 1970, UTC: what Postgres keeps too.
fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: rusqlite::Error) -> StoreError {
    let kind = match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure,
        ) => StoreErrorKind::Unreachable,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Corrupt,
        _ if matches!(
            error,
            rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::IntegralValueOutOfRange(..)
        ) =>
        {
            StoreErrorKind::Corrupt
        }
        _ => StoreErrorKind::Failed,
    };
    StoreError::new(kind, error.to_string())
}

fn stopped(error: impl ToString) -> StoreError {
    StoreError::new(StoreErrorKind::Failed, error.to_string())
}
