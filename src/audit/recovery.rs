//! What a log's directory holds when it is opened: whole records, and behind them what a
//! crash left.

use std::{fs, path::Path};

use super::{chain, log::OpenError, segment::SegmentFile, state::State, tree::Hash};

/// The most bytes that a crash can leave unfinished: one group. More than that at the
/// end of a file is not a crash.
const TORN_MAX: u64 = 64 * 1024 * 1024;

/// What is there already.
pub(super) struct Found {
    /// The last file; none in a new directory.
    pub(super) segment: Option<SegmentFile>,
    /// Bytes of it that are whole records.
    pub(super) length: u64,
    /// Bytes behind them.
    pub(super) torn: u64,
    pub(super) state: State,
}

impl Found {
    /// Reads the last file of a log.
    pub(super) fn read(directory: &Path) -> Result<Self, OpenError> {
        let at = |error| OpenError::Io { path: directory.to_owned(), error };
        let mut torn = 0;
        // A file whose first record was not finished holds nothing.
        for segment in SegmentFile::all(directory).map_err(at)?.into_iter().rev() {
            let mut found = Self::in_segment(&segment)?;
            torn += found.torn;
            if found.length > 0 || segment.first == 0 {
                found.torn = torn;
                return Ok(found);
            }
            fs::remove_file(&segment.path).map_err(at)?;
        }
        Ok(Self { segment: None, length: 0, torn, state: State::default() })
    }

    fn in_segment(segment: &SegmentFile) -> Result<Self, OpenError> {
        let at = |error| OpenError::Io { path: segment.path.clone(), error };
        let mut found =
            Self { segment: Some(segment.clone()), length: 0, torn: 0, state: State::default() };
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
            // A crash leaves records that are not whole, and none that follows another.
            let changed = read.is_some_and(|(link, record)| {
                astray.is_none_or(|before| link == chain::link(&before, record))
            });
            found.torn += line.bytes.len() as u64 + u64::from(line.whole);
            if found.torn > TORN_MAX || changed {
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
