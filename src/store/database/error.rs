//! What Postgres's errors mean.
//!
//! A detail has the server's message and its SQLSTATE, never the server's own
//! detail, which quotes rows.

use std::{error::Error as _, io};

use tokio_postgres::{
    Error,
    error::{DbError, SqlState},
};

use crate::store::{StoreError, StoreErrorKind as Kind, row};

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn failed(error: Error) -> StoreError {
    if let Some(answer) = error.as_db_error() {
        return answered(answer);
    }
    let cause = error.source();
    let detail = match cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let io = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    let kind = match (&*error.to_string(), io) {
        // The driver tells these two by their text alone; a test each holds it.
        ("error performing TLS handshake", None) => Kind::Tls,
        ("authentication error", _) => Kind::Denied,
        (_, Some(io)) if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Kind::Tls,
        (_, Some(io)) if io.kind() == io::ErrorKind::TimedOut => Kind::Timeout,
        (_, Some(_)) => Kind::Unreachable,
        _ if error.is_closed() => Kind::Unreachable,
        _ => Kind::Failed,
    };
    StoreError::new(kind, detail)
}

fn answered(answer: &DbError) -> StoreError {
    let code = answer.code();
    let kind = match code.code().get(..2).unwrap_or_default() {
        _ if *code == SqlState::UNIQUE_VIOLATION => return row::exists(),
        _ if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE => {
            Kind::Timeout
        }
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => Kind::Denied,
        // After a failover the old primary may still answer, as a standby.
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Kind::Unreachable,
        // The connection, resources, shutdown and start of the server, its disk.
        "08" | "53" | "57" | "58" => Kind::Unreachable,
        "28" => Kind::Denied,
        // No such database, schema, table or column.
        "3D" | "3F" | "42" => Kind::Schema,
        "23" => Kind::Corrupt,
        _ if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            Kind::Corrupt
        }
        _ => Kind::Failed,
    };
    StoreError::new(kind, format!("{} ({})", answer.message(), code.code()))
}
