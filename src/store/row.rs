//! What the stores demand of a row.
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::{StoreError, StoreErrorKind};
use crate::{
    envelope::{ENVELOPE_MAX, Identity, KekRef},
    key::{Algorithm, Binding, Malformed, PublicKey, RecordVersion, Revision, ShareState},
    record::{ShareDescription, ShareRecord},
};

/// A row's public columns, before any of them is believed.
pub(super) struct Columns<'a> {
    pub id: Uuid,
    pub environment: &'a str,
    pub wallet_id: &'a str,
    pub account_address: Option<&'a str>,
    pub algorithm: &'a str,
    pub public_key: &'a [u8],
    pub record_version: i64,
    pub state: &'a str,
    /// As [`micros`] counts.
    pub destroy_after: Option<i64>,
    pub binding: &'a str,
    pub kek_provider: &'a str,
    pub kek_mount: &'a str,
    pub kek_name: &'a str,
    /// As [`micros`] counts.
    pub created_at: i64,
    pub revision: i64,
}

impl Columns<'_> {
    /// Parses the row; a column that breaks its rule makes the row unusable, not
    /// somebody else's. A public key that is `known` is not parsed again: that
    /// would compute a point from it, for longer than the row took to read.
    ///
    /// # Errors
    /// `Corrupt`, naming the column and its rule.
    pub fn describe(&self, known: Option<PublicKey>) -> Result<ShareDescription, StoreError> {
        let algorithm: Algorithm = self.algorithm.parse().map_err(breaks("algorithm"))?;
        let version = u32::try_from(self.record_version).unwrap_or(0);
        let state: ShareState = self.state.parse().map_err(breaks("state"))?;
        let identity = Identity {
            environment: self.environment.parse().map_err(breaks("environment"))?,
            wallet: self.wallet_id.parse().map_err(breaks("wallet_id"))?,
            share: self.id.try_into().map_err(breaks("id"))?,
            version: RecordVersion::try_from(version).map_err(breaks("record_version"))?,
            address: self
                .account_address
                .map(str::parse)
                .transpose()
                .map_err(breaks("account_address"))?,
            algorithm,
            binding: self.binding.parse().map_err(breaks("binding"))?,
        };
        Ok(ShareDescription {
            public_key: match known {
                Some(known)
                    if known.algorithm() == algorithm && known.as_bytes() == self.public_key =>
                {
                    known
                }
                _ if identity.binding == Binding::Declared && self.public_key.is_empty() => {
                    PublicKey::unknown(algorithm)
                }
                _ => PublicKey::parse(algorithm, self.public_key)
                    .map_err(|error| corrupt("public_key", error))?,
            },
            identity,
            state,
            destroy_after: self.destroy_after.map(|at| moment("destroy_after", at)).transpose()?,
            kek: KekRef::new(self.kek_provider, self.kek_mount, self.kek_name)
                .map_err(breaks("kek_provider, kek_mount or kek_name"))?,
            created_at: moment("created_at", self.created_at)?,
            revision: u64::try_from(self.revision)
                .map(Revision::from)
                .map_err(|_| corrupt("revision", "negative"))?,
        })
    }
}

fn moment(column: &str, micros: i64) -> Result<SystemTime, StoreError> {
    let since = u64::try_from(micros).map(Duration::from_micros);
    let since = since.map_err(|_| corrupt(column, "before 1970"))?;
    Ok(UNIX_EPOCH + since)
}

/// A column that cannot be used, and why: a rule, never the contents.
pub(super) fn corrupt(column: &str, rule: impl std::fmt::Display) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, format!("column {column}: {rule}"))
}

/// Refuses what no reader would take.
pub(super) fn require_size(record: &ShareRecord) -> Result<(), StoreError> {
    if record.envelope.len() > ENVELOPE_MAX {
        return Err(StoreError::new(
            StoreErrorKind::Corrupt,
            format!("an envelope of {} bytes is none", record.envelope.len()),
        ));
    }
    Ok(())
}

/// What is written over an envelope before its row is removed.
pub(super) const OVERWRITTEN: &[u8] = &[0; 64];

/// The outcome of a compare-and-swap that changed `rows` rows.
pub(super) fn swapped(rows: u64, expected: Revision) -> Result<Revision, StoreError> {
    match rows {
        1 => Ok(expected.next()),
        _ => Err(conflict(expected)),
    }
}

/// The error of a compare-and-swap that found another revision, or nothing.
pub(super) fn conflict(expected: Revision) -> StoreError {
    let detail = format!("the row is gone or not at revision {}", expected.get());
    StoreError::new(StoreErrorKind::Conflict, detail)
}

/// The error of an insert that found its id taken.
pub(super) fn exists() -> StoreError {
    StoreError::new(StoreErrorKind::Exists, "the share is there already")
}

/// A revision as the databases keep it: one that they cannot is no row's.
pub(super) fn revision(revision: Revision) -> i64 {
    i64::try_from(revision.get()).unwrap_or(-1)
}

/// Microseconds since 1970, UTC: as fine as Postgres keeps time.
pub(super) fn micros(time: SystemTime) -> i64 {
    let count = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    time.duration_since(UNIX_EPOCH).map_or_else(|before| -count(before.duration()), count)
}

fn breaks(column: &'static str) -> impl Fn(Malformed) -> StoreError {
    move |rule| corrupt(column, rule)
}
