//! The audit log in a table of a real Postgres: the same lines, each once, whatever dies when.

mod copied;
mod served;

use std::{fs, path::Path, process::Command};

use countersign::{
    audit::{
        segment::SegmentFile,
        verify::{Report, verify},
    },
    central::Table,
};
use tempfile::TempDir;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{postgres::Database, served::binary};

/// What the role that serves is granted.
const GRANTS: &str = "GRANT SELECT ON countersign_audit_schema TO serve;
                      GRANT SELECT, INSERT ON countersign_audit_records TO serve";

/// A table in which `serve` may read and add.
async fn table(database: &Database<'_>) -> Client {
    Table::new(&database.settings()).unwrap().open().await.unwrap();
    let admin = database.admin().await;
    admin.batch_execute(GRANTS).await.unwrap();
    admin
}

/// The lines of a log that may still be written.
fn lines(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for segment in SegmentFile::all(directory).unwrap() {
        let mut lines = segment.lines().unwrap();
        while let Some(line) = lines.line().unwrap()
            && line.whole
        {
            found.push(String::from_utf8(line.bytes.to_vec()).unwrap());
        }
    }
    found
}

/// The lines in the table, by log, with their numbers.
async fn rows(admin: &Client, log: Uuid) -> Vec<(i64, String)> {
    let query = "SELECT seq, line FROM countersign_audit_records WHERE log = $1 ORDER BY seq";
    let rows = admin.query(query, &[&log]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn instance(directory: &Path) -> Uuid {
    verify(directory, &[], |_| ()).unwrap().instance.unwrap()
}

/// Fails unless the table has the log's lines from its first on, and no other.
#[track_caller]
fn assert_same(rows: &[(i64, String)], lines: &[String]) {
    assert!(rows.len() <= lines.len(), "{} rows of {} records", rows.len(), lines.len());
    for (place, ((seq, row), line)) in rows.iter().zip(lines).enumerate() {
        assert_eq!((usize::try_from(*seq).unwrap(), row), (place, line));
    }
}

/// A directory with the log as the documentation has it fetched.
fn fetch(database: &Database<'_>, log: Uuid) -> TempDir {
    let first = format!(
        "SELECT lpad(min(seq)::text, 20, '0') FROM countersign_audit_records WHERE log = '{log}'"
    );
    let lines =
        format!("SELECT line FROM countersign_audit_records WHERE log = '{log}' ORDER BY seq");
    let name = database.psql(&["-XAtc", &first]);
    let name = format!("{}.log", std::str::from_utf8(&name).unwrap().trim());
    let directory = TempDir::new().unwrap();
    let text = database.psql(&["-XAt", "-v", "FETCH_COUNT=100", "-c", &lines]);
    fs::write(directory.path().join(name), text).unwrap();
    directory
}

/// What `countersign audit verify` says of the table: whether it is intact, and in words.
fn verified(database: &Database<'_>, log: Uuid) -> (bool, String, Report) {
    let directory = fetch(database, log);
    let mut command = Command::new(binary());
    let output = command.args(["audit", "verify"]).arg(directory.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), said, verify(directory.path(), &[], |_| ()).unwrap())
}
