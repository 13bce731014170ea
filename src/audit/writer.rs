//! The writer: one thread that makes records durable in groups.
//!
//! Without a timer: what waits is written at once, and what arrives during the flush is
//! the next group. So one request alone waits for one flush, and many share one.

use std::{
    collections::{BTreeMap, HashMap},
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    log::Log,
    record::{Ended, Event, Gap, Refused, Request, Time},
};

/// The most records of a group.
const GROUP: usize = 256;
/// How often a log that fails is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// Refusals before policy are added up for so long.
const REFUSALS: Duration = Duration::from_secs(1);

/// Names a request until its record has a number.
pub(super) type Ticket = u64;

/// What the writer is told.
pub(super) enum Job {
    /// A request; `durable` is told whether it is.
    Request {
        request: Box<Request>,
        /// By which its outcome and its frames name it.
        ticket: Option<Ticket>,
        /// The stream that it is a frame of.
        stream: Option<Ticket>,
        durable: oneshot::Sender<bool>,
    },
    /// What became of a request.
    Outcome { ticket: Ticket, ended: Ended },
    /// Something else that happened.
    Event(Event),
    /// One refusal before policy.
    Refused { caller: Option<Arc<str>>, reason: &'static str },
    /// The process ends.
    Stop,
}

/// The thread's own.
pub(super) struct Writer {
    log: Log,
    /// For those who want to know whether there is a gap.
    failing: Arc<AtomicBool>,
    /// The numbers of the requests that have no outcome.
    numbers: HashMap<Ticket, u64>,
    /// What must be written, however long it takes.
    waiting: Vec<Job>,
    refusals: BTreeMap<(Option<Arc<str>>, &'static str), u64>,
    refusals_since: Instant,
    /// Since the log fails, if it does.
    gap: Option<Gap>,
}

impl Writer {
    pub(super) fn new(log: Log, failing: Arc<AtomicBool>) -> Self {
        Self {
            log,
            failing,
            numbers: HashMap::new(),
            waiting: Vec::new(),
            refusals: BTreeMap::new(),
            refusals_since: Instant::now(),
            gap: None,
        }
    }

    /// Runs until it is told to stop, or nobody is left who could tell it anything.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let mut stop = false;
            match self.receive(jobs) {
                Ok(job) => stop |= self.take(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = true,
            }
            while !stop && self.waiting.len() < GROUP {
                let Ok(job) = jobs.try_recv() else { break };
                stop |= self.take(job);
            }
            if stop || self.refusals_since.elapsed() >= REFUSALS {
                self.add_refusals();
            }
            if stop {
                self.waiting.push(Job::Event(Event::Stopped));
            }
            self.write();
            if stop {
                return;
            }
        }
    }

    fn receive(&self, jobs: &Receiver<Job>) -> Result<Job, RecvTimeoutError> {
        let refusals = REFUSALS.saturating_sub(self.refusals_since.elapsed());
        match (&self.gap, self.refusals.is_empty()) {
            (Some(_), _) => jobs.recv_timeout(RETRY),
            (None, false) => jobs.recv_timeout(refusals),
            (None, true) => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Whether it is the end.
    fn take(&mut self, job: Job) -> bool {
        match job {
            Job::Stop => return true,
            Job::Refused { caller, reason } => {
                if self.refusals.is_empty() {
                    self.refusals_since = Instant::now();
                }
                *self.refusals.entry((caller, reason)).or_default() += 1;
            }
            job => self.waiting.push(job),
        }
        false
    }

    fn add_refusals(&mut self) {
        let refused = mem::take(&mut self.refusals).into_iter().map(|((caller, reason), count)| {
            let caller = caller.map(|caller| caller.to_string());
            Job::Event(Event::Refused(Refused { caller, reason: reason.to_owned(), count }))
        });
        self.waiting.extend(refused);
        self.refusals_since = Instant::now();
    }

    /// Writes what waits; at a failure keeps what must be written.
    fn write(&mut self) {
        if self.waiting.is_empty() && self.gap.is_none() {
            return;
        }
        let group = mem::take(&mut self.waiting);
        match self.append(&group) {
            Ok(()) => self.written(group),
            Err(error) => self.failed(&error, group),
        }
    }

    fn append(&mut self, group: &[Job]) -> io::Result<()> {
        if self.gap.is_some() {
            self.log.reopen()?;
        }
        let gap = self.gap.clone().map(Event::Gap);
        let mut seq = self.log.next()? + u64::from(gap.is_some());
        // Of this very group.
        let mut numbers = HashMap::new();
        let mut events: Vec<_> = gap.into_iter().collect();
        for job in group {
            let number =
                |ticket: &Ticket| numbers.get(ticket).or_else(|| self.numbers.get(ticket)).copied();
            let event = match job {
                Job::Request { request, stream, .. } => {
                    let stream = stream.as_ref().and_then(number);
                    Event::Request(Box::new(Request { stream, ..(**request).clone() }))
                }
                // Its record was never written: neither is this.
                Job::Outcome { ticket, ended } => match number(ticket) {
                    Some(of) => Event::Outcome { of, ended: ended.clone() },
                    None => continue,
                },
                Job::Event(event) => event.clone(),
                Job::Refused { .. } | Job::Stop => continue,
            };
            if let Job::Request { ticket: Some(ticket), .. } = job {
                numbers.insert(*ticket, seq);
            }
            seq += 1;
            events.push(event);
        }
        if !events.is_empty() {
            self.log.append(events)?;
        }
        self.numbers.extend(numbers);
        Ok(())
    }

    fn written(&mut self, group: Vec<Job>) {
        if let Some(gap) = self.gap.take() {
            tracing::info!(refused = gap.refused, "The audit log is written again");
            self.failing.store(false, Ordering::Relaxed);
        }
        for job in group {
            match job {
                // Whoever no longer waits was cancelled, and says so.
                Job::Request { durable, .. } => drop(durable.send(true)),
                Job::Outcome { ticket, .. } => drop(self.numbers.remove(&ticket)),
                Job::Event(_) | Job::Refused { .. } | Job::Stop => {}
            }
        }
    }

    fn failed(&mut self, error: &io::Error, group: Vec<Job>) {
        if self.gap.is_none() {
            tracing::error!(%error, "The audit log cannot be written: nothing is signed");
            self.failing.store(true, Ordering::Relaxed);
        }
        let gap = self.gap.get_or_insert_with(|| Gap {
            since: Time::now(),
            error: error.to_string(),
            refused: 0,
        });
        for job in group {
            match job {
                Job::Request { durable, .. } => {
                    gap.refused += 1;
                    // Nobody waits for one that was cancelled.
                    let _ = durable.send(false);
                }
                Job::Outcome { ticket, .. } if !self.numbers.contains_key(&ticket) => {}
                job => self.waiting.push(job),
            }
        }
    }
}
