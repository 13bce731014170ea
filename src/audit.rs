//! The audit log: every request that reached policy, who made it, what policy said, and
//! what became of it.
//!
//! ```text
//! requests ─▶ Entry ─▶ writer: one thread ─▶ group: one write, one flush ─▶ durable
//!                                               │
//!                                directory: lock, 00000000000000000000.log, …
//! ```
//! - **Durable**: a record is on disk when [`Entry::durable`] says so; what is asked for
//!   must not leave the process before.
//! - **Complete**: an [`Entry`] that is dropped says that its request was cancelled; what
//!   a crash leaves without an outcome is closed at the next start as indeterminate.
//! - **Tamper-evident**: every record is chained to the one before, and is a leaf of a
//!   Merkle tree (RFC 6962) whose roots stand at the beginning of every file.
#![forbid(unsafe_code)]

mod archive;
pub mod chain;
mod entry;
mod error;
mod log;
mod notary;
pub mod note;
mod place;
pub mod reader;
pub mod receipt;
pub mod record;
mod recovery;
pub mod segment;
mod shipping;
mod state;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod verify;
pub mod webhook;
mod writer;

use std::{
    collections::BTreeMap,
    io, mem,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use uuid::Uuid;

pub use entry::{Entry, FrameEntry, Recorded, RecordedFrames};
pub use error::OpenError;
pub use log::Rotation;
pub use place::{CHECKPOINT, Place, make};
pub use shipping::replace;

use crate::telemetry::Metrics;
use archive::Archive;
use log::Log;
use note::Signer;
use record::{Ended, Event, Refused, Request, Start};
use shipping::Shipping;
use state::State;
use tree::Frontier;
use webhook::{Checkpoints, WebhookSettings};
use writer::{Job, Ticket, Writer, Written};

/// The log, for those who have something to say. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    instance: Uuid,
    checkpoints: Checkpoints,
}

/// What a log is opened with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of this one instance.
    pub directory: PathBuf,
    /// Where that may be.
    pub place: Place,
    /// When a new file is begun.
    pub rotation: Rotation,
    /// How often the head of the tree is shipped, where it grew.
    pub checkpoints: Duration,
    /// Whether closed files are compressed.
    pub compress: bool,
    /// How long they are kept; none for ever.
    pub keep: Option<Duration>,
    /// Where checkpoints are delivered as well, if anywhere.
    pub webhook: Option<WebhookSettings>,
}

