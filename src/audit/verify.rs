//! Verification: whether a log is what was written, and if not, where it is not and what
//! was done. It needs nothing but the directory, and changes nothing.
//!
//! Whoever can write the files can also chain them anew: against that, compare
//! [`Report::root`] with one that left the machine before.

use std::{fmt, io, path::Path};

use uuid::Uuid;

use super::{
    chain,
    note::Checkpoint,
    record::{Event, Record},
    segment::SegmentFile,
    state::State,
    tree::{self, Hash},
};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The name of the log, where its beginning is there.
    pub instance: Option<Uuid>,
    /// The `seq` of the first record that is there: 0 unless files were retired.
    pub first: u64,
    /// How many records there are, those that were retired included.
    pub size: u64,
    /// The root of the tree of all of them; none where it is not known.
    pub root: Option<Hash>,
    /// Requests without an outcome.
    pub open: usize,
    /// What is not as it was written, in order.
    pub findings: Vec<Finding>,
}

/// A place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the file.
    pub file: String,
    /// Bytes from its beginning.
    pub offset: u64,
    /// What was done.
    pub change: Change,
}

/// What was done to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A record, or its link, has other bytes.
    Edited {
        /// Which.
        seq: u64,
    },
    /// A line is no record at all.
    Unreadable {
        /// Which record should stand there.
        seq: u64,
    },
    /// Records are not there, or elsewhere.
    Removed {
        /// The first of them.
        from: u64,
        /// The one after the last of them.
        to: u64,
    },
    /// A record stands where another should: moved, repeated or put in.
    Misplaced {
        /// Which.
        seq: u64,
    },
    /// A file does not begin with what the records before it come to.
    Forked {
        /// Its first record.
        seq: u64,
    },
    /// The records up to here are not those of a checkpoint.
    Diverged {
        /// How many the checkpoint has.
        size: u64,
    },
    /// A checkpoint is of records that were removed, and says nothing of those that are here.
    Uncompared {
        /// How many records it has.
        size: u64,
    },
    /// A checkpoint has another log's name.
    OtherLog,
    /// An outcome of a request that has one, or that is none.
    Repeated {
        /// Which record.
        seq: u64,
        /// The request that it names.
        of: u64,
    },
    /// Records that a checkpoint has are not there: the end was cut off.
    Truncated {
        /// The first of them.
        from: u64,
        /// The one after the last of them.
        to: u64,
    },
    /// The end of the last file is not whole. A crash does that, and the next start
    /// cuts it off.
    Torn {
        /// How many bytes.
        bytes: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, change } = self;
        write!(f, "{file}, byte {offset}: {change}")
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited { seq } => write!(f, "record {seq} was edited"),
            Self::Unreadable { seq } => write!(f, "what should be record {seq} is no record"),
            Self::Removed { from, to } if from + 1 == *to => write!(f, "record {from} was removed"),
            Self::Removed { from, to } => write!(f, "records {from} to {} were removed", to - 1),
            Self::Misplaced { seq } => write!(f, "record {seq} does not belong here"),
            Self::Forked { seq } => {
                write!(f, "the file from record {seq} does not follow from what is before it")
            }
            Self::Diverged { size } => {
                write!(f, "the first {size} records are not those of the checkpoint")
            }
            Self::Truncated { from, to } if from + 1 == *to => {
                write!(f, "record {from} was cut off: a checkpoint has it")
            }
            Self::Truncated { from, to } => {
                write!(f, "records {from} to {} were cut off: a checkpoint has them", to - 1)
            }
            Self::Uncompared { size } => {
                write!(f, "the checkpoint of {size} records cannot be compared: they are not here")
            }
            Self::OtherLog => write!(f, "a checkpoint is of another log"),
            Self::Repeated { seq, of } => {
                write!(f, "record {seq} says again what became of record {of}")
            }
            Self::Torn { bytes } => write!(f, "the last {bytes} bytes are no whole record"),
        }
    }
}

impl Report {
    /// Whether the log is as it was written. A torn end is: a crash left it.
    pub fn is_intact(&self) -> bool {
        self.findings.iter().all(|finding| matches!(finding.change, Change::Torn { .. }))
    }
}

/// Reads a log from its first record to its last, and holds it against heads that left
/// the machine before. `progress` is told the number of each record.
///
/// # Errors
/// A file cannot be read.
pub fn verify(
    directory: &Path,
    heads: &[Checkpoint],
    mut progress: impl FnMut(u64),
) -> io::Result<Report> {
    let segments = SegmentFile::all(directory)?;
    let mut walk = Walk { heads, ..Walk::default() };
    let first = segments.first().map_or(0, |segment| segment.first);
    let last = segments.len().saturating_sub(1);
    for (index, segment) in segments.iter().enumerate() {
        walk.segment(segment, index == 0, index == last, &mut progress)?;
    }
    let file = segments.last().map(name).unwrap_or_default();
    let offset = walk.end;
    let instance = walk.state.instance().unwrap_or_default();
    let own = |head: &Checkpoint| head.origin.ends_with(&format!("/{instance}"));
    let compared = heads.iter().filter_map(|head| match head.size {
        _ if !own(head) => Some(Change::OtherLog),
        size if size < first => Some(Change::Uncompared { size }),
        _ => None,
    });
    let compared = compared.map(|change| Finding { file: file.clone(), offset: 0, change });
    walk.findings.extend(compared);
    let beyond = heads.iter().map(|head| head.size).filter(|size| *size > walk.next).max();
    walk.findings.extend(beyond.map(|to| {
        let change = Change::Truncated { from: walk.next, to };
        Finding { file, offset, change }
    }));
    // What was removed because it was old, a record says.
    if first > walk.retired {
        let first_file = segments.first().map(name).unwrap_or_default();
        let change = Change::Removed { from: walk.retired, to: first };
        walk.findings.insert(0, Finding { file: first_file, offset: 0, change });
    }
    let Walk { state, next, known, findings, .. } = walk;
    Ok(Report {
        instance: state.instance(),
        first,
        size: next,
        root: known.then(|| state.root()),
        open: state.open(),
        findings,
    })
}

