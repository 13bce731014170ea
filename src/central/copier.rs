//! From the files of a log into the table, group by group.

use std::{
    io,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    Failed,
    table::{Line, Table},
};
use crate::audit::{reader::Reader, record::Record, segment::SegmentFile};

/// The most lines of a group, and bytes after which none is added to it.
const LINES: usize = 500;
const BYTES: usize = 1 << 20;
/// How long a file that is being compressed may not be seen in its directory.
const BLINK: Duration = Duration::from_millis(250);

/// How far a log is copied.
pub struct Copier {
    table: Table,
    log: Uuid,
    directory: PathBuf,
    /// Behind the last record that is in the table. None before the beginning, while a group
    /// is on its way, and after a failure: then the table is asked.
    reader: Option<Reader>,
    /// The last record that is in the table.
    last: Option<Line>,
    /// The first record that is not.
    next: u64,
}

impl Copier {
    /// Of a log and its directory.
    pub fn new(table: Table, log: Uuid, directory: &Path) -> Self {
        let directory = directory.to_owned();
        Self { table, log, directory, reader: None, last: None, next: 0 }
    }

    /// The first record that is not in the table, as far as that was asked.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Copies a group of those that are before `durable`; false where none is left. It may
    /// be cancelled, and be called again after an error.
    ///
    /// # Errors
    /// The log cannot be read, the database does not do it, or what is in the table is not
    /// the log's.
    pub async fn step(&mut self, durable: u64) -> Result<bool, Failed> {
        match self.copy(durable).await {
            // What a connection that is gone was still to add may be there since. Asked again,
            // the table says so.
            Err(Failed::Moved) => self.copy(durable).await,
            done => done,
        }
    }

    async fn copy(&mut self, durable: u64) -> Result<bool, Failed> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.begin(durable).await?,
        };
        let next = self.next;
        let read = spawn_blocking(move || {
            let lines = read(&mut reader, next, durable)?;
            Ok::<_, io::Error>((reader, lines))
        });
        let (reader, mut lines) = read.await.map_err(io::Error::other)??;
        if !lines.is_empty() {
            if !self.table.append(self.log, self.last.as_ref(), &lines).await? {
                return Err(Failed::Moved);
            }
            self.last = lines.pop();
            self.next = self.last.as_ref().map_or(next, |last| last.seq + 1);
        }
        self.reader = Some(reader);
        Ok(self.next > next && self.next < durable)
    }

    /// Goes to where the table says that the log is copied to.
    async fn begin(&mut self, durable: u64) -> Result<Reader, Failed> {
        self.table.open().await?;
        self.last = self.table.last(self.log).await?;
        let (directory, last) = (self.directory.clone(), self.last.clone());
        let begun = spawn_blocking(move || begin(&directory, last.as_ref(), durable));
        let begun = begun.await.map_err(io::Error::other)?;
        if matches!(begun, Err(Failed::Conflict { .. })) {
            // Whatever is in the table, it is not known to be this log.
            self.next = 0;
        }
        let (reader, next) = begun?;
        self.next = next;
        Ok(reader)
    }
}

/// A reader behind the last record that is in the table, and which one comes next.
fn begin(directory: &Path, last: Option<&Line>, durable: u64) -> Result<(Reader, u64), Failed> {
    let next = last.map_or(0, |last| last.seq + 1);
    if next > durable {
        return Err(Failed::Conflict { seq: next - 1 });
    }
    if let Some(last) = last
        && first(directory)? <= last.seq
    {
        let mut reader = Reader::from(directory, last.seq)?;
        let Some(Record { seq, .. }) = reader.record(last.seq)? else {
            let what = format!("record {} is not there", last.seq);
            return Err(io::Error::other(what).into());
        };
        if reader.line() != last.text.as_bytes() {
            return Err(Failed::Conflict { seq });
        }
        reader.settle()?;
        return Ok((reader, next));
    }
    let from = first(directory)?.max(next);
    if from > next {
        sleep(BLINK);
        if first(directory)? != from {
            return Err(io::Error::other("its files change").into());
        }
        // They were removed because they were old, while there was no table for them.
        tracing::warn!(from = next, to = from - 1, "Records that are gone are not copied");
    }
    Ok((Reader::from(directory, from)?, from))
}

/// The first record of a log.
fn first(directory: &Path) -> io::Result<u64> {
    Ok(SegmentFile::all(directory)?.first().map_or(0, |segment| segment.first))
}

/// The lines of the records from `next` on and before `durable`, and not too many.
fn read(reader: &mut Reader, next: u64, durable: u64) -> io::Result<Vec<Line>> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let mut wanted = next..durable;
    while lines.len() < LINES
        && bytes < BYTES
        && let Some(seq) = wanted.next()
        && reader.record(seq)?.is_some()
    {
        let text = String::from_utf8(reader.line().to_vec()).map_err(io::Error::other)?;
        bytes += text.len();
        lines.push(Line { seq, text });
    }
    reader.settle()?;
    Ok(lines)
}
