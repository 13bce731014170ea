//! The table, and what is asked of it. Rows are added, and none is changed or removed.

use std::fmt::Display;

use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::store::{
    StoreError, StoreErrorKind,
    database::{Connections, Prepared, Schema, Settings, Value},
    schema::Migration,
};

const SCHEMA: Schema = Schema {
    table: "countersign_audit_schema",
    migrations: &[Migration { min_reader: 1, sql: include_str!("0001_records.sql") }],
};

/// $1 log.
const LAST: &str = "
    SELECT seq, line FROM countersign_audit_records WHERE log = $1 ORDER BY seq DESC LIMIT 1";

/// $1 log, $2 and $3 the row before, none before the first; $4 and $5 the rows. Where a
/// server that lost its last rows took over, the row before is not there.
const APPEND: &str = "
    INSERT INTO countersign_audit_records (log, seq, line)
    SELECT $1, added.seq, added.line
    FROM unnest($4::bigint[], $5::text[]) AS added (seq, line)
    WHERE CASE
        WHEN $2::bigint IS NULL
        THEN NOT EXISTS (SELECT FROM countersign_audit_records WHERE log = $1)
        ELSE EXISTS (
            SELECT FROM countersign_audit_records WHERE log = $1 AND seq = $2 AND line = $3::text
        )
    END";

/// The table in its database. Connects when something is asked of it.
pub struct Table(Connections<Statements>);

/// A record as it stands in a file, without its line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) seq: u64,
    pub(super) text: String,
}

struct Statements {
    last: Statement,
    append: Statement,
}

impl Prepared for Statements {
    async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let (last, append) = tokio::try_join!(client.prepare(LAST), client.prepare(APPEND))?;
        Ok(Self { last, append })
    }
}

impl Table {
    /// Reads the certificate authority, and connects to nothing.
    ///
    /// # Errors
    /// `Tls` when there is none, or the host is nothing that a certificate names.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        // Lines go in one after the other.
        let settings = Settings { pool_size: 1, ..settings.clone() };
        Ok(Self(Connections::new(settings, SCHEMA)?))
    }

    /// Makes the table where it is not there, and whether rows can be read and added.
    ///
    /// # Errors
    /// `Schema` where the table is not there and the role may not make it, `Denied` where
    /// the role lacks a right; otherwise as any statement.
    pub async fn open(&self) -> Result<(), StoreError> {
        self.0.migrate().await?;
        // No row needs the same rights as a thousand.
        self.append(Uuid::nil(), None, &[]).await.map(drop)
    }

    /// The last row of a log.
    ///
    /// # Errors
    /// As any statement.
    pub(super) async fn last(&self, log: Uuid) -> Result<Option<Line>, StoreError> {
        let rows = self.0.read(|all| &all.last, &[&log]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let seq = row.try_get::<_, i64>("seq").map_err(corrupt)?;
        let seq = u64::try_from(seq).map_err(corrupt)?;
        Ok(Some(Line { seq, text: row.try_get("line").map_err(corrupt)? }))
    }

    /// Adds rows behind the one that is there; false, with nothing done, where that is
    /// another or these are there already.
    ///
    /// # Errors
    /// As any statement. It may have been done.
    pub(super) async fn append(
        &self,
        log: Uuid,
        after: Option<&Line>,
        lines: &[Line],
    ) -> Result<bool, StoreError> {
        let number = |line: &Line| i64::try_from(line.seq).unwrap_or(i64::MAX);
        let (seq, text) = (after.map(number), after.map(|line| &*line.text));
        let numbers: Vec<_> = lines.iter().map(number).collect();
        let texts: Vec<_> = lines.iter().map(|line| &*line.text).collect();
        let values: [Value<'_>; 5] = [&log, &seq, &text, &numbers, &texts];
        match self.0.write(|all| &all.append, &values).await {
            Ok(added) => Ok(added == lines.len() as u64),
            Err(error) if error.kind == StoreErrorKind::Exists => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn corrupt(error: impl Display) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, error.to_string())
}
