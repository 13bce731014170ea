//! The projection of the audit log onto the store: how often each share was used, and when
//! last.
//!
//! ```text
//! log ─▶ requests to sign, in order, until the first that has no outcome ─▶ counts, cursor
//! ```
//! The store keeps the counts and how far the log is counted in one transaction: whatever
//! dies when, every use is counted once. A use is a signature, by `Sign` or by a frame; one
//! whose outcome a crash left open counts, too.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, HashMap},
    io, mem,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use crate::{
    audit::{
        reader::{Found, Reader},
        record::{Event, Outcome, Record, Request},
    },
    key::ShareId,
    shutdown::Draining,
    sign::Signing,
    store::{ShareStore, ShareUse, StoreError},
};

/// How often the log is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// The most records that are counted at once.
const MOST: usize = 10_000;

/// How far a log is counted, and what was read of the rest.
struct Projection {
    log: Uuid,
    directory: PathBuf,
    reader: Reader,
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

/// Why a log is not counted.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the log cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

/// Counts until shutdown. What is left then is counted after the next start.
pub async fn follow(signing: Signing, directory: PathBuf, draining: Draining) {
    let mut stop = std::pin::pin!(draining.started());
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut projection = None;
    let mut failing = false;
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        let (store, log) = (&*signing.store, signing.audit.instance());
        let step = match projection.take() {
            Some(projection) => step(projection, store).await,
            None => match Projection::begin(store, log, &directory).await {
                Ok(projection) => step(projection, store).await,
                Err(error) => Err(error),
            },
        };
        match step {
            Ok(stepped) => {
                if let Some(projection) = &stepped {
                    signing.audit.set_counted(projection.from);
                }
                signing.metrics.set_audit_uncounted(stepped.as_ref().map_or(0, Projection::left));
                projection = stepped;
                failing = false;
            }
            Err(error) if !failing => {
                tracing::warn!(%error, "Uses of shares are not counted");
                failing = true;
            }
            Err(_) => {}
        }
    }
}

/// Counts what can be; none where somebody else did, or it is to begin anew.
async fn step(
    projection: Projection,
    store: &dyn ShareStore,
) -> Result<Option<Projection>, Failed> {
    let read = spawn_blocking(move || projection.read()).await;
    let mut projection = read.map_err(io::Error::other)??;
    let (to, uses) = projection.ready();
    if to == projection.from {
        return Ok(Some(projection));
    }
    if !store.count(projection.log, projection.from, to, &uses).await? {
        return Ok(None);
    }
    projection.counted(to);
    Ok(Some(projection))
}

impl Projection {
    async fn begin(store: &dyn ShareStore, log: Uuid, directory: &Path) -> Result<Self, Failed> {
        let from = store.counted(log).await?;
        Ok(Self {
            log,
            directory: directory.to_owned(),
            reader: Reader::from(directory, from)?,
            from,
            read: from,
            requests: BTreeMap::new(),
        })
    }

    /// Reads on, as far as there is something and not too much.
    fn read(mut self) -> io::Result<Self> {
        while self.requests.len() < MOST
            && let Some(found) = self.reader.advance()?
        {
            match found {
                Found::Record(record) if record.seq >= self.from => self.take(*record),
                Found::Record(_) => {}
                Found::Unreadable { file, offset } => {
                    let what = format!("{}, byte {offset}: this is no record", file.display());
                    self.reader = Reader::from(&self.directory, self.from)?;
                    return Err(io::Error::other(what));
                }
            }
        }
        Ok(self)
    }

    fn take(&mut self, record: Record) {
        self.read = record.seq + 1;
        match record.event {
            Event::Request(request) if signs(&request) => {
                let share = request.share.and_then(|share| share.parse().ok());
                let at = record.time.moment().unwrap_or(SystemTime::UNIX_EPOCH);
                let counts = request.ended.map(|ended| is_use(ended.outcome));
                self.requests.insert(record.seq, Use { share, at, counts });
            }
            Event::Outcome { of, ended } => {
                if let Some(request) = self.requests.get_mut(&of) {
                    request.counts = Some(is_use(ended.outcome));
                }
            }
            _ => {}
        }
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

    /// How many records were read and are not counted.
    fn left(&self) -> u64 {
        self.read - self.from
    }
}

fn signs(request: &Request) -> bool {
    matches!(&*request.action, "Sign" | "SignDigest")
}

/// Whether the share may have signed.
fn is_use(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Signed | Outcome::Indeterminate)
}
