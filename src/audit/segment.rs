//! Segments: the files of a log, each named by the sequence number of its first record,
//! and read line by line.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::chain::RECORD_MAX;

/// How the name of a segment ends.
const EXTENSION: &str = "log";
/// Digits of the longest number of 64 bits.
const DIGITS: usize = 20;

/// A file of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentFile {
    /// The sequence number of its first record.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// The lines of a segment.
pub struct Lines {
    reader: BufReader<File>,
    /// Where the next line begins.
    offset: u64,
    line: Vec<u8>,
}

/// A line.
pub struct Line<'a> {
    /// Where it begins, in bytes from the beginning of the file.
    pub offset: u64,
    /// What is in it, without its line feed.
    pub bytes: &'a [u8],
    /// Whether it has a line feed.
    pub whole: bool,
}

impl SegmentFile {
    /// The file whose first record has this number.
    pub fn at(directory: &Path, first: u64) -> Self {
        let path = directory.join(format!("{first:0DIGITS$}.{EXTENSION}"));
        Self { first, path }
    }

    /// Every segment of a directory, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(directory: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let is_one = path.extension().is_some_and(|extension| extension == EXTENSION)
                && stem.len() == DIGITS;
            if let (true, Ok(first)) = (is_one, stem.parse()) {
                found.push(Self { first, path });
            }
        }
        found.sort();
        Ok(found)
    }

    /// Its lines.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn lines(&self) -> io::Result<Lines> {
        let reader = BufReader::with_capacity(1 << 20, File::open(&self.path)?);
        Ok(Lines { reader, offset: 0, line: Vec::new() })
    }
}

impl Lines {
    /// The next line; none at the end. One that is longer than any record ends at that
    /// length, and is not whole.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let most = RECORD_MAX as u64;
        let read = (&mut self.reader).take(most).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        let offset = self.offset;
        self.offset += read as u64;
        let whole = self.line.pop_if(|last| *last == b'\n').is_some();
        Ok(Some(Line { offset, bytes: &self.line, whole }))
    }

    /// Goes back to where a line begins.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn go_back(&mut self, offset: u64) -> io::Result<()> {
        self.offset = offset;
        self.reader.seek(SeekFrom::Start(offset)).map(|_| ())
    }
}
