//! Reading rows.

use rusqlite::{Row, types::FromSql};
use uuid::Uuid;

use crate::{
    key::PublicKey,
    record::{ShareDescription, ShareRecord},
    store::{
        StoreError,
        row::{Columns, corrupt},
    },
};

/// The columns that every query selects.
pub(super) fn describe(row: &Row<'_>) -> Result<ShareDescription, StoreError> {
    columns(row, None)
}

fn columns(row: &Row<'_>, known: Option<PublicKey>) -> Result<ShareDescription, StoreError> {
    let text = |column: &'static str| {
        let value = row.get_ref(column);
        value
            .map_err(|error| corrupt(column, error))?
            .as_str()
            .map_err(|error| corrupt(column, error))
    };
    let public_key: Vec<u8> = get(row, "public_key")?;
    Columns {
        id: Uuid::from_bytes(get(row, "id")?),
        environment: text("environment")?,
        wallet_id: text("wallet_id")?,
        account_address: get::<Option<String>>(row, "account_address")?.as_deref(),
        algorithm: text("algorithm")?,
        public_key: &public_key,
        record_version: get(row, "record_version")?,
        state: text("state")?,
        destroy_after: get(row, "destroy_after")?,
        binding: text("binding")?,
        kek_provider: text("kek_provider")?,
        kek_mount: text("kek_mount")?,
        kek_name: text("kek_name")?,
        created_at: get(row, "created_at")?,
        revision: get(row, "revision")?,
    }
    .describe(known)
}

/// The columns that only fetching selects as well; `known` is the key of the
/// share as it was described.
pub(super) fn record(row: &Row<'_>, known: PublicKey) -> Result<ShareRecord, StoreError> {
    Ok(ShareRecord {
        description: columns(row, Some(known))?,
        envelope: get(row, "encrypted_key_shares")?,
    })
}

fn get<T: FromSql>(row: &Row<'_>, column: &'static str) -> Result<T, StoreError> {
    row.get(column).map_err(|error| corrupt(column, error))
}
