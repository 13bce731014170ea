//! Bringing a database's schema up to date.

use std::time::Duration;

use tokio_postgres::{Client, GenericClient, error::SqlState};

use super::error::failed;
use crate::store::{
    StoreError, StoreErrorKind,
    schema::{Applied, Migration, pending},
};

pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { min_reader: 1, sql: include_str!("0001_shares.sql") },
    Migration { min_reader: 1, sql: include_str!("0002_counts.sql") },
];

/// Two processes that start at once migrate one after the other. Advisory locks
/// are the database's own; the number says "counters". A lock within the
/// transaction would not do: waiting for it does not refresh the catalog that the
/// transaction has seen.
const LOCK: &str = "SELECT pg_advisory_lock(x'636f756e74657273'::bigint)";

/// A migration, and the wait for another's, may take longer than any statement of
/// a request.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// But it waits for no table so long that requests queue behind it.
const IMPATIENCE: &str = "SET LOCAL lock_timeout = '5s'";

/// Applies what is missing, as one transaction, on a connection that is closed
/// afterwards and with it gives up the lock. A database that is up to date is only
/// read.
pub(super) async fn migrate(
    client: &mut Client,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    if pending(migrations, &applied(client).await?)?.is_empty() {
        return Ok(());
    }
    let patience = format!("SET statement_timeout = {}", PATIENCE.as_millis());
    client.batch_execute(&patience).await.map_err(failed)?;
    client.batch_execute(LOCK).await.map_err(failed)?;
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(IMPATIENCE).await.map_err(failed)?;
    for migration in pending(migrations, &applied(&transaction).await?)? {
        let Applied { version, min_reader, sha256 } = migration.row;
        let step = async {
            transaction.batch_execute(migration.sql).await?;
            transaction
                .execute(
                    "INSERT INTO countersign_schema (version, min_reader, sha256)
                     VALUES ($1, $2, $3)",
                    &[&version, &min_reader, &sha256],
                )
                .await
        };
        step.await.map_err(|error| not_permitted(version, error))?;
    }
    transaction.commit().await.map_err(failed)
}

/// Makes sure that this binary can use the schema as it is.
pub(super) async fn require_current(
    client: &Client,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    match pending(migrations, &applied(client).await?)?.first() {
        None => Ok(()),
        Some(missing) => Err(StoreError::new(
            StoreErrorKind::Schema,
            format!("the database lacks migration {}: restart, to migrate it", missing.row.version),
        )),
    }
}

async fn applied(client: &impl GenericClient) -> Result<Vec<Applied>, StoreError> {
    let exists: bool = client
        .query_one("SELECT to_regclass('countersign_schema') IS NOT NULL AS exists", &[])
        .await
        .and_then(|row| row.try_get("exists"))
        .map_err(failed)?;
    if !exists {
        return Ok(Vec::new());
    }
    let rows = client
        .query("SELECT version, min_reader, sha256 FROM countersign_schema ORDER BY version", &[])
        .await
        .map_err(failed)?;
    rows.iter()
        .map(|row| {
            Ok(Applied {
                version: row.try_get("version")?,
                min_reader: row.try_get("min_reader")?,
                sha256: row.try_get("sha256")?,
            })
        })
        .collect::<Result<_, tokio_postgres::Error>>()
        .map_err(failed)
}

fn not_permitted(version: i64, error: tokio_postgres::Error) -> StoreError {
    if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return failed(error);
    }
    StoreError::new(
        StoreErrorKind::Schema,
        format!(
            "the database lacks migration {version}, and this role may not apply it: \
             start countersign once with a role that may create tables, \
             or grant this one CREATE on the schema"
        ),
    )
}