fn name(segment: &SegmentFile) -> String {
    segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[derive(Default)]
struct Walk<'h> {
    heads: &'h [Checkpoint],
    state: State,
    /// The `seq` of the next record.
    next: u64,
    /// Where the last file ends.
    end: u64,
    /// Up to which record a later one says that files were removed.
    retired: u64,
    /// Whether the tree is that of all records up to here.
    known: bool,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn segment(
        &mut self,
        segment: &SegmentFile,
        first: bool,
        last: bool,
        progress: &mut impl FnMut(u64),
    ) -> io::Result<()> {
        let file = name(segment);
        let mut lines = segment.lines()?;
        if first {
            (self.next, self.known) = (segment.first, segment.first == 0);
        }
        loop {
            let line = match lines.line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.end = lines.offset();
                    break;
                }
                // What was compressed is not what can be read any more.
                Err(_) if segment.is_compressed() => {
                    let (offset, change) = (lines.offset(), Change::Unreadable { seq: self.next });
                    self.findings.push(Finding { file, offset, change });
                    self.known = false;
                    break;
                }
                Err(error) => return Err(error),
            };
            progress(self.next);
            let offset = line.offset;
            // The writer cuts it off, whatever it says.
            if last && !line.whole {
                let change = Change::Torn { bytes: line.bytes.len() as u64 };
                self.findings.push(Finding { file, offset, change });
                break;
            }
            let read = self.line(line.bytes, offset == 0, first);
            self.findings.extend(self.diverged().map(|change| Finding {
                file: file.clone(),
                offset,
                change,
            }));
            let Err(change) = read else { continue };
            self.findings.push(Finding { file: file.clone(), offset, change });
        }
        Ok(())
    }

    /// Whether the log is another one than the head at this place is of.
    fn diverged(&self) -> Option<Change> {
        let size = self.next;
        let mut here = self.heads.iter().filter(|head| head.size == size);
        let other = self.known && here.any(|head| head.root != self.state.root());
        other.then_some(Change::Diverged { size })
    }

    /// Goes on by one line, also behind a change.
    fn line(&mut self, line: &[u8], begins_file: bool, first_file: bool) -> Result<(), Change> {
        let unreadable = Change::Unreadable { seq: self.next };
        let Some((link, bytes)) = chain::read(line) else { return Err(unreadable) };
        let record = serde_json::from_slice::<Record>(bytes).map_err(|_| unreadable)?;
        let seq = record.seq;
        if begins_file && let Some(head) = State::at(bytes) {
            // Of a log whose beginning was retired this is all that is known.
            let retired = first_file && seq == self.next;
            let broken = !retired && self.known && head != self.state;
            if retired || !self.known {
                // From here on the tree is known again, if the head is right.
                (self.state, self.known) = (head, true);
            }
            if retired && let Some(change) = self.diverged() {
                self.follow(&record, link, bytes);
                return Err(change);
            }
            if broken && seq == self.next {
                self.follow(&record, link, bytes);
                return Err(Change::Forked { seq });
            }
        }
        let right = link == chain::link(&self.state.link(), bytes);
        let change = match seq.cmp(&self.next) {
            std::cmp::Ordering::Equal if right => {
                let repeated = self.repeats(&record);
                self.follow(&record, link, bytes);
                return repeated.map_or(Ok(()), Err);
            }
            std::cmp::Ordering::Equal => Change::Edited { seq },
            std::cmp::Ordering::Greater => Change::Removed { from: self.next, to: seq },
            // What comes next is still to come.
            std::cmp::Ordering::Less => return Err(Change::Misplaced { seq }),
        };
        self.known = false;
        self.follow(&record, link, bytes);
        Err(change)
    }

    /// Whether a record says what became of a request that has its outcome.
    fn repeats(&self, record: &Record) -> Option<Change> {
        let Event::Outcome { of, .. } = record.event else { return None };
        let once = !self.known || self.state.is_open(of);
        (!once).then_some(Change::Repeated { seq: record.seq, of })
    }

    fn follow(&mut self, record: &Record, link: Hash, bytes: &[u8]) {
        self.state.follow(record.seq, &record.event, link, tree::leaf(bytes));
        if let Event::Retired { to } = record.event {
            self.retired = self.retired.max(to);
        }
        self.next = record.seq + 1;
    }
}
