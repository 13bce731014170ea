//! What a stream has accepted and not answered: batches of operations, each
//! signed and recorded by a task, answered in the order of the frames.

use std::sync::Arc;

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use tokio::{sync::mpsc, task};

use super::Answer;
use crate::{
    audit::{FrameEntry, receipt::Receipt},
    enclave::OpenShare,
    grant,
    policy::{Permit, Sign},
    refusal::Refusal,
    sign::Encoding,
    signature::Signed,
};

/// The most frames that one task signs. Frames that arrived together are signed
/// by one task, so that waking tasks, sockets and the client costs less than the
/// signatures; more than this would keep a worker from everybody else.
const BATCH_MAX: usize = 16;

/// Room for one answer.
type Reserved = mpsc::OwnedPermit<Result<Answer, Refusal>>;

/// The place of one operation's answer.
struct Place {
    id: u64,
    reserved: Reserved,
}

/// An operation that policy permitted.
pub(super) struct Operation {
    pub(super) id: u64,
    pub(super) permit: Permit<Sign>,
    pub(super) encoding: Encoding,
    pub(super) entry: FrameEntry,
}

/// Operations that one task signs, and the places of their answers.
#[derive(Default)]
pub(super) struct Batch {
    operations: Vec<Operation>,
    places: Vec<Place>,
}

/// What was accepted and is not answered yet, in the order of the frames.
#[derive(Default)]
pub(super) struct InFlight {
    batches: FuturesOrdered<BoxFuture<'static, Finished>>,
    pub(super) operations: usize,
}

/// A batch that is finished, and the places that were kept for its answers.
pub(super) struct Finished {
    answers: Result<Vec<Result<Answer, Refusal>>, task::JoinError>,
    places: Vec<Place>,
}

impl Operation {
    /// Signs; the record is on its way with those of the batch.
    fn sign(self, share: &OpenShare) -> (FrameEntry, Result<Unreleased, Refusal>) {
        let Self { id, permit, encoding, mut entry } = self;
        match share.sign(permit) {
            Ok(signed) => {
                entry.signed(&signed.signature.bytes);
                (entry, Ok(Unreleased { id, signed, encoding }))
            }
            Err(error) => {
                let refusal = Refusal::from(error);
                entry.end(grant::ended(&refusal));
                (entry, Err(refusal))
            }
        }
    }
}

/// A signature whose record is on its way.
struct Unreleased {
    id: u64,
    signed: Signed,
    encoding: Encoding,
}

impl Unreleased {
    fn release(self, receipt: Option<Receipt>) -> Answer {
        let Self { id, signed, encoding } = self;
        Answer::Signed { id, signed, encoding, receipt }
    }
}

impl Batch {
    pub(super) fn push(&mut self, operation: Operation, reserved: Reserved) {
        let id = operation.id;
        self.operations.push(operation);
        self.places.push(Place { id, reserved });
    }

    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }
}

impl InFlight {
    /// How many frames the next batch may have: few while little is in flight, so
    /// that every worker gets some.
    pub(super) fn batch(&self, workers: usize) -> usize {
        (self.operations / (2 * workers)).clamp(1, BATCH_MAX)
    }

    /// Starts the sections of a batch as a task, so that the frames of one stream
    /// are signed on all workers.
    pub(super) fn begin(&mut self, share: &Arc<OpenShare>, batch: Batch) {
        let Batch { operations, places } = batch;
        if operations.is_empty() {
            return;
        }
        self.operations += operations.len();
        let share = Arc::downgrade(share);
        let signing = task::spawn(async move {
            let (entries, signed): (Vec<_>, Vec<_>) = operations
                .into_iter()
                .map_while(|operation| Some(operation.sign(&*share.upgrade()?)))
                .unzip();
            match FrameEntry::record(entries).durable().await {
                Ok(receipts) => signed
                    .into_iter()
                    .zip(receipts)
                    .map(|(signed, receipt)| Ok(signed?.release(receipt)))
                    .collect(),
                Err(not_recorded) => signed.iter().map(|_| Err(not_recorded.into())).collect(),
            }
        });
        self.batches
            .push_back(Box::pin(async move { Finished { answers: signing.await, places } }));
    }

    pub(super) async fn next(&mut self) -> Option<Finished> {
        let finished = self.batches.next().await?;
        self.operations -= finished.places.len();
        Some(finished)
    }
}

impl Finished {
    pub(super) fn send(self) -> Result<(), Refusal> {
        let Self { answers, places } = self;
        let first = places.first().map_or(0, |place| place.id);
        let answers = answers.map_err(|_| Refusal::Panicked.in_frame(first))?;
        for (place, answer) in places.into_iter().zip(answers) {
            let Place { id, reserved } = place;
            reserved.send(Ok(answer.map_err(|refusal| refusal.in_frame(id))?));
        }
        Ok(())
    }
}
