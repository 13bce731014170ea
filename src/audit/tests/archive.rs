//! Closed files: compressed they say the same, and removed they are missed by nobody.

use std::{
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use super::crash::{ROTATION, append, archive, request, shipping, start};
use crate::{
    audit::{
        Audit, Place, Rotation,
        archive::{compress, compress_all},
        log::Log,
        note::Checkpoint,
        reader::{Found, Reader},
        record::{Ended, Event, Outcome},
        segment::SegmentFile,
        verify::{Change, verify},
        writer::Writer,
    },
    telemetry::Metrics,
};

const SMALL: Rotation = Rotation { size: 1000, ..ROTATION };

fn many_files() -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut log = Log::open(directory.path(), Place::Anywhere, SMALL, start()).unwrap();
    for id in 0..20 {
        append(&mut log, [id]).unwrap();
    }
    drop(log);
    assert!(SegmentFile::all(directory.path()).unwrap().len() > 5);
    directory
}

fn read(directory: &TempDir) -> Vec<u64> {
    let mut reader = Reader::new(directory.path());
    let mut read = Vec::new();
    while let Some(Found::Record(record)) = reader.advance().unwrap() {
        read.push(record.seq);
    }
    read
}

#[test]
fn a_compressed_file_says_the_same() {
    let directory = many_files();
    let (before, records) = (verify(directory.path(), &[], |_| ()).unwrap(), read(&directory));
    // What an interrupted attempt left counts for nothing.
    let first = SegmentFile::at(directory.path(), 0).path;
    fs::write(first.with_extension("gz.partial"), "half").unwrap();
    compress_all(directory.path());
    let all = SegmentFile::all(directory.path()).unwrap();
    let (last, closed) = all.split_last().unwrap();
    assert!(!last.is_compressed() && closed.iter().all(SegmentFile::is_compressed), "{all:?}");
    assert!(!first.exists() && !first.with_extension("gz.partial").exists());
    assert_eq!(verify(directory.path(), &[], |_| ()).unwrap(), before);
    assert_eq!(read(&directory), records);
    assert!(records.iter().copied().eq(0..before.size));
    // The log goes on, and a changed bit is found.
    drop(Log::open(directory.path(), Place::Anywhere, SMALL, start()).unwrap());
    assert!(verify(directory.path(), &[], |_| ()).unwrap().findings.is_empty());
    let mut bytes = fs::read(&closed[1].path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&closed[1].path, bytes).unwrap();
    let report = verify(directory.path(), &[], |_| ()).unwrap();
    let file = closed[1].path.file_name().unwrap().to_str().unwrap();
    assert!(!report.is_intact() && report.findings[0].file == file, "{report:?}");
}

/// A file that was begun and has no record yet, as a killed process leaves it: the one
/// before was closed, and is not written again, compressed or not.
#[test]
fn a_closed_file_is_not_written_again() {
    for compressed in [false, true] {
        let directory = TempDir::new().unwrap();
        let mut log = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
        append(&mut log, 0..5).unwrap();
        log.begin_segment().unwrap();
        let size = log.next() - 1;
        drop(log);
        let [closed, begun] = &*SegmentFile::all(directory.path()).unwrap() else { panic!() };
        assert_eq!((begun.first, fs::read(&begun.path).unwrap().len()), (size, 0));
        // Not even where it is asked for: the next file may be taken back.
        compress_all(directory.path());
        assert!(closed.path.exists());
        if compressed {
            compress(closed).unwrap();
        }
        let closed = SegmentFile::all(directory.path()).unwrap().remove(0);
        let before = fs::read(&closed.path).unwrap();
        for _ in 0..2 {
            drop(Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap());
        }
        assert_eq!(fs::read(&closed.path).unwrap(), before);
        let report = verify(directory.path(), &[], |_| ()).unwrap();
        assert!(report.findings.is_empty() && report.open == 0, "{report:?}");
        assert_eq!(SegmentFile::all(directory.path()).unwrap().len(), 2);
        assert!(read(&directory).into_iter().eq(0..report.size));
    }
}

