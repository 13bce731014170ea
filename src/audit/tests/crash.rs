//! What is left of a log when its process or its disk fails.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use crate::{
    audit::{
        Audit, CHECKPOINT, FrameEntry, OpenError, Place, Rotation, Settings,
        archive::Archive,
        log::Log,
        record::{Decision, Ended, Event, Hex, Outcome, Record, Request, Start},
        segment::SegmentFile,
        shipping::Shipping,
        verify::{Change, verify},
        writer::Writer,
    },
    telemetry::Metrics,
};

pub(super) const ROTATION: Rotation = Rotation { size: 1 << 20, age: Duration::from_secs(3600) };

fn settings(directory: &Path) -> Settings {
    let (directory, checkpoints) = (directory.to_owned(), Duration::from_secs(3600));
    let (place, rotation, compress) = (Place::Anywhere, ROTATION, true);
    let (keep, webhook) = (None, None);
    Settings { directory, place, rotation, checkpoints, compress, keep, webhook }
}

pub(super) fn shipping(directory: &Path) -> Shipping {
    Shipping::to(directory, Duration::from_secs(3600))
}

pub(super) fn archive(directory: &Path, keep: Option<Duration>) -> Archive {
    Archive::start(directory, false, keep).unwrap()
}

pub(super) fn start() -> Start {
    Start {
        version: "0".to_owned(),
        environment: "test".to_owned(),
        configuration: Some(Hex::from([7; 32])),
        protection: "mlock".to_owned(),
    }
}

pub(super) fn request(id: u64) -> Request {
    Request {
        request_id: format!("request-{id}"),
        caller: "app".to_owned(),
        action: "Sign".to_owned(),
        decision: Decision::Permitted,
        policies: vec!["app-signs".to_owned()],
        ..Request::default()
    }
}

/// Writes requests as a group, and flushes it.
pub(super) fn append(log: &mut Log, ids: impl IntoIterator<Item = u64>) -> io::Result<()> {
    if log.is_full() {
        log.begin_segment()?;
    }
    let events: Vec<_> = ids.into_iter().map(|id| Event::Request(Box::new(request(id)))).collect();
    log.write(&events)?;
    log.flush()
}

pub(super) fn records(directory: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    for segment in SegmentFile::all(directory).unwrap() {
        let text = fs::read_to_string(segment.path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(&line[65..]).unwrap());
        records.extend(lines);
    }
    records
}

fn outcomes(directory: &Path) -> Vec<(u64, Outcome)> {
    let outcomes = records(directory).into_iter().filter_map(|record| match record.event {
        Event::Outcome { of, ended } => Some((of, ended.outcome)),
        _ => None,
    });
    outcomes.collect()
}

#[tokio::test]
async fn every_request_has_one_outcome() {
    let directory = TempDir::new().unwrap();
    let (audit, writing) =
        Audit::open(&settings(directory.path()), start(), Metrics::new()).unwrap();
    let mut signed = audit.begin(request(0), Instant::now());
    signed.durable().await.unwrap();
    let on_disk = records(directory.path());
    assert!(matches!(on_disk.last().unwrap().event, Event::Request(_)), "{on_disk:?}");
    signed.signed(&[7; 64]);
    let mut cancelled = audit.begin(request(1), Instant::now());
    cancelled.durable().await.unwrap();
    drop(cancelled);
    let mut stream = audit.begin(request(2), Instant::now());
    stream.durable().await.unwrap();
    let mut frame = stream.frame(request(2));
    frame.signed(&[8; 64]);
    FrameEntry::record(vec![frame]).durable().await.unwrap();
    drop(stream.frame(request(2)));
    stream.end(Ended::with(Outcome::Done));
    // Whatever follows an end, it was said.
    stream.end(Ended::with(Outcome::Failed));
    drop(stream);
    for _ in 0..3 {
        audit.refused(Some("app"), "OVERLOADED");
    }
    writing.stop();

    let report = verify(directory.path(), &[], |_| ()).unwrap();
    assert!(report.findings.is_empty() && report.open == 0, "{report:?}");
    let records = records(directory.path());
    let begun: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Request(request) if request.ended.is_none() => Some(record.seq),
            _ => None,
        })
        .collect();
    let [signed, dropped, stream] = *begun else { panic!("{begun:?}") };
    let expected =
        [(signed, Outcome::Signed), (dropped, Outcome::Cancelled), (stream, Outcome::Done)];
    assert_eq!(outcomes(directory.path()), expected);
    let frames = records.iter().filter_map(|record| match &record.event {
        Event::Request(request) => Some((request.stream?, request.ended.as_ref()?.outcome)),
        _ => None,
    });
    let expected = [(stream, Outcome::Signed), (stream, Outcome::Cancelled)];
    assert_eq!(frames.collect::<Vec<_>>(), expected);
    let refused = records.iter().filter_map(|record| match &record.event {
        Event::Refused(refused) => Some(refused.count),
        _ => None,
    });
    assert_eq!(refused.sum::<u64>(), 3);
    assert_eq!(records.last().unwrap().event, Event::Stopped);
}

