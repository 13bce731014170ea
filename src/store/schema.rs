//! Which migrations a database has, and what follows for this binary.
//!
//! The table `countersign_schema` has a row per applied migration. Old and new
//! binaries run on one database during a rollout: a binary may use every schema
//! from its own version up, unless one of the applied migrations demands a newer
//! reader. So a migration that only adds nullable columns or indexes keeps
//! `min_reader`, and one that old readers would misread raises it.
#![forbid(unsafe_code)]

use sha2::{Digest, Sha256};

use super::{StoreError, StoreErrorKind};

/// One step of a schema. The first makes version 1; a released one never changes.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The lowest version that a binary must know to use the schema from here on.
    pub min_reader: i64,
    /// The statements.
    pub sql: &'static str,
}

/// A row of `countersign_schema`.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub version: i64,
    pub min_reader: i64,
    pub sha256: Vec<u8>,
}

/// A migration that is still to apply, and the row that it leaves.
pub(super) struct Pending {
    pub sql: &'static str,
    pub row: Applied,
}

/// What is left to apply of `known`, in order, to a database that has `applied`.
///
/// # Errors
/// `Schema` when the database needs a newer reader than this binary, or when it
/// was not made by these migrations.
pub(super) fn pending(
    known: &[Migration],
    applied: &[Applied],
) -> Result<Vec<Pending>, StoreError> {
    let reader = known.len();
    let needed = applied.iter().map(|row| row.min_reader).max().unwrap_or(0);
    if usize::try_from(needed).is_ok_and(|needed| needed > reader) {
        return Err(mismatch(format!(
            "the schema needs a reader of version {needed}, this is {reader}: update countersign"
        )));
    }
    let mut known = (1..).zip(known).map(|(version, migration)| Pending {
        sql: migration.sql,
        row: Applied {
            version,
            min_reader: migration.min_reader,
            sha256: Sha256::digest(migration.sql).to_vec(),
        },
    });
    for (version, row) in (1..).zip(applied) {
        // None: a newer binary's migration, which demands no newer reader.
        let same = known.next().is_none_or(|migration| migration.row.sha256 == row.sha256);
        if row.version != version || !same {
            return Err(mismatch(format!(
                "migration {version} is missing or was applied with other contents: \
                 the database was not made by this countersign"
            )));
        }
    }
    Ok(known.collect())
}

fn mismatch(detail: String) -> StoreError {
    StoreError::new(StoreErrorKind::Schema, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration { min_reader: 1, sql: "one" };
    const TWO: Migration = Migration { min_reader: 1, sql: "two" };
    const BREAKING: Migration = Migration { min_reader: 2, sql: "breaking" };

    fn applied(migrations: &[Migration]) -> Vec<Applied> {
        let all = pending(migrations, &[]).unwrap();
        all.into_iter().map(|migration| migration.row).collect()
    }

    #[test]
    fn what_is_left_is_what_was_not_applied() {
        let left = |known: &[Migration], done: &[Migration]| -> Vec<i64> {
            let left = pending(known, &applied(done)).unwrap();
            left.iter().map(|migration| migration.row.version).collect()
        };
        assert_eq!(left(&[ONE, TWO], &[]), [1, 2]);
        assert_eq!(left(&[ONE, TWO], &[ONE]), [2]);
        assert_eq!(left(&[ONE, BREAKING], &[ONE, BREAKING]), [0; 0]);
        assert_eq!(left(&[ONE], &[ONE, TWO]), [0; 0]);
    }

    #[test]
    fn an_old_reader_stops_at_a_breaking_migration() {
        let error = pending(&[ONE], &applied(&[ONE, BREAKING])).err().unwrap();
        assert_eq!(error.kind, StoreErrorKind::Schema);
        assert!(error.detail.contains("needs a reader of version 2"));
    }

    #[test]
    fn another_history_is_refused() {
        for history in
            [applied(&[TWO]), applied(&[ONE, TWO]).split_off(1), applied(&[ONE, BREAKING])]
        {
            let error = pending(&[ONE, TWO], &history).err().unwrap();
            assert_eq!(error.kind, StoreErrorKind::Schema);
        }
    }
}
