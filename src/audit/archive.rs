//! What becomes of files that have had enough: they are compressed, and removed when they
//! are old.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};

use super::{chain, record::Record, segment::SegmentFile};

/// How a compressed file is called while it is not whole.
const PARTIAL: &str = "gz.partial";
/// How often it is looked whether a file is old.
const PERIOD: Duration = Duration::from_secs(3600);

/// What is done with closed files, and when it was last looked.
pub(super) struct Archive {
    keep: Option<Duration>,
    looked: Option<Instant>,
    compressing: Option<JoinHandle<()>>,
    compress: bool,
}

impl Archive {
    /// Keeps files for so long; for ever where nothing is said.
    pub(super) fn new(compress: bool, keep: Option<Duration>) -> Self {
        Self { keep, looked: None, compressing: None, compress }
    }

    /// Compresses closed files on a thread of its own, one after the other.
    pub(super) fn compress(&mut self, directory: &Path) {
        let busy = self.compressing.as_ref().is_some_and(|thread| !thread.is_finished());
        if !self.compress || busy {
            return;
        }
        let directory = directory.to_owned();
        let thread = thread::Builder::new().name("archive".to_owned());
        self.compressing = thread.spawn(move || compress_all(&directory)).ok();
    }

    /// Up to which record files may be removed: those that are closed, older than is
    /// kept, and counted. None where there is nothing, or it was looked just now.
    pub(super) fn retirable(&mut self, directory: &Path, counted: u64) -> Option<u64> {
        let keep = self.keep?;
        if self.looked.is_some_and(|looked| looked.elapsed() < PERIOD) {
            return None;
        }
        self.looked = Some(Instant::now());
        let before = SystemTime::now().checked_sub(keep)?;
        retirable(directory, before, counted).unwrap_or_else(|error| {
            tracing::warn!(%error, "Old files of the audit log are not found");
            None
        })
    }
}

fn retirable(directory: &Path, before: SystemTime, counted: u64) -> io::Result<Option<u64>> {
    let segments = SegmentFile::all(directory)?;
    let mut to = None;
    // What begins a file is younger than all of the file before.
    for next in segments.iter().skip(1).take_while(|next| next.first <= counted) {
        let begun = first_record(next)?.and_then(|record| record.time.moment());
        if begun.is_none_or(|begun| begun >= before) {
            break;
        }
        to = Some(next.first);
    }
    Ok(to)
}

fn first_record(segment: &SegmentFile) -> io::Result<Option<Record>> {
    let mut lines = segment.lines()?;
    let line = lines.line()?;
    let record = line.and_then(|line| serde_json::from_slice(chain::read(line.bytes)?.1).ok());
    Ok(record)
}

/// Removes the files of records before this one.
pub(super) fn retire(directory: &Path, to: u64) -> io::Result<()> {
    let segments = SegmentFile::all(directory)?;
    for (old, next) in segments.iter().zip(segments.iter().skip(1)) {
        if next.first <= to {
            fs::remove_file(&old.path)?;
        }
    }
    File::open(directory)?.sync_all()
}

pub(super) fn compress_all(directory: &Path) {
    let compressed = SegmentFile::all(directory).and_then(|mut segments| {
        // The last one is written.
        segments.pop();
        segments.iter().filter(|one| !one.is_compressed()).try_for_each(compress)
    });
    if let Err(error) = compressed {
        tracing::warn!(%error, "A closed file of the audit log is not compressed");
    }
}

/// Puts a compressed file in a file's place, when it says the same.
fn compress(segment: &SegmentFile) -> io::Result<()> {
    let partial = segment.path.with_extension(PARTIAL);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
    let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
    io::copy(&mut File::open(&segment.path)?, &mut encoder)?;
    let mut written = encoder.finish()?;
    written.flush()?;
    written.get_ref().sync_all()?;
    if !is_same(&segment.path, &partial)? {
        return Err(io::Error::other(format!("{} has changed", segment.path.display())));
    }
    fs::rename(&partial, segment.compressed())?;
    let directory = segment.path.parent().unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
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