/// What is known before the record is written stands in the record itself; what comes
/// after it is on its way to the disk at once, whoever waits for that.
#[tokio::test]
async fn an_outcome_does_not_wait() {
    let directory = TempDir::new().unwrap();
    let log = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
    let (audit, received) =
        Audit::unwritten(log.instance(), shipping(directory.path()).checkpoints());
    let mut early = audit.begin(request(0), Instant::now());
    early.signed(&[7; 64]);
    let mut late = audit.begin(request(1), Instant::now());
    let writer = Writer::new(
        log,
        Arc::clone(&audit.shared),
        shipping(directory.path()),
        archive(directory.path(), None),
        Metrics::new(),
    );
    let thread = thread::spawn(move || writer.run(&received));
    early.durable().await.unwrap();
    late.durable().await.unwrap();
    let ended = |id: &str| {
        records(directory.path()).into_iter().find_map(|record| match record.event {
            Event::Request(request) if request.request_id == id => Some(request.ended),
            _ => None,
        })
    };
    assert_eq!(ended("request-0").unwrap().unwrap().outcome, Outcome::Signed);
    assert_eq!(ended("request-1"), Some(None));
    late.end(Ended::with(Outcome::Failed));
    let began = Instant::now();
    while outcomes(directory.path()).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(10));
        thread::yield_now();
    }
    assert_eq!(outcomes(directory.path()), [(3, Outcome::Failed)]);
    drop((early, late, audit));
    thread.join().unwrap();
    assert!(verify(directory.path(), &[], |_| ()).unwrap().findings.is_empty());
}

/// Wherever a crash cuts the file: what is whole stays, what is not is cut off and said,
/// and what was open is closed.
#[test]
fn a_torn_end_is_cut_back_and_recorded() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let mut log = Log::open(path, Place::Anywhere, ROTATION, start()).unwrap();
    append(&mut log, [0]).unwrap();
    let kept = fs::metadata(SegmentFile::at(path, 0).path).unwrap().len();
    append(&mut log, [1]).unwrap();
    drop(log);
    let file = SegmentFile::at(path, 0).path;
    let whole = fs::read(&file).unwrap();
    for end in kept..=whole.len() as u64 {
        fs::write(&file, &whole[..end as usize]).unwrap();
        let torn = end - kept;
        let complete = end == whole.len() as u64;
        drop(Log::open(path, Place::Anywhere, ROTATION, start()).unwrap());
        let report = verify(path, &[], |_| ()).unwrap();
        assert!(report.findings.is_empty() && report.open == 0, "{end}: {report:?}");
        let cut = records(path).into_iter().find_map(|record| match record.event {
            Event::Cut { bytes } => Some(bytes),
            _ => None,
        });
        assert_eq!(cut, (torn > 0 && !complete).then_some(torn), "{end}");
        let open = if complete { 2 } else { 1 };
        let outcomes = outcomes(path);
        assert_eq!(outcomes.len(), open);
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Indeterminate));
    }
}

#[test]
fn one_process_writes_a_log() {
    let directory = TempDir::new().unwrap();
    let first = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
    let second = Log::open(directory.path(), Place::Anywhere, ROTATION, start());
    assert!(matches!(second, Err(OpenError::Locked(_))));
    drop(first);
    Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
}

/// A log that was changed is neither written nor cut.
#[test]
fn a_changed_log_is_not_opened() {
    let directory = TempDir::new().unwrap();
    let mut log = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
    append(&mut log, 0..5).unwrap();
    drop(log);
    let file = SegmentFile::at(directory.path(), 0).path;
    let text = fs::read_to_string(&file).unwrap();
    for id in 0..5 {
        let changed = text.replace(&format!("request-{id}"), "request-x");
        fs::write(&file, &changed).unwrap();
        let error = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).err().unwrap();
        assert!(matches!(error, OpenError::Changed { .. }), "{id}: {error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), changed);
    }
}

