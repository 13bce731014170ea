//! Segments: the files of a log, each named by the sequence number of its first record,
//! and read line by line.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use flate2::bufread::GzDecoder;

use super::chain::RECORD_MAX;

/// How the name of a segment ends, and of one that is compressed (RFC 1952).
const EXTENSION: &str = "log";
const COMPRESSED: &str = "log.gz";
/// Digits of the longest number of 64 bits.
const DIGITS: usize = 20;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 16;

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
    reader: Source,
    /// Where the next line begins.
    offset: u64,
    line: Vec<u8>,
}

enum Source {
    Plain(BufReader<File>),
    Compressed(Box<BufReader<GzDecoder<BufReader<File>>>>),
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
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some((number, EXTENSION | COMPRESSED)) = name.split_once('.')
                && number.len() == DIGITS
                && let Ok(first) = number.parse()
            {
                found.push(Self { first, path });
            }
        }
        // Where a file was compressed and is still there, it comes first.
        found.sort();
        found.dedup_by_key(|segment| segment.first);
        Ok(found)
    }

    /// Whether it is compressed.
    pub fn is_compressed(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "gz")
    }

    /// Whether there is something in it.
    pub(super) fn has_records(&self) -> bool {
        self.path.metadata().is_ok_and(|file| file.len() > 0)
    }

    /// Where it is when it is compressed.
    pub(super) fn compressed(&self) -> PathBuf {
        self.path.with_extension(COMPRESSED)
    }

    /// Its lines.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn lines(&self) -> io::Result<Lines> {
        let (file, compressed) = match File::open(&self.path) {
            // It was compressed since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.is_compressed() => {
                (File::open(self.compressed())?, true)
            }
            file => (file?, self.is_compressed()),
        };
        let file = BufReader::with_capacity(BUFFER, file);
        let reader = match compressed {
            false => Source::Plain(file),
            true => {
                let decoder = GzDecoder::new(file);
                Source::Compressed(Box::new(BufReader::with_capacity(BUFFER, decoder)))
            }
        };
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
        let line = &mut self.line;
        let read = match &mut self.reader {
            Source::Plain(reader) => reader.take(most).read_until(b'\n', line)?,
            Source::Compressed(reader) => reader.take(most).read_until(b'\n', line)?,
        };
        if read == 0 {
            return Ok(None);
        }
        let offset = self.offset;
        self.offset += read as u64;
        let whole = self.line.pop_if(|last| *last == b'\n').is_some();
        Ok(Some(Line { offset, bytes: &self.line, whole }))
    }

    /// What was read last, without its line feed.
    pub(super) fn last(&self) -> &[u8] {
        &self.line
    }

    /// Where the next line begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes back to where a line begins, in a file that is written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn go_back(&mut self, offset: u64) -> io::Result<()> {
        if let Source::Plain(reader) = &mut self.reader {
            self.offset = offset;
            reader.seek(SeekFrom::Start(offset))?;
        }
        Ok(())
    }
}
