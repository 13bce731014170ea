//! What becomes of files that have had enough: they are compressed, and removed when they
//! are old. All of it happens on one thread of its own, which nobody waits for.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};

use super::{chain, place::sync_directory, record::Record, segment::SegmentFile};

/// How a compressed file is called while it is not whole.
const PARTIAL: &str = "gz.partial";
/// How often it is looked whether a file is old.
const PERIOD: Duration = Duration::from_secs(3600);
/// The same while it is not known how far the log was read by who has to.
const SOON: Duration = Duration::from_secs(60);
/// A clock that is further from where it must be has jumped: nothing is old by it.
const JUMP: Duration = Duration::from_secs(24 * 3600);

/// The writer's end of the thread.
pub(super) struct Archive {
    work: mpsc::Sender<Work>,
    /// Up to which record files may be removed, as the thread found; 0 for none.
    retirable: Arc<AtomicU64>,
    keep: Option<Duration>,
    look_at: Instant,
    begun: (SystemTime, Instant),
}

enum Work {
    /// Compress what is closed.
    Compress,
    /// Find what is older than this, before what somebody still has to read.
    Look { before: SystemTime, wanted: u64 },
    /// Remove the files of records before this one.
    Retire(u64),
}

impl Archive {
    /// Starts the thread. Files are kept for so long; for ever where nothing is said.
    pub(super) fn start(
        directory: &Path,
        compress: bool,
        keep: Option<Duration>,
    ) -> io::Result<Self> {
        let (work, received) = mpsc::channel();
        let retirable = Arc::<AtomicU64>::default();
        let (directory, found) = (directory.to_owned(), Arc::clone(&retirable));
        let thread = thread::Builder::new().name("archive".to_owned());
        thread.spawn(move || run(&directory, compress, &received, &found))?;
        let begun = (SystemTime::now(), Instant::now());
        Ok(Self { work, retirable, keep, look_at: Instant::now(), begun })
    }

    /// A file was closed.
    pub(super) fn closed(&self) {
        let _ = self.work.send(Work::Compress);
    }

    /// When it is to be looked for old files.
    pub(super) fn due(&self) -> Option<Instant> {
        self.keep.map(|_| self.look_at)
    }

    /// Up to which record files may be removed, as far as it is known; looks for more
    /// where that is due.
    pub(super) fn retirable(&mut self, wanted: u64) -> Option<u64> {
        let keep = self.keep?;
        if self.look_at <= Instant::now() {
            self.look_at = Instant::now() + if wanted == 0 { SOON } else { PERIOD };
            let before = self.now().and_then(|now| now.checked_sub(keep));
            if let Some(before) = before.filter(|_| wanted > 0) {
                let _ = self.work.send(Work::Look { before, wanted });
            }
        }
        match self.retirable.swap(0, Ordering::Relaxed) {
            0 => None,
            to => Some(to),
        }
    }

    /// Removes files, when the record of that is durable.
    pub(super) fn retire(&self, to: u64) {
        let _ = self.work.send(Work::Retire(to));
    }

    /// The time, unless the clock has jumped since the start.
    fn now(&self) -> Option<SystemTime> {
        let (wall, begun) = self.begun;
        let (now, expected) = (SystemTime::now(), wall + begun.elapsed());
        let off = now.duration_since(expected).or_else(|_| expected.duration_since(now));
        let jumped = off.is_ok_and(|off| off > JUMP);
        if jumped {
            tracing::warn!("The clock has jumped: no file of the audit log is old by it");
        }
        (!jumped).then_some(now)
    }
}

fn run(directory: &Path, compress: bool, work: &mpsc::Receiver<Work>, found: &AtomicU64) {
    remove_partials(directory);
    while let Ok(work) = work.recv() {
        match work {
            Work::Compress if compress => compress_all(directory),
            Work::Compress => {}
            Work::Look { before, wanted } => match retirable(directory, before, wanted) {
                Ok(to) => found.store(to, Ordering::Relaxed),
                Err(error) => {
                    tracing::warn!(%error, "Old files of the audit log are not found");
                }
            },
            Work::Retire(to) => {
                if let Err(error) = retire(directory, to) {
                    tracing::warn!(%error, "Old files of the audit log are not removed");
                }
            }
        }
    }
}