/// Files go when they are old and counted, and the log says so before.
#[tokio::test]
async fn what_is_retired_is_said() {
    let directory = many_files();
    let heads: Vec<_> = SegmentFile::all(directory.path()).unwrap();
    let kept = heads[3].first;
    let log = Log::open(directory.path(), Place::Anywhere, SMALL, start()).unwrap();
    let (audit, received) =
        Audit::unwritten(log.instance(), shipping(directory.path()).checkpoints());
    // The file behind it is not counted to its end.
    audit.set_counted(kept + 1);
    let archive = archive(directory.path(), Some(Duration::ZERO));
    let shared = Arc::clone(&audit.shared);
    let writer = Writer::new(log, shared, shipping(directory.path()), archive, Metrics::new());
    let thread = thread::spawn(move || writer.run(&received));
    let began = Instant::now();
    for id in 20.. {
        audit.begin(request(id), Instant::now()).durable().await.unwrap();
        if SegmentFile::all(directory.path()).unwrap()[0].first == kept {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    drop(audit);
    thread.join().unwrap();
    let report = verify(directory.path(), &[], |_| ()).unwrap();
    assert_eq!((report.first, report.findings), (kept, Vec::new()));
    assert!(report.root.is_some());

    // What a checkpoint says of what was removed cannot be compared, and is not passed over.
    let origin = format!("countersign/test/{}", report.instance.unwrap());
    let head = |size| Checkpoint { origin: origin.clone(), size, root: [7; 32] };
    let found = |heads: &[Checkpoint]| {
        let report = verify(directory.path(), heads, |_| ()).unwrap();
        report.findings.into_iter().map(|finding| finding.change).collect::<Vec<_>>()
    };
    assert_eq!(found(&[head(kept - 1)]), [Change::Uncompared { size: kept - 1 }]);
    assert_eq!(found(&[head(kept)]), [Change::Diverged { size: kept }]);
    let other = Checkpoint { origin: "countersign/test/other".to_owned(), ..head(kept - 1) };
    assert_eq!(found(&[other]), [Change::OtherLog]);

    // Removed by somebody else.
    fs::remove_file(&heads[3].path).unwrap();
    let to = heads[4].first;
    assert_eq!(found(&[]), [Change::Removed { from: kept, to }]);
}

/// Files stay until the last of those who read them has.
#[test]
fn what_is_not_copied_is_not_retired() {
    let (audit, _jobs) = Audit::unwritten(Uuid::nil(), watch::channel(None).1);
    let wanted = || audit.shared.wanted();
    assert_eq!(wanted(), 0);
    audit.set_counted(7);
    assert_eq!(wanted(), 7);
    for (copied, expected) in [(0, 0), (5, 5), (9, 7)] {
        audit.set_copied(copied);
        assert_eq!(wanted(), expected);
    }
}

/// Records that were written and are not durable may be cut off, with others in their place.
#[test]
fn what_is_not_durable_is_not_read_ahead() {
    let directory = TempDir::new().unwrap();
    let mut log = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
    append(&mut log, 0..3).unwrap();
    let (last, durable) = (log.next() - 1, log.next());
    log.write(&[4, 5].map(|id| Event::Request(Box::new(request(id))))).unwrap();
    let mut reader = Reader::new(directory.path());
    assert!(reader.record(last).unwrap().is_some());
    reader.settle().unwrap();
    let line = reader.line().to_vec();
    log.reopen().unwrap();
    append(&mut log, [6]).unwrap();
    // The last line is still that of the last record.
    assert_eq!(reader.line(), line);
    let next = reader.record(durable).unwrap().unwrap();
    assert!(matches!(next.event, Event::Segment(_)), "{next:?}");
    assert_eq!(SegmentFile::all(directory.path()).unwrap().len(), 2);
}

#[test]
fn an_outcome_is_said_once() {
    let directory = TempDir::new().unwrap();
    let mut log = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
    append(&mut log, [0]).unwrap();
    let of = log.next() - 1;
    let outcome = || Event::Outcome { of, ended: Ended::with(Outcome::Done) };
    log.write(&[outcome(), outcome()]).unwrap();
    log.flush().unwrap();
    drop(log);
    let report = verify(directory.path(), &[], |_| ()).unwrap();
    let changes: Vec<_> = report.findings.into_iter().map(|finding| finding.change).collect();
    assert_eq!(changes, [Change::Repeated { seq: of + 2, of }]);
}
