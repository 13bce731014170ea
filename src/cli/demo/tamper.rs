//! The demo's attacker: somebody who can write to the database.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::cli::failure::Failure;

/// Puts the envelope of one share into the row of another; keeps the original
/// for [`restore`].
pub(super) async fn copy_envelope(database: &Path, from: &str, into: &str) -> Result<(), Failure> {
    change(
        database,
        "CREATE TABLE IF NOT EXISTS kept (id BLOB PRIMARY KEY, envelope BLOB);
         INSERT OR REPLACE INTO kept SELECT id, encrypted_key_shares
            FROM server_wallet_key_shares;",
        "UPDATE server_wallet_key_shares SET encrypted_key_shares =
            (SELECT envelope FROM kept WHERE id = ?2) WHERE id = ?1",
        &[into, from],
    )
    .await
}

/// Changes the last bit of a share's ciphertext.
pub(super) async fn flip_last_bit(database: &Path, share: &str) -> Result<(), Failure> {
    let database = database.to_owned();
    let share = id(share)?;
    in_background(move || {
        let connection = Connection::open(database)?;
        let mut envelope: Vec<u8> = connection.query_row(
            "SELECT encrypted_key_shares FROM server_wallet_key_shares WHERE id = ?1",
            [share.as_bytes()],
            |row| row.get(0),
        )?;
        if let Some(last) = envelope.last_mut() {
            *last ^= 1;
        }
        connection.execute(
            "UPDATE server_wallet_key_shares SET encrypted_key_shares = ?2 WHERE id = ?1",
            params![share.as_bytes(), envelope],
        )?;
        Ok(())
    })
    .await
}

/// Puts the original envelope back.
pub(super) async fn restore(database: &Path, share: &str) -> Result<(), Failure> {
    change(
        database,
        "",
        "UPDATE server_wallet_key_shares SET encrypted_key_shares =
            (SELECT envelope FROM kept WHERE id = ?1) WHERE id = ?1",
        &[share],
    )
    .await
}

/// Takes the kept originals away.
pub(super) async fn forget(database: &Path) -> Result<(), Failure> {
    let database = database.to_owned();
    in_background(move || Connection::open(database)?.execute_batch("DROP TABLE kept")).await
}

async fn change(
    database: &Path,
    prepare: &'static str,
    update: &'static str,
    shares: &[&str],
) -> Result<(), Failure> {
    let database: PathBuf = database.to_owned();
    let shares: Vec<Uuid> = shares.iter().map(|share| id(share)).collect::<Result<_, _>>()?;
    in_background(move || {
        let connection = Connection::open(database)?;
        connection.execute_batch(prepare)?;
        let ids: Vec<&[u8]> = shares.iter().map(|share| &share.as_bytes()[..]).collect();
        connection.execute(update, rusqlite::params_from_iter(ids))?;
        Ok(())
    })
    .await
}

async fn in_background(
    work: impl FnOnce() -> rusqlite::Result<()> + Send + 'static,
) -> Result<(), Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(error.to_string()))?
        .map_err(|error| Failure::new(error.to_string()))
}

fn id(share: &str) -> Result<Uuid, Failure> {
    share.parse().map_err(|error| Failure::new(format!("{error}")))
}
