//! The log: the files of one instance, written by one thread of one process.
//!
//! A group of records is one write and one flush, a group that nobody waits for a write
//! alone. When either fails, nothing is known of what is on disk behind the last flush:
//! [`Log::reopen`] cuts that off and goes on in a new file, because the old one's next
//! flush could succeed without having kept what the failed one was to keep.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::{
    chain,
    record::{self, Ended, Event, Hex, Outcome, Record, Segment, Start, Time},
    segment::SegmentFile,
    tree::{self, Frontier, Growth, Hash},
};

/// The most bytes that a crash can leave unfinished: one group. More than that at the
/// end of a file is not a crash.
const TORN_MAX: u64 = 64 * 1024 * 1024;

/// Whose file says that a process writes here.
const LOCK: &str = "lock";

/// Where a log may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it outlives the machine's power.
    Disk,
    /// In memory, too.
    Anywhere,
}

/// When a file has had enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes.
    pub size: u64,
    /// Since it was begun or opened.
    pub age: Duration,
}

/// A log that is open for writing.
pub(super) struct Log {
    directory: PathBuf,
    boot: Uuid,
    rotation: Rotation,
    segment: SegmentFile,
    file: File,
    since: Instant,
    written: Position,
    /// Of what was written and not flushed.
    leaves: Vec<Hash>,
    /// What a failure goes back to.
    flushed: Position,
    /// Held for as long as the log is open.
    _lock: File,
}

/// How far a log is.
#[derive(Clone)]
struct Position {
    /// Bytes of its last file.
    length: u64,
    state: State,
}

/// Where a log stands: all that the next record depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    link: Hash,
    tree: Frontier,
    /// Requests without an outcome.
    open: BTreeSet<u64>,
    instance: Option<Uuid>,
}

/// Why a log is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What is in memory alone is no log.
    #[error("{path}: this file system is in memory, and the environment a production one: use a directory on a disk", path = .0.display())]
    InMemory(PathBuf),
    /// The directory or a file in it cannot be used.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process writes here.
    #[error("{path}: another process writes this log: give every process its own directory", path = .0.display())]
    Locked(PathBuf),
    /// What is there is not what was written.
    #[error("{path}, byte {offset}: the log was changed here: keep it, run `countersign audit verify`, and start with another directory", path = path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
}

impl Log {
    /// Opens the log of a directory, or makes one, and closes what a crash left open.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is changed where the log is not what was written.
    pub(super) fn open(
        directory: &Path,
        place: Place,
        rotation: Rotation,
        start: Start,
    ) -> Result<Self, OpenError> {
        let at = |error| OpenError::Io { path: directory.to_owned(), error };
        make(directory)?;
        if place == Place::Disk && is_in_memory(directory).map_err(at)? {
            return Err(OpenError::InMemory(directory.to_owned()));
        }
        let path = directory.join(LOCK);
        let lock =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(at)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => OpenError::Locked(path),
            errno => at(errno.into()),
        })?;

        let boot = Uuid::new_v4();
        let found = Found::read(directory)?;
        let mut beginning = Vec::new();
        if found.state.instance.is_none() {
            beginning.push(Event::Created { instance: Uuid::new_v4() });
        }
        if found.torn > 0 {
            beginning.push(Event::Cut { bytes: found.torn });
        }
        beginning.push(Event::Started(start));
        beginning.extend(
            found
                .state
                .open
                .iter()
                .map(|of| Event::Outcome { of: *of, ended: Ended::with(Outcome::Indeterminate) }),
        );
        let segment = found.segment.unwrap_or_else(|| SegmentFile::at(directory, 0));
        let here = |error| OpenError::Io { path: segment.path.clone(), error };
        let file = append(&segment.path).map_err(here)?;
        // Whatever a crash left behind the last whole record.
        file.set_len(found.length).map_err(here)?;
        sync_directory(directory).map_err(at)?;
        let position = Position { length: found.length, state: found.state };
        let mut log = Self {
            directory: directory.to_owned(),
            boot,
            rotation,
            segment: segment.clone(),
            file,
            since: Instant::now(),
            written: position.clone(),
            leaves: Vec::new(),
            flushed: position,
            _lock: lock,
        };
        log.write(&beginning).and_then(|()| log.flush()).map_err(here)?;
        Ok(log)
    }

    /// The `seq` that the first event of the next group will have. Begins a new file
    /// where the old one has had enough.
    ///
    /// # Errors
    /// As [`Log::write`].
    pub(super) fn next(&mut self) -> io::Result<u64> {
        let length = self.written.length;
        let full = length >= self.rotation.size || self.since.elapsed() >= self.rotation.age;
        if full && length > 0 {
            self.flush()?;
            self.begin_segment()?;
        }
        Ok(self.written.state.tree.size() + u64::from(self.head().is_some()))
    }

    /// Writes a group, whose first event has the `seq` of [`Log::next`].
    ///
    /// # Errors
    /// Nothing since the last flush counts, and nothing may be written before
    /// [`Log::reopen`].
    pub(super) fn write<'e>(
        &mut self,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> io::Result<()> {
        let mut lines = Vec::new();
        if let Some(head) = self.head() {
            self.add(&mut lines, &head);
        }
        for event in events {
            self.add(&mut lines, event);
        }
        self.file.write_all(&lines)?;
        self.written.length += lines.len() as u64;
        Ok(())
    }

    fn add(&mut self, lines: &mut Vec<u8>, event: &Event) {
        let state = &mut self.written.state;
        let (seq, time) = (state.tree.size(), Time::now());
        let bytes = record::Written { seq, time, boot: self.boot, event }.to_bytes();
        let link = chain::link(&state.link, &bytes);
        let leaf = tree::leaf(&bytes);
        chain::write(lines, &link, &bytes);
        state.follow(seq, event, link, leaf);
        self.leaves.push(leaf);
    }

    /// The tree with what was written and not flushed.
    pub(super) fn growth(&self) -> Growth {
        self.flushed.state.tree.grow(&self.leaves)
    }

    /// The hash of a record that was written and not flushed.
    pub(super) fn leaf(&self, seq: u64) -> Option<Hash> {
        let index = seq.checked_sub(self.flushed.state.tree.size())?;
        self.leaves.get(usize::try_from(index).ok()?).copied()
    }

    /// How many records are on disk, and the root of their tree.
    pub(super) fn head_on_disk(&self) -> (u64, Hash) {
        let tree = &self.flushed.state.tree;
        (tree.size(), tree.root())
    }

    /// The name of the log.
    pub(super) fn instance(&self) -> Uuid {
        // Every log that is open begins with its name.
        self.flushed.state.instance.unwrap_or_default()
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// As [`Log::write`].
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.flushed.clone_from(&self.written);
        self.leaves.clear();
        Ok(())
    }

    /// Writes elsewhere until [`Log::reopen`].
    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: File) {
        self.file = file;
    }

    /// What a new file begins with; none at the beginning of the log.
    fn head(&self) -> Option<Event> {
        let Position { length, state } = &self.written;
        (*length == 0).then(|| state.head()).flatten().map(Event::Segment)
    }

    /// After a failure: verifies what is on disk, cuts off what is not known to be, and
    /// goes on in a new file.
    ///
    /// # Errors
    /// It still fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.written.clone_from(&self.flushed);
        self.leaves.clear();
        let Position { length, state } = &self.flushed;
        if *length > 0 {
            let old = append(&self.segment.path)?;
            old.set_len(*length)?;
            old.sync_all()?;
            let found = Found::read(&self.directory);
            let found = found.map_err(|error| io::Error::other(error.to_string()))?;
            if found.state.link != state.link || found.length != *length {
                return Err(io::Error::other("the file is not what was written"));
            }
        }
        self.begin_segment()
    }

    /// Makes the next file. What a failed attempt may have left there counts for nothing.
    fn begin_segment(&mut self) -> io::Result<()> {
        let segment = SegmentFile::at(&self.directory, self.flushed.state.tree.size());
        match fs::remove_file(&segment.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = append(&segment.path)?;
        (self.segment, self.since) = (segment, Instant::now());
        (self.written.length, self.flushed.length) = (0, 0);
        sync_directory(&self.directory)
    }
}