/// What an interrupted attempt left.
fn remove_partials(directory: &Path) {
    for segment in SegmentFile::all(directory).into_iter().flatten() {
        // Mostly there is none.
        let _ = fs::remove_file(partial(&segment.path));
    }
}

fn partial(path: &Path) -> PathBuf {
    path.with_extension(PARTIAL)
}

/// The first record that stays; 0 where nothing may go.
fn retirable(directory: &Path, before: SystemTime, wanted: u64) -> io::Result<u64> {
    let segments = SegmentFile::all(directory)?;
    let mut to = 0;
    for (old, next) in segments.iter().zip(segments.iter().skip(1)) {
        // Both, because a clock that was set back makes what follows older.
        let old = is_before(old, before)? && is_before(next, before)?;
        if !old || next.first > wanted {
            break;
        }
        to = next.first;
    }
    Ok(to)
}

/// Whether the first record of a file is older than this.
fn is_before(segment: &SegmentFile, before: SystemTime) -> io::Result<bool> {
    let mut lines = segment.lines()?;
    let line = lines.line()?;
    let record: Option<Record> =
        line.and_then(|line| serde_json::from_slice(chain::read(line.bytes)?.1).ok());
    Ok(record.and_then(|record| record.time.moment()).is_some_and(|time| time < before))
}

/// Removes the files of records before this one.
fn retire(directory: &Path, to: u64) -> io::Result<()> {
    let segments = SegmentFile::all(directory)?;
    for (old, next) in segments.iter().zip(segments.iter().skip(1)) {
        if next.first <= to {
            fs::remove_file(&old.path)?;
            // Where it was compressed and removed by halves.
            let _ = fs::remove_file(old.compressed());
        }
    }
    sync_directory(directory)
}

pub(super) fn compress_all(directory: &Path) {
    let segments = match SegmentFile::all(directory) {
        Ok(segments) => segments,
        Err(error) => return tracing::warn!(%error, "The audit log's directory is not read"),
    };
    // The last one is written; one that has nothing in it yet may be taken back.
    let written = segments.iter().rposition(SegmentFile::has_records).unwrap_or(0);
    for segment in segments.iter().take(written).filter(|one| !one.is_compressed()) {
        if let Err(error) = compress(segment) {
            let file = segment.path.display();
            tracing::warn!(%error, %file, "A closed file of the audit log is not compressed");
            // Not even a part of it may take the room that the log needs.
            let _ = fs::remove_file(partial(&segment.path));
        }
    }
}

/// Puts a compressed file in a file's place, when it says the same.
pub(super) fn compress(segment: &SegmentFile) -> io::Result<()> {
    let partial = partial(&segment.path);
    // What an interrupted attempt left.
    let _ = fs::remove_file(&partial);
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&partial)?;
    let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
    io::copy(&mut File::open(&segment.path)?, &mut encoder)?;
    let mut written = encoder.finish()?;
    written.flush()?;
    written.get_ref().sync_all()?;
    if !is_same(&segment.path, &partial)? {
        return Err(io::Error::other("it was changed meanwhile"));
    }
    fs::rename(&partial, segment.compressed())?;
    sync_directory(segment.path.parent().unwrap_or(Path::new(".")))?;
    fs::remove_file(&segment.path)
}

fn is_same(plain: &Path, compressed: &Path) -> io::Result<bool> {
    let mut plain = BufReader::new(File::open(plain)?);
    let mut compressed = GzDecoder::new(BufReader::new(File::open(compressed)?));
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = plain.read(&mut left)?;
        let (left, right) = (left.get(..read), right.get_mut(..read));
        let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
        if read == 0 {
            return Ok(compressed.read(&mut [0])? == 0);
        }
        match compressed.read_exact(right) {
            Ok(()) if left == right => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
