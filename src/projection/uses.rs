//! How far a log is counted, and what was read of the rest.

use std::{
    collections::{BTreeMap, HashMap},
    io, mem,
    path::PathBuf,
    time::SystemTime,
};

use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::Failed;
use crate::{
    audit::{
        reader::Reader,
        record::{Event, Outcome, Record, Request},
    },
    key::ShareId,
    store::{ShareStore, ShareUse},
};

/// The most records that are read before some are counted.
const MOST: u64 = 4_000;

/// How far a log is counted, and what was read of the rest.
pub(super) struct Projection {
    log: Uuid,
    directory: PathBuf,
    /// None before the beginning, and where it is to begin anew.
    reader: Option<Reader>,
    /// The first record that is not counted.
    from: u64,
    /// The first record that was not read.
    read: u64,
    /// The requests to sign in between.
    requests: BTreeMap<u64, Use>,
}

/// A request to sign.
struct Use {
    share: Option<ShareId>,
    at: SystemTime,
    /// Whether it counts; none while nobody knows.
    counts: Option<bool>,
}

/// What a record says of uses.
enum Step {
    Asked { seq: u64, request: Use },
    Ended { of: u64, counts: bool },
}

impl Projection {
    pub(super) fn new(log: Uuid, directory: PathBuf) -> Self {
        let (reader, requests) = (None, BTreeMap::new());
        Self { log, directory, reader, from: 0, read: 0, requests }
    }

    /// The first record that is not counted.
    pub(super) fn counted_to(&self) -> u64 {
        self.from
    }

    /// Asks the store how far the log is counted before it counts on.
    pub(super) fn begin_anew(&mut self) {
        self.reader = None;
    }

    /// Counts what is durable and known.
    pub(super) async fn count(
        &mut self,
        store: &dyn ShareStore,
        durable: u64,
    ) -> Result<(), Failed> {
        loop {
            if self.reader.is_none() {
                self.begin(store).await?;
            }
            let before = self.read;
            self.read_on(durable).await?;
            let (to, uses) = self.ready();
            if to > self.from {
                if store.count(self.log, self.from, to, &uses).await? {
                    self.counted(to);
                } else {
                    // Somebody else counts this log.
                    self.begin_anew();
                }
            }
            if self.reader.is_none() || self.read == before || self.read >= durable {
                return Ok(());
            }
        }
    }

    /// Goes to where the store says that the log is counted to.
    async fn begin(&mut self, store: &dyn ShareStore) -> Result<(), Failed> {
        let from = store.counted(self.log).await?;
        let directory = self.directory.clone();
        let reader = spawn_blocking(move || Reader::from(&directory, from)).await;
        self.reader = Some(reader.map_err(io::Error::other)??);
        (self.from, self.read) = (from, from);
        self.requests.clear();
        Ok(())
    }

    /// Reads on, up to this record and not too much.
    async fn read_on(&mut self, durable: u64) -> Result<(), Failed> {
        let Some(mut reader) = self.reader.take() else { return Ok(()) };
        let (first, last) = (self.read, durable.min(self.read + MOST));
        let read = spawn_blocking(move || {
            let mut steps = Vec::new();
            let mut next = first;
            while next < last
                && let Some(record) = reader.record(next)?
            {
                next += 1;
                steps.extend(Step::of(record));
            }
            reader.settle()?;
            Ok::<_, io::Error>((reader, next, steps))
        });
        // After an error it begins anew.
        let (reader, read, steps) = read.await.map_err(io::Error::other)??;
        (self.reader, self.read) = (Some(reader), read);
        for step in steps {
            match step {
                Step::Asked { seq, request } => drop(self.requests.insert(seq, request)),
                Step::Ended { of, counts } => {
                    if let Some(request) = self.requests.get_mut(&of) {
                        request.counts = Some(counts);
                    }
                }
            }
        }
        Ok(())
    }

    /// What is known up to the first request that has no outcome, and where that is.
    fn ready(&self) -> (u64, Vec<ShareUse>) {
        let open = self.requests.iter().find(|(_, request)| request.counts.is_none());
        let to = open.map_or(self.read, |(seq, _)| *seq);
        let mut uses = HashMap::<ShareId, ShareUse>::new();
        let counted = self.requests.range(..to).map(|(_, request)| request);
        for Use { share, at, .. } in counted.filter(|request| request.counts == Some(true)) {
            let Some(share) = *share else { continue };
            let sum = uses.entry(share).or_insert(ShareUse { share, count: 0, last: *at });
            sum.count += 1;
            sum.last = sum.last.max(*at);
        }
        (to, uses.into_values().collect())
    }

    fn counted(&mut self, to: u64) {
        self.from = to;
        self.requests = mem::take(&mut self.requests).split_off(&to);
    }
}

impl Step {
    /// What a record says of uses, if anything.
    fn of(record: Record) -> Option<Self> {
        match record.event {
            Event::Request(request) if signs(&request) => {
                let share = request.share.and_then(|share| share.parse().ok());
                let at = record.time.moment().unwrap_or(SystemTime::UNIX_EPOCH);
                let counts = request.ended.map(|ended| is_use(ended.outcome));
                Some(Self::Asked { seq: record.seq, request: Use { share, at, counts } })
            }
            Event::Outcome { of, ended } => Some(Self::Ended { of, counts: is_use(ended.outcome) }),
            _ => None,
        }
    }
}

fn signs(request: &Request) -> bool {
    matches!(&*request.action, "Sign" | "SignDigest")
}

/// Whether the share may have signed.
fn is_use(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Signed | Outcome::Indeterminate)
}
