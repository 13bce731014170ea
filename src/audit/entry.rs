//! Entries: requests that are recorded and not answered yet.

use std::{thread, time::Instant};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{
    Audit, NotRecorded,
    receipt::Receipt,
    record::{Ended, Hex, Outcome, Request},
    writer::{Job, Ticket, Written},
};

/// A request whose record is on its way, and whose outcome is to follow. Dropped without
/// one, it says that the request was cancelled.
pub struct Entry {
    audit: Audit,
    ticket: Ticket,
    arrived: Instant,
    recorded: Option<Recorded>,
    /// Not recorded, until that is known otherwise.
    written: Result<Written, NotRecorded>,
    /// What became of it, as far as that is known.
    ended: Option<Ended>,
}

/// A frame of a stream, which has one record that says what became of it, too. Dropped
/// before that is sent, it says so by itself: that the frame was cancelled, where nothing
/// else is known.
pub struct FrameEntry {
    audit: Audit,
    arrived: Instant,
    request: Option<Request>,
}

/// A record that is on its way.
#[must_use = "what is asked for must not leave before its record is durable"]
pub struct Recorded(pub(super) oneshot::Receiver<Result<Written, NotRecorded>>);

/// The records of frames that are on their way.
#[must_use = "what is asked for must not leave before its record is durable"]
pub struct RecordedFrames(oneshot::Receiver<Result<Vec<Written>, NotRecorded>>);

impl RecordedFrames {
    /// Resolves when the records are durable; with their receipts where the log is signed.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn durable(self) -> Result<Vec<Option<Receipt>>, NotRecorded> {
        let written = self.0.await.unwrap_or(Err(NotRecorded))?;
        Ok(written.into_iter().map(|written| written.receipt).collect())
    }
}

impl Recorded {
    /// Resolves when the record is durable; with its receipt where the log is signed.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn durable(self) -> Result<Option<Receipt>, NotRecorded> {
        Ok(self.written().await?.receipt)
    }

    async fn written(self) -> Result<Written, NotRecorded> {
        // Without an answer the thread is gone.
        self.0.await.unwrap_or(Err(NotRecorded))
    }
}

impl Entry {
    pub(super) fn new(
        audit: Audit,
        ticket: Ticket,
        arrived: Instant,
        recorded: Recorded,
        is_recorded: bool,
    ) -> Self {
        // Without a record there is no outcome.
        let (recorded, ended) = (Some(recorded), is_recorded.then(Ended::default));
        Self { audit, ticket, arrived, recorded, written: Err(NotRecorded), ended }
    }

    /// Resolves when the record of the request is durable.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn durable(&mut self) -> Result<(), NotRecorded> {
        if let Some(recorded) = self.recorded.take() {
            self.written = recorded.written().await;
        }
        self.written.as_ref().map(|_| ()).map_err(|error| *error)
    }

    /// The receipt for the record, when that is durable and the log is signed.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.written.as_ref().ok()?.receipt.as_ref()
    }

    /// A frame of this stream, whose record is durable. It arrived now.
    pub fn frame(&self, request: Request) -> FrameEntry {
        let stream = self.written.as_ref().ok().map(|written| written.seq);
        let request = Some(Request { stream, ..request });
        FrameEntry { audit: self.audit.clone(), arrived: Instant::now(), request }
    }

    /// The KMS unwrapped the DEK, and how both name that.
    pub fn unwrapped(&mut self, request_id: Option<&str>, kek_version: Option<u32>) {
        if let Some(ended) = &mut self.ended {
            ended.kms_request_id = request_id.map(ToOwned::to_owned);
            ended.kek_version = kek_version;
        }
    }

    /// The DEK that is to take its place was unwrapped to try it, and how the KMS names
    /// that.
    pub fn tried(&mut self, request_id: Option<&str>) {
        if let Some(ended) = &mut self.ended {
            ended.new_kms_request_id = request_id.map(ToOwned::to_owned);
        }
    }

    /// The DEK is wrapped by another version of the KEK than before.
    pub fn rewrapped(&mut self, before: Option<u32>, since: Option<u32>) {
        if let Some(ended) = &mut self.ended {
            (ended.kek_version, ended.new_kek_version) = (before, since);
        }
    }

    /// A signature was made.
    pub fn signed(&mut self, signature: &[u8; 64]) {
        if let Some(ended) = &mut self.ended {
            ended.signature = Some(digest(signature));
        }
        self.end(Ended::with(Outcome::Signed));
    }

    /// Says what became of the request, unless that was said before.
    pub fn end(&mut self, Ended { outcome, reason, .. }: Ended) {
        if let Some(ended) = self.ended.take() {
            let ended = Ended { outcome, reason, ..ended }.since(self.arrived);
            self.audit.tell(Job::Outcome { ticket: self.ticket, ended });
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(Ended::with(given_up()));
    }
}

impl FrameEntry {
    /// A signature was made.
    pub fn signed(&mut self, signature: &[u8; 64]) {
        self.end(Ended { signature: Some(digest(signature)), ..Ended::with(Outcome::Signed) });
    }

    /// The frame ended otherwise.
    pub fn end(&mut self, ended: Ended) {
        if let Some(request) = &mut self.request {
            request.ended = Some(ended.since(self.arrived));
        }
    }

    /// Records frames that ended, all at once.
    pub fn record(frames: Vec<Self>) -> RecordedFrames {
        let audit = frames.first().map(|frame| frame.audit.clone());
        let requests = frames.into_iter().filter_map(|mut frame| frame.request.take());
        let (durable, told) = oneshot::channel();
        if let Some(audit) = audit {
            let requests: Vec<_> = requests.collect();
            audit.submit(requests.len(), Job::Frames { requests, durable });
        }
        RecordedFrames(told)
    }
}

impl Drop for FrameEntry {
    fn drop(&mut self) {
        let Some(mut request) = self.request.take() else { return };
        let given_up = || Ended::with(given_up()).since(self.arrived);
        request.ended.get_or_insert_with(given_up);
        let (durable, _) = oneshot::channel();
        self.audit.submit(1, Job::Frames { requests: vec![request], durable });
    }
}

impl Ended {
    /// Now, of a request that `arrived` then.
    pub(super) fn since(self, arrived: Instant) -> Self {
        let micros = u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX);
        Self { duration_us: Some(micros), ..self }
    }
}

/// What became of a request of which nothing else is known.
fn given_up() -> Outcome {
    if thread::panicking() { Outcome::Failed } else { Outcome::Cancelled }
}

fn digest(signature: &[u8; 64]) -> Hex {
    Hex::from(<[u8; 32]>::from(Sha256::digest(signature)))
}
