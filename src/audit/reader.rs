//! Reading a log from its first record on, also while it is written. What is read is not
//! verified: that is [`super::verify`]'s.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    chain::{self, RECORD_MAX},
    record::Record,
    segment::{Lines, SegmentFile},
};

/// A place in a log.
pub struct Reader {
    directory: PathBuf,
    at: Option<(SegmentFile, Lines)>,
    /// The number of the record that comes next, where that is known.
    next: Option<u64>,
}

/// What stands at a place.
#[derive(Debug)]
pub enum Found {
    /// A record.
    Record(Box<Record>),
    /// A line that is none.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Bytes from its beginning.
        offset: u64,
    },
}

impl Reader {
    /// The beginning of a log.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), at: None, next: None }
    }

    /// A place at or before a record.
    ///
    /// # Errors
    /// The directory or the file cannot be read.
    pub fn from(directory: &Path, seq: u64) -> io::Result<Self> {
        let before = SegmentFile::all(directory)?.into_iter().rfind(|one| one.first <= seq);
        let at = before.map(|segment| Ok::<_, io::Error>((segment.lines()?, segment)));
        let at = at.transpose()?.map(|(lines, segment)| (segment, lines));
        Ok(Self { directory: directory.to_owned(), at, next: None })
    }

    /// What stands next; none where nothing does yet.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn advance(&mut self) -> io::Result<Option<Found>> {
        loop {
            if let Some(found) = self.read()? {
                return Ok(Some(found));
            }
            // A directory that changes while it is read may show a file later than it is there.
            let successor = match self.successor()? {
                Some(other) if self.next.is_some_and(|next| next != other.first) => {
                    self.successor()?
                }
                successor => successor,
            };
            let Some(segment) = successor else { return Ok(None) };
            // Only now is this file known to be complete.
            if let Some(found) = self.read()? {
                return Ok(Some(found));
            }
            let lines = segment.lines()?;
            self.at = Some((segment, lines));
        }
    }

    /// The record with this number, which is the next or a later one; none where it is not
    /// there yet. For who cannot go on without it.
    ///
    /// # Errors
    /// A file cannot be read, a line is no record, or records before this one are not there.
    pub fn record(&mut self, seq: u64) -> io::Result<Option<Record>> {
        loop {
            match self.advance()? {
                None => return Ok(None),
                Some(Found::Record(record)) if record.seq < seq => {}
                Some(Found::Record(record)) if record.seq == seq => return Ok(Some(*record)),
                Some(Found::Record(record)) => {
                    let what = format!("records {seq} to {} are not there", record.seq - 1);
                    return Err(io::Error::other(what));
                }
                Some(Found::Unreadable { file, offset }) => {
                    let what = format!("{}, byte {offset}: this is no record", file.display());
                    return Err(io::Error::other(what));
                }
            }
        }
    }

    /// Forgets what was read ahead. For who reads no further than what is durable: the rest
    /// may yet be cut off, and other records be written in its place.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn settle(&mut self) -> io::Result<()> {
        let Some((_, lines)) = &mut self.at else { return Ok(()) };
        lines.go_back(lines.offset())
    }

    /// The line of the record that was found last, as it stands in its file, without its
    /// line feed.
    pub fn line(&self) -> &[u8] {
        self.at.as_ref().map_or(&[], |(_, lines)| lines.last())
    }

    fn successor(&self) -> io::Result<Option<SegmentFile>> {
        let after = self.at.as_ref().map(|(segment, _)| segment.first);
        let mut all = SegmentFile::all(&self.directory)?.into_iter();
        Ok(all.find(|segment| after.is_none_or(|after| segment.first > after)))
    }

    fn read(&mut self) -> io::Result<Option<Found>> {
        let Some((segment, lines)) = &mut self.at else { return Ok(None) };
        let found = read(segment, lines)?;
        if let Some(Found::Record(record)) = &found {
            self.next = Some(record.seq + 1);
        }
        Ok(found)
    }
}

fn read(segment: &SegmentFile, lines: &mut Lines) -> io::Result<Option<Found>> {
    let Some(line) = lines.line()? else { return Ok(None) };
    let offset = line.offset;
    if !line.whole && line.bytes.len() < RECORD_MAX {
        // It is being written.
        lines.go_back(offset)?;
        return Ok(None);
    }
    let record = chain::read(line.bytes).and_then(|(_, bytes)| serde_json::from_slice(bytes).ok());
    Ok(Some(match record {
        Some(record) => Found::Record(Box::new(record)),
        None => Found::Unreadable { file: segment.path.clone(), offset },
    }))
}
