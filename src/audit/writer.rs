//! The writer: one thread that makes records durable in groups.
//!
//! Without a timer: a request that waits is written and flushed at once, and what arrives
//! during the flush is the next group. So one request alone waits for one flush, and many
//! share one. An outcome that nobody waits for is written at once, which a killed process
//! cannot take back, and flushed with the next group, or [`LINGER`] later.

use std::{
    collections::HashMap,
    io, iter, mem,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    NotRecorded, Shared,
    archive::Archive,
    log::Log,
    notary::Notary,
    note::Signer,
    receipt::Receipt,
    record::{Ended, Event, Gap, Request, Time},
    shipping::Shipping,
};

use crate::telemetry::Metrics;

/// The most records of a group.
const GROUP: usize = 256;
/// How often a log that fails is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// What nobody waits for is flushed after so long.
const LINGER: Duration = Duration::from_secs(1);
/// Refusals before policy are added up for so long.
const REFUSALS: Duration = Duration::from_secs(1);

/// Names a request until its record has a number.
pub(super) type Ticket = u64;

/// What the writer is told.
pub(super) enum Job {
    /// A request; `durable` is told whether it is.
    Request {
        request: Box<Request>,
        /// By which its outcome names it.
        ticket: Option<Ticket>,
        durable: oneshot::Sender<Result<Written, NotRecorded>>,
    },
    /// Frames of a stream with their outcomes.
    Frames { requests: Vec<Request>, durable: oneshot::Sender<Result<Vec<Written>, NotRecorded>> },
    /// What became of a request.
    Outcome { ticket: Ticket, ended: Ended },
    /// Something else that happened.
    Event(Event),
    /// The key that signs from here on.
    Signer(Arc<Signer>),
    /// What was told before is to be flushed now, and the head of it shipped.
    Ship(oneshot::Sender<()>),
    /// There are refusals to add up.
    Refusals,
    /// The process ends.
    Stop,
}

/// Who is told whether a record is durable.
enum Durable {
    /// For this record alone.
    One(oneshot::Sender<Result<Written, NotRecorded>>),
    /// With the last of these records, which stand and are flushed together.
    WithLast,
    Last(oneshot::Sender<Result<Vec<Written>, NotRecorded>>),
}

/// A record that is durable.
pub(super) struct Written {
    pub(super) seq: u64,
    /// Where the log is signed.
    pub(super) receipt: Option<Receipt>,
}

/// A request that has no outcome.
struct Open {
    seq: u64,
    caller: String,
    action: String,
}

/// An event that is not known to be on disk.
struct Pending {
    event: Event,
    /// By which what follows names it.
    ticket: Option<Ticket>,
    durable: Option<Durable>,
    /// Since it was written.
    seq: u64,
}

/// The thread's own.
pub(super) struct Writer {
    log: Log,
    shared: Arc<Shared>,
    /// Since the instance's key is open.
    notary: Option<Notary>,
    shipping: Shipping,
    /// Who waits for the next head.
    wanted: Vec<oneshot::Sender<()>>,
    archive: Archive,
    metrics: Metrics,
    /// The requests that have no outcome.
    open: HashMap<Ticket, Open>,
    /// The next group.
    waiting: Vec<Pending>,
    /// Written, not flushed, and since when.
    written: Vec<Pending>,
    written_since: Instant,
    /// Since when there are refusals, if there are.
    refusals_since: Option<Instant>,
    /// Since the log fails, if it does, and when it was last tried.
    gap: Option<(Gap, Instant)>,
}

impl Pending {
    fn event(event: Event) -> Self {
        Self { event, ticket: None, durable: None, seq: 0 }
    }

    fn has_signature(&self) -> bool {
        let Event::Request(request) = &self.event else { return false };
        request.ended.as_ref().is_some_and(|ended| ended.signature.is_some())
    }

    /// Whether a flush must not wait for another reason.
    fn is_urgent(&self) -> bool {
        !matches!(self.event, Event::Outcome { .. } | Event::Refused(_))
    }
}

/// Whoever is told something after its end waits for nothing that comes.
impl Drop for Writer {
    fn drop(&mut self) {
        self.set_failing(true);
    }
}

impl Writer {
    pub(super) fn new(
        log: Log,
        shared: Arc<Shared>,
        shipping: Shipping,
        archive: Archive,
        metrics: Metrics,
    ) -> Self {
        shared.set_durable(log.head_on_disk().0);
        Self {
            log,
            shared,
            notary: None,
            shipping,
            wanted: Vec::new(),
            archive,
            metrics,
            open: HashMap::new(),
            waiting: Vec::new(),
            written: Vec::new(),
            written_since: Instant::now(),
            refusals_since: None,
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
            // While the log fails they go on being added up.
            if stop || self.gap.is_none() {
                self.add_refusals(stop);
            }
            if stop {
                self.waiting.push(Pending::event(Event::Stopped));
            } else if self.gap.is_none() {
                self.look_after_files();
            }
            self.write(stop);
            self.ship(stop);
            if stop {
                return;
            }
        }
    }

