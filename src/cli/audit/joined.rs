//! The records of a log as people read them: a request when its outcome is known, and
//! with it.

use std::{collections::BTreeMap, io, path::Path};

use crate::audit::{
    reader::{Found, Reader},
    record::{Event, Record, Request},
};

/// A log that is read from its beginning.
pub struct Joined {
    reader: Reader,
    /// Requests that wait for their outcomes, by their numbers.
    open: BTreeMap<u64, Record>,
}

impl Joined {
    /// The beginning of a log.
    pub fn of(directory: &Path) -> Self {
        Self { reader: Reader::new(directory), open: BTreeMap::new() }
    }

    /// The next record that is known whole; none where there is none yet. What is no
    /// record is said on standard error.
    pub fn advance(&mut self) -> io::Result<Option<Record>> {
        while let Some(found) = self.reader.advance()? {
            match found {
                Found::Record(record) => {
                    if let Some(record) = self.join(*record) {
                        return Ok(Some(record));
                    }
                }
                Found::Unreadable { file, offset } => {
                    eprintln!("{}, byte {offset}: this is no record", file.display());
                }
            }
        }
        Ok(None)
    }

    /// Requests whose outcome is not there.
    pub fn into_open(self) -> impl Iterator<Item = Record> {
        self.open.into_values()
    }

    fn join(&mut self, record: Record) -> Option<Record> {
        match record.event {
            Event::Request(ref request) if request.ended.is_none() => {
                self.open.insert(record.seq, record);
                None
            }
            Event::Outcome { of, ref ended } => match self.open.remove(&of) {
                Some(Record { event: Event::Request(request), seq, time, boot }) => {
                    let ended = Some(ended.clone());
                    let event = Event::Request(Box::new(Request { ended, ..*request }));
                    Some(Record { seq, time, boot, event })
                }
                // Its request was retired.
                _ => Some(record),
            },
            _ => Some(record),
        }
    }
}
