//! Bringing a file's schema up to date.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::error::failed;
use crate::store::{
    StoreError,
    schema::{Applied, Migration, pending},
};

pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { min_reader: 1, sql: include_str!("0001_shares.sql") },
    Migration { min_reader: 1, sql: include_str!("0002_counts.sql") },
    Migration { min_reader: 1, sql: include_str!("0003_custody.sql") },
];

/// Applies what is missing, as one transaction that no other process can enter.
pub(super) fn migrate(
    connection: &mut Connection,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let applied = applied(&transaction).map_err(failed)?;
    for migration in pending(migrations, &applied)? {
        transaction.execute_batch(migration.sql).map_err(failed)?;
        let Applied { version, min_reader, sha256 } = migration.row;
        transaction
            .execute(
                "INSERT INTO countersign_schema (version, min_reader, sha256, applied_at)
                 VALUES (?1, ?2, ?3, unixepoch() * 1000000)",
                params![version, min_reader, sha256],
            )
            .map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn applied(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Applied>> {
    if !transaction.table_exists(None, "countersign_schema")? {
        return Ok(Vec::new());
    }
    transaction
        .prepare("SELECT version, min_reader, sha256 FROM countersign_schema ORDER BY version")?
        .query_map([], |row| {
            Ok(Applied { version: row.get(0)?, min_reader: row.get(1)?, sha256: row.get(2)? })
        })?
        .collect()
}