#[test]
fn files_follow_one_another() {
    let directory = TempDir::new().unwrap();
    let rotation = Rotation { size: 1000, ..ROTATION };
    for _ in 0..3 {
        let mut log = Log::open(directory.path(), Place::Anywhere, rotation, start()).unwrap();
        for id in 0..20 {
            append(&mut log, [id]).unwrap();
        }
    }
    assert!(SegmentFile::all(directory.path()).unwrap().len() > 10);
    let report = verify(directory.path(), &[], |_| ()).unwrap();
    assert!(report.findings.is_empty() && report.root.is_some(), "{report:?}");
    assert_eq!(report.size, records(directory.path()).len() as u64);
    // The rest is a log by itself, with the same root; that the beginning is gone is found.
    let all = SegmentFile::all(directory.path()).unwrap();
    fs::remove_file(&all[0].path).unwrap();
    let rest = verify(directory.path(), &[], |_| ()).unwrap();
    assert_eq!((rest.first, rest.root), (all[1].first, report.root));
    let [found] = &*rest.findings else { panic!("{rest:?}") };
    assert_eq!(found.change, Change::Removed { from: 0, to: all[1].first });
}

/// A full disk, as `/dev/full` is one: nobody is told that a record is durable; when
/// there is room again, what must be written is, in a new file, and the gap is said.
#[tokio::test]
async fn what_fails_is_made_good() {
    let directory = TempDir::new().unwrap();
    let mut log = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
    append(&mut log, [0]).unwrap();
    // Written, not flushed: when the next flush fails, nobody knows whether it is there.
    log.write(&[Event::Request(Box::new(request(1)))]).unwrap();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    log.replace_file(full());
    append(&mut log, [1]).unwrap_err();
    log.reopen().unwrap();
    append(&mut log, [2]).unwrap();
    drop(log);
    let report = verify(directory.path(), &[], |_| ()).unwrap();
    assert!(report.findings.is_empty(), "{report:?}");
    assert_eq!(SegmentFile::all(directory.path()).unwrap().len(), 2);
    let ids: Vec<_> = records(directory.path())
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Request(request) => Some(request.request_id),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["request-0", "request-2"]);

    let mut log = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
    log.replace_file(full());
    let (audit, writing) = Audit::over(
        log,
        shipping(directory.path()),
        archive(directory.path(), None),
        Metrics::new(),
    )
    .unwrap();
    let first = audit.begin(request(3), Instant::now()).durable().await;
    assert!(first.is_err() && !audit.is_writable());
    // Until it is tried again, nobody waits for it.
    assert!(audit.begin(request(3), Instant::now()).durable().await.is_err());
    let began = Instant::now();
    while !audit.is_writable() {
        assert!(began.elapsed() < Duration::from_secs(10));
        thread::yield_now();
    }
    let mut entry = audit.begin(request(4), Instant::now());
    entry.durable().await.unwrap();
    assert!(audit.is_writable());
    entry.signed(&[7; 64]);
    writing.stop();
    let report = verify(directory.path(), &[], |_| ()).unwrap();
    assert!(report.findings.is_empty() && report.open == 0, "{report:?}");
    let gaps = records(directory.path()).into_iter().filter_map(|record| match record.event {
        Event::Gap(gap) => Some(gap.refused),
        _ => None,
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [2]);
}

/// Where a log may not be, and one whose end is missing: nothing is made or changed.
#[test]
fn what_is_refused_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let open = |place| Log::open(path, place, ROTATION, start()).map(drop);
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(open(Place::Anywhere), Err(OpenError::WorldWritable(_))));
    assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();

    // glibc takes for granted that this is in memory.
    let memory = TempDir::new_in("/dev/shm").unwrap();
    let refused = Log::open(memory.path(), Place::Disk, ROTATION, start()).map(drop);
    assert!(matches!(refused, Err(OpenError::InMemory(_))));
    assert_eq!(fs::read_dir(memory.path()).unwrap().count(), 0);
    Log::open(memory.path(), Place::Anywhere, ROTATION, start()).map(drop).unwrap();

    open(Place::Anywhere).unwrap();
    let file = SegmentFile::at(path, 0).path;
    let before = fs::read(&file).unwrap();
    let root = STANDARD.encode([7; 32]);
    let checkpoint =
        format!("countersign/test/log\n100\n{root}\n\n\u{2014} countersign/test/log x\n");
    fs::write(path.join(CHECKPOINT), checkpoint).unwrap();
    assert!(matches!(open(Place::Anywhere), Err(OpenError::Cut { size: 100, .. })));
    assert_eq!(fs::read(&file).unwrap(), before);
}
