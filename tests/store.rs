//! The stores: one conformance suite, and what is particular to each.

mod conformance;
mod corruption;
mod counts;
mod directory;
mod lacking;
mod postgres;
mod postgres_faults;
mod records;
mod restore;
mod rollout;
mod sqlite;
mod transfer;
mod vault_kv;
mod vault_kv_served;

use countersign::store::{StoreError, StoreErrorKind};

fn kind<T>(result: Result<T, StoreError>) -> Result<T, StoreErrorKind> {
    result.map_err(|error| error.kind)
}
