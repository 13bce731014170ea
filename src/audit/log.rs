//! The log: the files of one instance, written by one thread of one process.
//!
//! A group of records is one write and one flush, a group that nobody waits for a write
//! alone. When either fails, nothing is known of what is on disk behind the last flush:
//! [`Log::reopen`] cuts that off and goes on in a new file, because the old one's next
//! flush could succeed without having kept what the failed one was to keep.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    mem,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::{
    chain,
    error::OpenError,
    note::Checkpoint,
    place::{CHECKPOINT, Place, make, remove_if_there, sync_directory},
    record::{self, Ended, Event, Outcome, Start, Time},
    recovery::Found,
    segment::SegmentFile,
    state::State,
    tree::{self, Growth, Hash},
};

/// Whose file says that a process writes here.
const LOCK: &str = "lock";

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
    /// Whether a file was closed that nobody looked after.
    rotated: bool,
    /// Whether the file was read again since its last flush.
    reread: bool,
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

impl Log {
    /// Opens the log of a directory, or makes one, and closes what a crash left open.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is changed then. What cannot be told from the end that a
    /// crash leaves is cut off, and the cut recorded.
    pub(super) fn open(
        directory: &Path,
        place: Place,
        rotation: Rotation,
        start: Start,
    ) -> Result<Self, OpenError> {
        let at = |error| OpenError::Io { path: directory.to_owned(), error };
        make(directory)?;
        place.allows(directory)?;
        let path = directory.join(LOCK);
        let lock = append(&path).map_err(at)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => OpenError::Locked(path),
            errno => at(errno.into()),
        })?;

        let boot = Uuid::new_v4();
        let found = Found::read(directory)?;
        // It is written after the records that it has.
        let shipped = fs::read_to_string(directory.join(CHECKPOINT)).unwrap_or_default();
        let shipped = Checkpoint::of(&shipped).filter(|one| one.size > found.state.tree().size());
        if let Some(Checkpoint { size, .. }) = shipped {
            return Err(OpenError::Cut { path: directory.to_owned(), size });
        }
        let mut beginning = Vec::new();
        if found.state.instance().is_none() {
            beginning.push(Event::Created { instance: Uuid::new_v4() });
        }
        if found.torn > 0 {
            beginning.push(Event::Cut { bytes: found.torn });
        }
        beginning.push(Event::Started(start));
        beginning.extend(
            found
                .state
                .unended()
                .map(|of| Event::Outcome { of, ended: Ended::with(Outcome::Indeterminate) }),
        );
        let (segment, length) = found.clear(directory).map_err(at)?;
        let here = |error| OpenError::Io { path: segment.path.clone(), error };
        let file = append(&segment.path).map_err(here)?;
        sync_directory(directory).map_err(at)?;
        let position = Position { length, state: found.state };
        let mut log = Self {
            directory: directory.to_owned(),
            boot,
            rotation,
            segment: segment.clone(),
            // What a process before left.
            rotated: true,
            reread: false,
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

    /// The `seq` that the first event of the next group will have.
    pub(super) fn next(&self) -> u64 {
        self.written.state.tree().size() + u64::from(self.head().is_some())
    }

    /// Whether the file has had enough.
    pub(super) fn is_full(&self) -> bool {
        let length = self.written.length;
        let full = length >= self.rotation.size || self.since.elapsed() >= self.rotation.age;
        full && length > 0
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
        let (seq, time) = (state.tree().size(), Time::now());
        let bytes = record::Written { seq, time, boot: self.boot, event }.to_bytes();
        let link = chain::link(&state.link(), &bytes);
        let leaf = tree::leaf(&bytes);
        chain::write(lines, &link, &bytes);
        state.follow(seq, event, link, leaf);
        self.leaves.push(leaf);
    }

    /// The tree with what was written and not flushed.
    pub(super) fn growth(&self) -> Growth {
        self.flushed.state.tree().grow(&self.leaves)
    }

    /// The hash of a record that was written and not flushed.
    pub(super) fn leaf(&self, seq: u64) -> Option<Hash> {
        let index = seq.checked_sub(self.flushed.state.tree().size())?;
        self.leaves.get(usize::try_from(index).ok()?).copied()
    }

    /// How many records are on disk, and the root of their tree.
    pub(super) fn head_on_disk(&self) -> (u64, Hash) {
        let tree = self.flushed.state.tree();
        (tree.size(), tree.root())
    }

    /// Whether a file was closed since this was asked.
    pub(super) fn take_rotated(&mut self) -> bool {
        mem::take(&mut self.rotated)
    }

    /// The name of the log.
    pub(super) fn instance(&self) -> Uuid {
        // Every log that is open begins with its name.
        self.flushed.state.instance().unwrap_or_default()
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// As [`Log::write`].
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.reread = false;
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

    /// After a failure: cuts off what is not known to be on disk, reads the rest again, and
    /// goes on in a new file.
    ///
    /// # Errors
    /// It still fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.written.clone_from(&self.flushed);
        self.leaves.clear();
        let Position { length, state } = &self.flushed;
        if *length > 0 && !self.reread {
            let old = append(&self.segment.path)?;
            old.set_len(*length)?;
            old.sync_all()?;
            let found = Found::read(&self.directory);
            let found = found.map_err(|error| io::Error::other(error.to_string()))?;
            if found.state.link() != state.link() || found.length != *length {
                return Err(io::Error::other("the file is not what was written"));
            }
            self.reread = true;
        }
        self.begin_segment()
    }

    /// Makes the next file, when all is flushed. What a failed attempt may have left there
    /// counts for nothing.
    ///
    /// # Errors
    /// As [`Log::write`].
    pub(super) fn begin_segment(&mut self) -> io::Result<()> {
        let segment = SegmentFile::at(&self.directory, self.flushed.state.tree().size());
        remove_if_there(&segment.path)?;
        self.file = append(&segment.path)?;
        (self.segment, self.since, self.rotated) = (segment, Instant::now(), true);
        (self.written.length, self.flushed.length) = (0, 0);
        sync_directory(&self.directory)
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}
