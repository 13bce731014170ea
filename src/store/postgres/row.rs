//! Reading rows.

use std::time::SystemTime;

use tokio_postgres::{Row, types::FromSql};

use crate::{
    key::PublicKey,
    record::{ShareDescription, ShareRecord},
    store::{
        StoreError,
        row::{Columns, corrupt, micros},
    },
};

/// The columns that every query selects.
pub(super) fn describe(row: &Row) -> Result<ShareDescription, StoreError> {
    columns(row, None)
}

fn columns(row: &Row, known: Option<PublicKey>) -> Result<ShareDescription, StoreError> {
    Columns {
        id: get(row, "id")?,
        environment: get(row, "environment")?,
        wallet_id: get(row, "wallet_id")?,
        account_address: get(row, "account_address")?,
        algorithm: get(row, "algorithm")?,
        public_key: get(row, "public_key")?,
        record_version: get(row, "record_version")?,
        state: get(row, "state")?,
        destroy_after: get::<Option<SystemTime>>(row, "destroy_after")?.map(micros),
        binding: get(row, "binding")?,
        kek_provider: get(row, "kek_provider")?,
        kek_mount: get(row, "kek_mount")?,
        kek_name: get(row, "kek_name")?,
        created_at: micros(get::<SystemTime>(row, "created_at")?),
        revision: get(row, "revision")?,
    }
    .describe(known)
}

/// The columns that only fetching selects as well; `known` is the key of the
/// share as it was described.
pub(super) fn record(row: &Row, known: PublicKey) -> Result<ShareRecord, StoreError> {
    Ok(ShareRecord {
        description: columns(row, Some(known))?,
        envelope: get(row, "encrypted_key_shares")?,
    })
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &'static str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| corrupt(column, error))
}

/// How far a log is counted.
pub(super) fn next(row: &Row) -> Result<u64, StoreError> {
    u64::try_from(get::<i64>(row, "next")?).map_err(|error| corrupt("next", error))
}
