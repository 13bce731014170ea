//! Bringing a database's schema up to date.

use std::time::Duration;

use tokio_postgres::{Client, GenericClient, error::SqlState};

use super::error::failed;
use crate::store::{
    StoreError, StoreErrorKind,
    schema::{Applied, Migration, Pending, pending},
};

/// What is to be in a database.
#[derive(Clone, Copy)]
pub struct Schema {
    /// The table of the migrations that were applied. The first one makes it.
    pub table: &'static str,
    /// All that this binary knows.
    pub migrations: &'static [Migration],
}

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

impl Schema {
    /// Applies what is missing, as one transaction, on a connection that is closed
    /// afterwards and with it gives up the lock. A database that is up to date is only
    /// read.
    pub(super) async fn migrate(&self, client: &mut Client) -> Result<(), StoreError> {
        if self.missing(client).await?.is_empty() {
            return Ok(());
        }
        let patience = format!("SET statement_timeout = {}", PATIENCE.as_millis());
        client.batch_execute(&patience).await.map_err(failed)?;
        client.batch_execute(LOCK).await.map_err(failed)?;
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.batch_execute(IMPATIENCE).await.map_err(failed)?;
        let insert =
            format!("INSERT INTO {} (version, min_reader, sha256) VALUES ($1, $2, $3)", self.table);
        for migration in self.missing(&transaction).await? {
            let Applied { version, min_reader, sha256 } = migration.row;
            let step = async {
                transaction.batch_execute(migration.sql).await?;
                transaction.execute(&insert, &[&version, &min_reader, &sha256]).await
            };
            step.await.map_err(|error| not_permitted(version, error))?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Makes sure that this binary can use the schema as it is.
    pub(super) async fn require_current(&self, client: &Client) -> Result<(), StoreError> {
        match self.missing(client).await?.first() {
            None => Ok(()),
            Some(missing) => Err(StoreError::new(
                StoreErrorKind::Schema,
                format!(
                    "the database lacks migration {}: restart, to migrate it",
                    missing.row.version
                ),
            )),
        }
    }

    /// What is still to apply.
    async fn missing(&self, client: &impl GenericClient) -> Result<Vec<Pending>, StoreError> {
        pending(self.migrations, &applied(client, self.table).await?)
    }
}

async fn applied(client: &impl GenericClient, table: &str) -> Result<Vec<Applied>, StoreError> {
    let exists: bool = client
        .query_one("SELECT to_regclass($1) IS NOT NULL AS exists", &[&table])
        .await
        .and_then(|row| row.try_get("exists"))
        .map_err(failed)?;
    if !exists {
        return Ok(Vec::new());
    }
    let query = format!("SELECT version, min_reader, sha256 FROM {table} ORDER BY version");
    let rows = client.query(&query, &[]).await.map_err(failed)?;
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
             run `countersign check --online` once with a role that may create tables, \
             or grant this one CREATE on the schema"
        ),
    )
}
