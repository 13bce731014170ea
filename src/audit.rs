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
//!
//! Under construction: no story writes it yet.
#![forbid(unsafe_code)]

pub mod chain;
mod log;
pub mod record;
pub mod segment;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod verify;
mod writer;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use tokio::sync::oneshot;

pub use log::{OpenError, Rotation};

use log::Log;
use record::{Ended, Event, Outcome, Request, Start};
use writer::{Job, Ticket, Writer};

/// The log, for those who have something to say. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    jobs: mpsc::Sender<Job>,
    tickets: Arc<AtomicU64>,
    failing: Arc<AtomicBool>,
}

/// The thread that writes the log.
pub struct Writing {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

/// The record of a request could not be made durable: nothing may be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct NotRecorded;

/// A request whose record is on its way, and whose outcome is to follow. Dropped without
/// one, it says that the request was cancelled.
pub struct Entry {
    audit: Audit,
    ticket: Ticket,
    arrived: Instant,
    durable: Option<oneshot::Receiver<bool>>,
    ended: bool,
}

impl Audit {
    /// Opens the log of a directory, or makes one, and starts its thread.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        directory: &Path,
        rotation: Rotation,
        start: Start,
    ) -> Result<(Self, Writing), OpenError> {
        let log = Log::open(directory, rotation, start)?;
        Self::over(log).map_err(|error| OpenError::Io { path: directory.to_owned(), error })
    }

    fn over(log: Log) -> io::Result<(Self, Writing)> {
        let (jobs, received) = mpsc::channel();
        let failing = Arc::<AtomicBool>::default();
        let writer = Writer::new(log, Arc::clone(&failing));
        let thread = thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || writer.run(&received))?;
        let audit = Self { jobs: jobs.clone(), tickets: Arc::default(), failing };
        Ok((audit, Writing { jobs, thread }))
    }

    /// Records a request that is to go on, which `arrived` then. The outcome follows.
    pub fn begin(&self, request: Request, arrived: Instant) -> Entry {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let durable = self.send(request, Some(ticket), None);
        Entry { audit: self.clone(), ticket, arrived, durable: Some(durable), ended: false }
    }

    /// Records a request with its outcome; of a frame, with the stream it came by.
    /// Resolves when the record is durable.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn record(
        &self,
        request: Request,
        stream: Option<&Entry>,
    ) -> Result<(), NotRecorded> {
        durable(self.send(request, None, stream.map(|stream| stream.ticket))).await
    }

    /// Counts a request that was refused before policy.
    pub fn refused(&self, caller: Option<Arc<str>>, reason: &'static str) {
        self.tell(Job::Refused { caller, reason });
    }

    /// Records something else that happened.
    pub fn note(&self, event: Event) {
        self.tell(Job::Event(event));
    }

    /// Whether the log can be written.
    pub fn is_writable(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }

    fn send(
        &self,
        request: Request,
        ticket: Option<Ticket>,
        stream: Option<Ticket>,
    ) -> oneshot::Receiver<bool> {
        let (durable, told) = oneshot::channel();
        self.tell(Job::Request { request: Box::new(request), ticket, stream, durable });
        told
    }

    /// Where the thread is gone, whoever waits for it learns that by itself.
    fn tell(&self, job: Job) {
        let _ = self.jobs.send(job);
    }
}

impl Writing {
    /// Writes what was said before, and that the process stopped in order.
    pub fn stop(self) {
        let _ = self.jobs.send(Job::Stop);
        // A panic of the thread was told to everybody who waited for it.
        let _ = self.thread.join();
    }
}

impl Entry {
    /// Resolves when the record of the request is durable.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn durable(&mut self) -> Result<(), NotRecorded> {
        match self.durable.take() {
            Some(told) => durable(told).await,
            None => Ok(()),
        }
    }

    /// Says what became of the request, and when.
    pub fn end(mut self, ended: Ended) {
        self.say(ended);
    }

    fn say(&mut self, ended: Ended) {
        let micros = u64::try_from(self.arrived.elapsed().as_micros()).unwrap_or(u64::MAX);
        let ended = Ended { duration_us: Some(micros), ..ended };
        self.audit.tell(Job::Outcome { ticket: self.ticket, ended });
        self.ended = true;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.ended {
            self.say(Ended::with(Outcome::Cancelled));
        }
    }
}

async fn durable(told: oneshot::Receiver<bool>) -> Result<(), NotRecorded> {
    if told.await.unwrap_or_default() { Ok(()) } else { Err(NotRecorded) }
}