impl State {
    /// What a file begins with here; none at the beginning of the log.
    fn head(&self) -> Option<Segment> {
        Some(Segment {
            instance: self.instance?,
            after: self.link.into(),
            tree: self.tree.roots().iter().map(|root| (*root).into()).collect(),
            open: self.open.iter().copied().collect(),
        })
    }

    /// The state before a file whose first record this is; none if that cannot be.
    pub(super) fn at(first: &[u8]) -> Option<Self> {
        let Record { seq, event: Event::Segment(head), .. } = serde_json::from_slice(first).ok()?
        else {
            return None;
        };
        let roots = head.tree.iter().map(Hex::hash).collect::<Option<Vec<_>>>()?;
        Some(Self {
            link: head.after.hash()?,
            tree: Frontier::new(seq, roots)?,
            open: head.open.iter().copied().collect(),
            instance: Some(head.instance),
        })
    }

    /// Goes on to the next record; none where it is not the next.
    pub(super) fn read(&mut self, line: &[u8]) -> Option<Record> {
        let (link, bytes) = chain::read(line)?;
        let record: Record = serde_json::from_slice(bytes).ok()?;
        if record.seq != self.tree.size() || link != chain::link(&self.link, bytes) {
            return None;
        }
        self.follow(record.seq, &record.event, link, tree::leaf(bytes));
        Some(record)
    }

    /// The link of the last record.
    pub(super) fn link(&self) -> Hash {
        self.link
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// How many requests have no outcome.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// The name of the log.
    pub(super) fn instance(&self) -> Option<Uuid> {
        self.instance
    }

    /// Goes on to a record that follows.
    pub(super) fn follow(&mut self, seq: u64, event: &Event, link: Hash, leaf: Hash) {
        self.link = link;
        self.tree.push(leaf);
        match event {
            Event::Created { instance } => self.instance = Some(*instance),
            Event::Request(request) if request.ended.is_none() => {
                self.open.insert(seq);
            }
            Event::Outcome { of, .. } => {
                self.open.remove(of);
            }
            _ => {}
        }
    }
}

/// What is there already.
struct Found {
    /// The last file; none in a new directory.
    segment: Option<SegmentFile>,
    /// Bytes of it that are whole records.
    length: u64,
    /// Bytes behind them.
    torn: u64,
    state: State,
}

impl Found {
    /// Reads the last file of a log.
    fn read(directory: &Path) -> Result<Self, OpenError> {
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

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Makes the directory of a log, where it is not there.
///
/// # Errors
/// It cannot be made.
pub fn make(directory: &Path) -> Result<(), OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| OpenError::Io { path: directory.to_owned(), error })
}

/// Whether a directory's file system forgets it without power.
fn is_in_memory(directory: &Path) -> io::Result<bool> {
    /// `linux/magic.h`: tmpfs, ramfs.
    const MAGIC: [i64; 2] = [0x0102_1994, 0x8584_58f6];
    let file_system = rustix::fs::statfs(directory)?.f_type;
    Ok(MAGIC.contains(&file_system))
}

/// Makes the names in a directory durable.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
