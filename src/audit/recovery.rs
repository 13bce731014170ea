//! What a log's directory holds when it is opened: whole records, and behind them what a
//! crash left.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{chain, error::OpenError, segment::SegmentFile, state::State, tree::Hash};

/// The most bytes that a crash can leave unfinished: one group. More than that at the
/// end of a file is not a crash.
const TORN_MAX: u64 = 64 * 1024 * 1024;

/// What is there already.
#[derive(Default)]
pub(super) struct Found {
    /// The last file; none in a new directory.
    pub(super) segment: Option<SegmentFile>,
    /// Bytes of it that are whole records.
    pub(super) length: u64,
    /// Bytes behind them, in this file and in those that hold nothing.
    pub(super) torn: u64,
    pub(super) state: State,
    /// Later files, whose first record was not finished: they hold nothing.
    unfinished: Vec<PathBuf>,
}

impl Found {
    /// Reads the last file of a log.
    pub(super) fn read(directory: &Path) -> Result<Self, OpenError> {
        let at = |error| OpenError::Io { path: directory.to_owned(), error };
        let (mut torn, mut unfinished) = (0, Vec::new());
        for segment in SegmentFile::all(directory).map_err(at)?.into_iter().rev() {
            let mut found = Self::in_segment(&segment)?;
            torn += found.torn;
            if found.length > 0 || segment.first == 0 {
                (found.torn, found.unfinished) = (torn, unfinished);
                return Ok(found);
            }
            unfinished.push(segment.path);
        }
        Ok(Self { torn, unfinished, ..Self::default() })
    }

    /// Removes what holds nothing, and cuts off what is behind the last whole record.
    /// Gives the file to go on in, and its length: the last one, where no later one was
    /// begun, or a new one.
    ///
    /// # Errors
    /// A file cannot be changed.
    pub(super) fn clear(&self, directory: &Path) -> io::Result<(SegmentFile, u64)> {
        for file in &self.unfinished {
            fs::remove_file(file)?;
        }
        let Some(last) = &self.segment else { return Ok((SegmentFile::at(directory, 0), 0)) };
        let closed = last.is_compressed() || !self.unfinished.is_empty();
        if !last.is_compressed() {
            let file = fs::OpenOptions::new().write(true).open(&last.path)?;
            file.set_len(self.length)?;
            file.sync_all()?;
        }
        Ok(match closed && self.length > 0 {
            true => (SegmentFile::at(directory, self.state.tree().size()), 0),
            false => (last.clone(), self.length),
        })
    }

    fn in_segment(segment: &SegmentFile) -> Result<Self, OpenError> {
        let at = |error| OpenError::Io { path: segment.path.clone(), error };
        let mut found = Self { segment: Some(segment.clone()), ..Self::default() };
        let mut lines = segment.lines().map_err(at)?;
        // The link of the line before, where it does not follow what stands before it.
        let mut astray: Option<Hash> = None;
        while let Some(line) = lines.line().map_err(at)? {
            let read = chain::read(line.bytes).filter(|_| line.whole);
            if found.torn == 0 {
                if line.offset == 0 && segment.first > 0 {
                    found.state =
                        read.and_then(|(_, record)| State::at(record)).unwrap_or_default();
                }
                if line.whole && found.state.read(line.bytes).is_some() {
                    found.length += line.bytes.len() as u64 + 1;
                    continue;
                }
            }
            // A killed process leaves a record that is not whole, and none behind it. Where
            // several whole ones follow each other behind damage, power that was lost could
            // have done it, too: that is for somebody to look at.
            let changed = read.is_some_and(|(link, record)| {
                astray.is_none_or(|before| link == chain::link(&before, record))
            });
            found.torn += line.bytes.len() as u64 + u64::from(line.whole);
            if found.torn > TORN_MAX || changed || segment.is_compressed() {
                return Err(OpenError::Changed {
                    path: segment.path.clone(),
                    offset: found.length,
                });
            }
            astray = Some(read.map_or(chain::START, |(link, _)| link));
        }
        Ok(found)
    }
}