/// The thread that writes the log. Stops it when it is dropped.
pub struct Writing {
    jobs: mpsc::Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

/// The record of a request could not be made durable: nothing may be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct NotRecorded;

/// The most records that wait to be written: more than may be in flight. Beyond that a
/// request is refused.
const QUEUE_MAX: usize = 16 * 1024;
/// A disk that takes longer for a write, a flush or a checkpoint hangs.
const HANGS_MS: u64 = 5_000;

/// Milliseconds since this was first asked.
fn since_first() -> u64 {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(FIRST.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What those who write and those who have something to say both know.
#[derive(Default)]
struct Shared {
    tickets: AtomicU64,
    failing: AtomicBool,
    /// The first record that the store has not counted.
    counted: AtomicU64,
    /// The first record that is to be copied and was not.
    copied: AtomicU64,
    /// How many records are on disk.
    durable: AtomicU64,
    /// How many records wait to be written.
    queued: AtomicUsize,
    /// Since when the thread waits for the disk, in milliseconds since the first; 0 while
    /// it does not.
    at_disk: AtomicU64,
    /// Added up here, so that a flood of them takes no room.
    refusals: Mutex<Refusals>,
}

/// How many requests of whom were refused before policy, by reason.
type Refusals = BTreeMap<(Option<Box<str>>, &'static str), u64>;

impl Audit {
    /// Opens the log of a directory, or makes one, and starts its thread.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        settings: &Settings,
        start: Start,
        metrics: Metrics,
    ) -> Result<(Self, Writing), OpenError> {
        let Settings { directory, place, rotation, checkpoints, compress, keep, .. } = settings;
        let log = Log::open(directory, *place, *rotation, start)?;
        let shipping = Shipping::to(directory, *checkpoints);
        let started = Archive::start(directory, *compress, *keep)
            .and_then(|archive| Self::over(log, shipping, archive, metrics));
        started.map_err(|error| OpenError::Io { path: directory.clone(), error })
    }

    fn over(
        log: Log,
        shipping: Shipping,
        archive: Archive,
        metrics: Metrics,
    ) -> io::Result<(Self, Writing)> {
        let checkpoints = shipping.checkpoints();
        let (audit, received) = Self::unwritten(log.instance(), checkpoints);
        let writer = Writer::new(log, Arc::clone(&audit.shared), shipping, archive, metrics);
        let thread = thread::Builder::new().name("audit".to_owned());
        let thread = Some(thread.spawn(move || writer.run(&received))?);
        let jobs = audit.jobs.clone();
        Ok((audit, Writing { jobs, thread }))
    }

    fn unwritten(instance: Uuid, checkpoints: Checkpoints) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, received) = mpsc::channel();
        let audit = Self { jobs, shared: Arc::default(), instance, checkpoints };
        // Where nothing copies, nothing is to be.
        audit.set_copied(u64::MAX);
        (audit, received)
    }

    /// The signed heads of the tree, as they are shipped.
    pub fn checkpoints(&self) -> Checkpoints {
        self.checkpoints.clone()
    }

    /// Flushes what was told before, as far as the log can be written, and ships the head of
    /// it, where the log grew. Resolves when that is done.
    pub async fn ship(&self) {
        let (shipped, told) = oneshot::channel();
        self.tell(Job::Ship(shipped));
        // Where the thread is gone, there is nothing to ship.
        let _ = told.await;
    }

    /// For whoever measures what the log costs: nothing is written, and everybody is told
    /// at once that it is.
    pub(crate) fn unwritten_but_acknowledged(&self) -> Self {
        let (audit, received) = Self::unwritten(self.instance, self.checkpoints());
        let shared = Arc::clone(&audit.shared);
        thread::spawn(move || {
            for job in received {
                shared.taken(&job);
                let written = |_| Written { seq: 0, receipt: None };
                match job {
                    Job::Request { durable, .. } => drop(durable.send(Ok(written(0)))),
                    Job::Frames { requests, durable } => {
                        let all = (0..requests.len()).map(written).collect();
                        let _ = durable.send(Ok(all));
                    }
                    _ => {}
                }
            }
        });
        audit
    }

    /// The name of the log.
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// Signs the heads of the tree from here on, with a key that is kept for the next
    /// run or not, and that this unwrapping of the KMS's opened.
    pub fn sign_with(&self, signer: Arc<Signer>, kept: bool, kms_request_id: Option<String>) {
        let key = signer.name().to_string();
        self.tell(Job::Signer(signer));
        self.note(Event::Identity { key, kept, kms_request_id });
    }

    /// Records a request that is to go on, which `arrived` then. The outcome follows.
    pub fn begin(&self, request: Request, arrived: Instant) -> Entry {
        let ticket = self.shared.tickets.fetch_add(1, Ordering::Relaxed);
        let (recorded, is_recorded) = self.send(request, Some(ticket));
        Entry::new(self.clone(), ticket, arrived, recorded, is_recorded)
    }

    /// Records a request, which `arrived` then, with its outcome.
    pub fn record(&self, request: Request, ended: Ended, arrived: Instant) -> Recorded {
        let ended = Some(ended.since(arrived));
        self.send(Request { ended, ..request }, None).0
    }

    /// Counts a request that was refused before policy.
    pub fn refused(&self, caller: Option<&str>, reason: &'static str) {
        let mut refusals = self.shared.refusals();
        let first = refusals.is_empty();
        *refusals.entry((caller.map(Box::from), reason)).or_default() += 1;
        if first {
            self.tell(Job::Refusals);
        }
    }

    /// Records something else that happened.
    pub fn note(&self, event: Event) {
        self.tell(Job::Event(event));
    }

    /// Says up to where the store has counted the log. What is not counted is not removed.
    pub fn set_counted(&self, to: u64) {
        self.shared.counted.store(to, Ordering::Relaxed);
    }

    /// Says up to where the log is copied. What is not copied is not removed, since this was
    /// first said.
    pub fn set_copied(&self, to: u64) {
        self.shared.copied.store(to, Ordering::Relaxed);
    }

    /// Whether the log can be written.
    pub fn is_writable(&self) -> bool {
        !self.shared.failing.load(Ordering::Relaxed) && !self.shared.hangs()
    }

    /// How many records are on disk.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Relaxed)
    }

