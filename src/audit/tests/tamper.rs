//! Changes to a log: each is found, at its place, and called what it is.

use std::fs;

use tempfile::TempDir;

use super::crash::{ROTATION, append, start};
use crate::audit::{
    Place, Rotation, chain,
    log::Log,
    segment::SegmentFile,
    verify::{Change, Report, verify},
};

const RECORDS: u64 = 40;

struct Logged(TempDir);

impl Logged {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let rotation = Rotation { size: 4000, ..ROTATION };
        let mut log = Log::open(directory.path(), Place::Anywhere, rotation, start()).unwrap();
        for id in 0..RECORDS {
            append(&mut log, [id]).unwrap();
        }
        Self(directory)
    }

    fn files(&self) -> Vec<SegmentFile> {
        SegmentFile::all(self.0.path()).unwrap()
    }

    /// What is found when the lines of one file are others.
    fn with(&self, file: usize, change: impl FnOnce(&mut Vec<String>)) -> Report {
        let path = self.files()[file].path.clone();
        let before = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<_> = before.lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let report = verify(self.0.path(), &[], |_| ()).unwrap();
        fs::write(&path, before).unwrap();
        report
    }
}

fn changes(report: &Report) -> Vec<Change> {
    report.findings.iter().map(|finding| finding.change.clone()).collect()
}

#[test]
fn a_bit_anywhere_counts() {
    let logged = Logged::new();
    let mut positions = 0;
    for (index, file) in logged.files().iter().enumerate() {
        let bytes = fs::read(&file.path).unwrap();
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        assert!(lines > 2, "{index}");
        // One bit of every seventh byte.
        for at in (0..bytes.len()).step_by(7) {
            positions += 1;
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&file.path, &changed).unwrap();
            let report = verify(logged.0.path(), &[], |_| ()).unwrap();
            assert!(!report.is_intact() || at + 1 == bytes.len(), "{index}: byte {at}");
            let line = changed_line(&bytes, at);
            let first = report.findings.first().map(|finding| finding.offset);
            assert!(first.is_none_or(|offset| offset == line), "byte {at}: {:?}", report.findings);
        }
        fs::write(&file.path, &bytes).unwrap();
    }
    assert!(positions > 1000, "{positions}");
    assert!(verify(logged.0.path(), &[], |_| ()).unwrap().findings.is_empty());
}

/// Where the line begins in which a byte is.
fn changed_line(bytes: &[u8], at: usize) -> u64 {
    bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end as u64 + 1)
}

#[test]
fn changes_are_called_what_they_are() {
    let logged = Logged::new();
    let first = logged.files()[1].first;
    let second = logged.files()[2].first;
    let edited = logged.with(1, |lines| lines[3] = lines[3].replace("app", "ape"));
    assert_eq!(changes(&edited), [Change::Edited { seq: first + 3 }]);
    let removed = logged.with(1, |lines| drop(lines.drain(2..4)));
    assert_eq!(changes(&removed), [Change::Removed { from: first + 2, to: first + 4 }]);
    let swapped = logged.with(1, |lines| lines.swap(2, 3));
    let expected =
        [Change::Removed { from: first + 2, to: first + 3 }, Change::Misplaced { seq: first + 2 }];
    assert_eq!(changes(&swapped), expected);
    let replayed = logged.with(1, |lines| lines.insert(4, lines[2].clone()));
    assert_eq!(changes(&replayed), [Change::Misplaced { seq: first + 2 }]);
    let inserted = logged.with(1, |lines| lines.insert(4, "not a record".to_owned()));
    assert_eq!(changes(&inserted), [Change::Unreadable { seq: first + 4 }]);
    let truncated = logged.with(1, |lines| drop(lines.pop()));
    assert_eq!(changes(&truncated), [Change::Removed { from: second - 1, to: second }]);

    // A file that is gone.
    let path = logged.files()[1].path.clone();
    let before = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let report = verify(logged.0.path(), &[], |_| ()).unwrap();
    assert_eq!(changes(&report), [Change::Removed { from: first, to: second }]);
    fs::write(&path, before).unwrap();
    assert!(verify(logged.0.path(), &[], |_| ()).unwrap().findings.is_empty());
}

/// Whoever chains the rest anew is found by the root that left the machine before, and
/// by nothing else.
#[test]
fn a_root_that_left_finds_what_was_chained_anew() {
    let directory = TempDir::new().unwrap();
    let mut log = Log::open(directory.path(), Place::Anywhere, ROTATION, start()).unwrap();
    append(&mut log, 0..RECORDS).unwrap();
    drop(log);
    let before = verify(directory.path(), &[], |_| ()).unwrap();
    let path = SegmentFile::at(directory.path(), 0).path;
    let (mut lines, mut link) = (Vec::new(), chain::START);
    for line in fs::read_to_string(&path).unwrap().lines() {
        let (_, record) = chain::read(line.as_bytes()).unwrap();
        let record = String::from_utf8(record.to_vec()).unwrap().replace("request-7", "request-x");
        link = chain::link(&link, record.as_bytes());
        chain::write(&mut lines, &link, record.as_bytes());
    }
    fs::write(&path, lines).unwrap();
    let after = verify(directory.path(), &[], |_| ()).unwrap();
    assert_eq!((after.size, after.findings), (before.size, Vec::new()));
    assert!(before.root.is_some() && after.root.is_some());
    assert_ne!(after.root, before.root);
}