    /// The next job, as far as nothing else is due.
    fn receive(&self, jobs: &Receiver<Job>) -> Result<Job, RecvTimeoutError> {
        let due = match &self.gap {
            Some((_, tried)) => Some(*tried + RETRY),
            None => {
                let flush = (!self.written.is_empty()).then(|| self.written_since + LINGER);
                let refusals = self.refusals_since.map(|since| since + REFUSALS);
                let ship = self.notary.as_ref().and_then(|_| self.shipping.due(&self.log));
                [flush, refusals, ship, self.archive.due()].into_iter().flatten().min()
            }
        };
        match due {
            Some(due) => jobs.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn add_refusals(&mut self, stop: bool) {
        if self.refusals_since.is_some_and(|since| stop || since.elapsed() >= REFUSALS) {
            self.refusals_since = None;
            let refused = self.shared.take_refusals();
            self.waiting.extend(refused.map(|refused| Pending::event(Event::Refused(refused))));
        }
    }

    /// Whether it is the end.
    fn take(&mut self, job: Job) -> bool {
        self.shared.taken(&job);
        match job {
            Job::Stop => return true,
            Job::Refusals => self.refusals_since = Some(Instant::now()),
            Job::Signer(signer) => match Notary::start(signer) {
                Ok(notary) => self.notary = Some(notary),
                Err(error) => tracing::error!(%error, "The audit log is not signed"),
            },
            Job::Ship(shipped) => self.wanted.push(shipped),
            Job::Event(event) => self.waiting.push(Pending::event(event)),
            Job::Request { request, ticket, durable } => {
                let durable = Some(Durable::One(durable));
                let event = Event::Request(request);
                self.waiting.push(Pending { event, ticket, durable, seq: 0 });
            }
            Job::Frames { mut requests, durable } => {
                let last = requests.pop();
                let rest = requests.into_iter().map(|request| (request, Durable::WithLast));
                let last = last.map(|request| (request, Durable::Last(durable)));
                let frames = rest.chain(last).map(|(request, durable)| {
                    let event = Event::Request(Box::new(request));
                    Pending { event, ticket: None, durable: Some(durable), seq: 0 }
                });
                self.waiting.extend(frames);
            }
            Job::Outcome { ticket, ended } => self.outcome(ticket, ended),
        }
        false
    }

    /// Into the record of its request where that still waits, after it where not.
    fn outcome(&mut self, ticket: Ticket, ended: Ended) {
        let same = |pending: &&mut Pending| pending.ticket == Some(ticket);
        if let Some(Open { seq: of, caller, action }) = self.open.remove(&ticket) {
            self.metrics.ended(&caller, &action, &ended);
            self.waiting.push(Pending::event(Event::Outcome { of, ended }));
        } else if let Some(pending) = self.waiting.iter_mut().rev().find(same)
            && let Event::Request(request) = &mut pending.event
        {
            request.ended = Some(ended);
            pending.ticket = None;
        }
        // Without a record there is no outcome either.
    }

    /// Sees to files that are closed: when one was, and now and then.
    fn look_after_files(&mut self) {
        if self.log.take_rotated() {
            self.archive.closed();
        }
        let retirable = self.archive.retirable(self.shared.wanted());
        let retired = retirable.map(|to| Pending::event(Event::Retired { to }));
        self.waiting.extend(retired);
    }

    fn ship(&mut self, stop: bool) {
        let wanted = stop || !self.wanted.is_empty();
        let due = self.shipping.due(&self.log).is_some_and(|due| wanted || due <= Instant::now());
        if let (true, Some(notary)) = (due, &self.notary) {
            self.shared.at_disk(|| self.shipping.ship(&self.log, notary, &self.metrics));
        }
        self.wanted.drain(..).for_each(|wanted| _ = wanted.send(()));
    }

    /// Writes what waits, and flushes where somebody waits for that; at a failure keeps
    /// what must be written.
    fn write(&mut self, stop: bool) {
        let again = self.gap.as_ref().is_none_or(|(_, tried)| stop || tried.elapsed() >= RETRY);
        if !again {
            return self.fail();
        }
        if self.waiting.is_empty() && self.written.is_empty() && self.gap.is_none() {
            return;
        }
        self.metrics.set_audit_queue(self.waiting.len());
        match self.try_write() {
            Ok(()) => {}
            Err(error) => self.failed(&error),
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        let gap = self.gap.as_ref().map(|(gap, _)| Event::Gap(gap.clone()));
        if gap.is_some() {
            self.log.reopen()?;
        } else if !self.waiting.is_empty() && self.log.is_full() {
            self.flush()?;
            self.shared.at_disk(|| self.log.begin_segment())?;
        }
        if gap.is_some() || !self.waiting.is_empty() {
            let first = self.log.next() + u64::from(gap.is_some());
            let events = self.waiting.iter().map(|pending| &pending.event);
            self.shared.at_disk(|| self.log.write(gap.iter().chain(events)))?;
            for (pending, seq) in self.waiting.iter_mut().zip(first..) {
                pending.seq = seq;
                if let (Some(ticket), Event::Request(request)) = (pending.ticket, &pending.event) {
                    let (caller, action) = (request.caller.clone(), request.action.clone());
                    self.open.insert(ticket, Open { seq, caller, action });
                }
            }
        }
        if self.written.is_empty() {
            self.written_since = Instant::now();
        }
        self.written.append(&mut self.waiting);
        let due = self.written.len() >= GROUP || self.written_since.elapsed() >= LINGER;
        let urgent = || self.written.iter().any(Pending::is_urgent);
        if gap.is_some() || due || !self.wanted.is_empty() || urgent() {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes durable what was written, and lets those know who wait.
    fn flush(&mut self) -> io::Result<()> {
        let receipts = self.begin_receipts();
        let begun = Instant::now();
        let flushed = self.shared.at_disk(|| self.log.flush());
        let took = begun.elapsed();
        // Taken in any case, because it was asked for.
        let receipts = self.finish_receipts(receipts);
        flushed?;
        self.shared.set_durable(self.log.head_on_disk().0);
        self.metrics.audit_flushed(self.written.len(), took);
        self.flushed(receipts);
        Ok(())
    }

    /// A receipt for everybody who waits, without the head that is signed for all of them
    /// while the disk flushes.
    fn begin_receipts(&self) -> Option<Vec<Option<Receipt>>> {
        let notary = self.notary.as_ref()?;
        self.written.iter().any(|pending| pending.durable.is_some()).then_some(())?;
        let growth = self.log.growth();
        let (before, tree) = (growth.before(), growth.frontier());
        notary.ask(tree.size(), tree.root());
        let unsigned: Arc<str> = Arc::default();
        let receipts = self.written.iter().map(|pending| {
            pending.durable.as_ref()?;
            Some(Receipt {
                sequence: pending.seq,
                record: self.log.leaf(pending.seq)?,
                path: growth.path(usize::try_from(pending.seq - before).ok()?),
                checkpoint: Arc::clone(&unsigned),
                signature_recorded: pending.has_signature(),
            })
        });
        Some(receipts.collect())
    }

    /// The same with that head; none if it is not signed.
    fn finish_receipts(&self, begun: Option<Vec<Option<Receipt>>>) -> Option<Vec<Option<Receipt>>> {
        let mut receipts = begun?;
        let checkpoint: Arc<str> = self.notary.as_ref()?.note()?.into();
        for receipt in receipts.iter_mut().flatten() {
            receipt.checkpoint = Arc::clone(&checkpoint);
        }
        Some(receipts)
    }

    fn flushed(&mut self, receipts: Option<Vec<Option<Receipt>>>) {
        if let Some((gap, _)) = self.gap.take() {
            tracing::info!(refused = gap.refused, "The audit log is written again");
            self.set_failing(false);
        }
        let receipts = receipts.unwrap_or_default().into_iter().chain(iter::repeat(None));
        let mut together = Vec::new();
        for (pending, receipt) in self.written.drain(..).zip(receipts) {
            // Whoever no longer waits was cancelled, and says so.
            match &pending.event {
                Event::Request(request) => {
                    if let Some(ended) = &request.ended {
                        self.metrics.ended(&request.caller, &request.action, ended);
                    }
                }
                Event::Refused(refused) => self.metrics.refused(refused),
                Event::Retired { to } => self.archive.retire(*to),
                _ => {}
            }
            let written = Written { seq: pending.seq, receipt };
            match pending.durable {
                None => {}
                Some(Durable::One(durable)) => drop(durable.send(Ok(written))),
                Some(Durable::WithLast) => together.push(written),
                Some(Durable::Last(durable)) => {
                    together.push(written);
                    let _ = durable.send(Ok(mem::take(&mut together)));
                }
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        let error = error.to_string();
        match &mut self.gap {
            Some((_, tried)) => *tried = Instant::now(),
            None => {
                tracing::error!(%error, "The audit log cannot be written: nothing is signed");
                let gap = Gap { since: Time::now(), error, refused: 0 };
                self.gap = Some((gap, Instant::now()));
                self.set_failing(true);
            }
        }
        self.fail();
    }

    fn set_failing(&self, failing: bool) {
        self.shared.set_failing(failing);
        self.metrics.set_audit_writable(!failing);
    }

    /// Lets those know who wait; keeps the rest for when the log can be written again.
    fn fail(&mut self) {
        let Some((gap, _)) = &mut self.gap else { return };
        let mut kept = mem::take(&mut self.written);
        kept.append(&mut self.waiting);
        for Pending { event, ticket, durable, .. } in kept {
            match durable {
                None => self.waiting.push(Pending::event(event)),
                Some(durable) => {
                    gap.refused += 1;
                    ticket.map(|ticket| self.open.remove(&ticket));
                    // Nobody waits for one that was cancelled.
                    match durable {
                        Durable::One(durable) => drop(durable.send(Err(NotRecorded))),
                        Durable::WithLast => {}
                        Durable::Last(durable) => drop(durable.send(Err(NotRecorded))),
                    }
                }
            }
        }
    }
}