    /// Whoever waits is told; with whether there was room for it.
    fn send(&self, request: Request, ticket: Option<Ticket>) -> (Recorded, bool) {
        let (durable, told) = oneshot::channel();
        let job = Job::Request { request: Box::new(request), ticket, durable };
        (Recorded(told), self.submit(1, job))
    }

    /// Tells the thread of records, where there is room; else whoever waits for them learns
    /// it by the sender that goes.
    fn submit(&self, records: usize, job: Job) -> bool {
        let admitted = self.shared.admit(records);
        if admitted {
            self.tell(job);
        }
        admitted
    }

    /// Where the thread is gone, whoever waits for it learns that by itself.
    fn tell(&self, job: Job) {
        let _ = self.jobs.send(job);
    }
}

/// The tree before a file whose first record this is; none if it begins none.
pub fn tree_before(record: &[u8]) -> Option<Frontier> {
    Some(State::at(record)?.tree().clone())
}

impl Shared {
    fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Makes room for records, if there is any.
    fn admit(&self, records: usize) -> bool {
        let admitted = self.queued.fetch_add(records, Ordering::Relaxed) < QUEUE_MAX;
        if !admitted {
            self.queued.fetch_sub(records, Ordering::Relaxed);
        }
        admitted
    }

    fn taken(&self, job: &Job) {
        let records = match job {
            Job::Request { .. } => 1,
            Job::Frames { requests, .. } => requests.len(),
            _ => 0,
        };
        self.queued.fetch_sub(records, Ordering::Relaxed);
    }

    fn set_durable(&self, size: u64) {
        self.durable.store(size, Ordering::Relaxed);
    }

    /// Does what takes as long as the disk does.
    fn at_disk<T>(&self, work: impl FnOnce() -> T) -> T {
        self.at_disk.store(since_first().max(1), Ordering::Relaxed);
        let done = work();
        self.at_disk.store(0, Ordering::Relaxed);
        done
    }

    /// Whether the disk takes longer for something than anybody waits for.
    fn hangs(&self) -> bool {
        match self.at_disk.load(Ordering::Relaxed) {
            0 => false,
            since => since_first().saturating_sub(since) > HANGS_MS,
        }
    }

    /// The first record that somebody still has to read.
    fn wanted(&self) -> u64 {
        let (counted, copied) = (&self.counted, &self.copied);
        counted.load(Ordering::Relaxed).min(copied.load(Ordering::Relaxed))
    }

    fn take_refusals(&self) -> impl Iterator<Item = Refused> + use<> {
        let refusals = mem::take(&mut *self.refusals());
        refusals.into_iter().map(|((caller, reason), count)| {
            let caller = caller.map(String::from);
            Refused { caller, reason: reason.to_owned(), count }
        })
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        // A count is whole at every moment.
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    /// Writes what was said before, and that the process stopped in order.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told to everybody who waited for it.
            let _ = thread.join();
        }
    }
}
