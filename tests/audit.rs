//! The audit log: complete, durable before a signature leaves, and nothing secret in it.

mod central;
mod disk;
mod faults;
mod full;
mod held;
mod killed;
mod own;
mod proven;
mod recorded;
mod serving;
mod tmpfs;
mod webhook;

use std::{collections::BTreeMap, path::Path};

use countersign::audit::{
    reader::{Found, Reader},
    record::{Ended, Event, Outcome, Record, Request},
    verify::verify,
};

/// What a log says of requests.
#[derive(Default)]
struct Log {
    records: Vec<Record>,
    /// Every request with its outcome, by its number.
    requests: BTreeMap<u64, (Request, Ended)>,
}

impl Log {
    /// Reads a log that is intact, in which every request has exactly one outcome.
    #[track_caller]
    fn read(directory: &Path) -> Self {
        let report = verify(directory, &[], |_| ()).unwrap();
        assert!(report.findings.is_empty() && report.open == 0, "{report:?}");
        let mut log = Self::default();
        let mut reader = Reader::new(directory);
        let mut begun = BTreeMap::new();
        while let Some(found) = reader.advance().unwrap() {
            let Found::Record(record) = found else { panic!("{found:?}") };
            match &record.event {
                Event::Request(request) => match request.ended.clone() {
                    Some(ended) => {
                        log.requests.insert(record.seq, ((**request).clone(), ended));
                    }
                    None => drop(begun.insert(record.seq, (**request).clone())),
                },
                Event::Outcome { of, ended } => {
                    let request = begun.remove(of).unwrap_or_else(|| panic!("{record:?}"));
                    log.requests.insert(*of, (request, ended.clone()));
                }
                _ => {}
            }
            log.records.push(*record);
        }
        log
    }

    /// How many signatures a log that may still be written has, or may have.
    fn uses(directory: &Path) -> u64 {
        let mut reader = Reader::new(directory);
        let (mut begun, mut uses) = (BTreeMap::new(), 0);
        let mut count = |request: &Request, ended: &Ended| {
            let used = matches!(ended.outcome, Outcome::Signed | Outcome::Indeterminate);
            uses += u64::from(used && request.action == "Sign");
        };
        while let Some(Found::Record(record)) = reader.advance().unwrap() {
            match record.event {
                Event::Request(request) => match &request.ended {
                    Some(ended) => count(&request, ended),
                    None => drop(begun.insert(record.seq, request)),
                },
                Event::Outcome { of, ended } => count(&begun[&of], &ended),
                _ => {}
            }
        }
        uses
    }

    /// Why nothing could be recorded, each time.
    fn gaps(&self) -> Vec<&str> {
        let gaps = self.records.iter().filter_map(|record| match &record.event {
            Event::Gap(gap) => Some(&*gap.error),
            _ => None,
        });
        gaps.collect()
    }

    /// How many requests of the application were refused before policy, with this reason.
    fn refused(&self, reason: &str) -> u64 {
        let counts = self.records.iter().filter_map(|record| match &record.event {
            Event::Refused(refused) if refused.reason == reason => {
                (refused.caller.as_deref() == Some("app")).then_some(refused.count)
            }
            _ => None,
        });
        counts.sum()
    }

    /// The requests with this id.
    fn of(&self, request_id: &str) -> Vec<(u64, &Request, &Ended)> {
        let all = self.requests.iter().map(|(seq, (request, ended))| (*seq, request, ended));
        all.filter(|(_, request, _)| request.request_id == request_id).collect()
    }
}

/// What the database says that its one share was used.
fn counted(database: &Path) -> u64 {
    let database = rusqlite::Connection::open(database).unwrap();
    let sum = "SELECT sum(access_count) FROM server_wallet_key_shares";
    database.query_row(sum, [], |row| row.get(0)).unwrap()
}
