//! What SQLite's errors mean.

use rusqlite::{ErrorCode, ffi};

use crate::{
    key::Revision,
    store::{StoreError, StoreErrorKind, row},
};

/// The outcome of an insert.
pub(super) fn inserted(result: rusqlite::Result<usize>) -> Result<Revision, StoreError> {
    match result {
        Ok(_) => Ok(Revision::FIRST),
        Err(error)
            if error.sqlite_error().map(|error| error.extended_code)
                == Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY) =>
        {
            Err(row::exists())
        }
        Err(error) => Err(failed(error)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    use ErrorCode as Code;
    use StoreErrorKind as Kind;

    let kind = match error.sqlite_error_code() {
        Some(
            Code::CannotOpen
            | Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::DiskFull
            | Code::ReadOnly
            | Code::SystemIoFailure,
        ) => Kind::Unreachable,
        Some(Code::ConstraintViolation | Code::DatabaseCorrupt | Code::NotADatabase) => {
            Kind::Corrupt
        }
        _ => Kind::Failed,
    };
    StoreError::new(kind, error.to_string())
}

pub(super) fn stopped(error: impl ToString) -> StoreError {
    StoreError::new(StoreErrorKind::Failed, error.to_string())
}
