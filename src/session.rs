//! The story of `UseShare`: one share, open for as long as one stream.
//!
//! ```text
//!  frames ─▶ open ─▶ (describe, authorize, unwrap, open, record) ─▶ opened
//!         ─▶ sign … ─▶ authorize … ─▶ sections on any worker ─▶ records ─┐
//!         ─▶ sign … ─▶ authorize … ─▶ sections on any worker ─▶ records ─┤ in order ─▶ answers
//!         ─▶ half-close │ idle │ lifetime │ operations │ bad frame │ shutdown ─▶ status
//! ```
//! The session runs as a task of its own, not inside the response body: a client
//! that does not read its answers would otherwise keep the share open past the
//! lifetime. When the response body is dropped (the client vanished), `answers`
//! closes and the task ends at once; the share is wiped with it, as soon as the
//! sections that are running on it, if any, return. What was accepted and not
//! begun does not begin then: only the session keeps the share, batches borrow
//! it for one section at a time. Each frame has a record of its own, and is answered
//! when that is durable.
#![forbid(unsafe_code)]

mod in_flight;

use std::{future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt};
use in_flight::{Batch, InFlight, Operation};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::{
    audit::{Entry, FrameEntry, RecordedFrames, receipt::Receipt},
    caller::Call,
    enclave::OpenShare,
    grant::{self, Decided, Grant},
    held::{Held, REFRESH},
    payload::Payload,
    policy::{Permit, ShareSubject, Sign, StreamLimits, UseShare},
    refusal::{Refusal, StreamEnd},
    sign::{Encoding, Signing, Target, require_signable},
    signature::Signed,
    telemetry::OpenStream,
};

/// What bounds a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The stream ends when no frame arrives for this long.
    pub idle: Duration,
    /// The stream ends this long after its opening.
    pub lifetime: Duration,
    /// The stream ends after this many operations.
    pub operations: u32,
    /// Frames beyond this many unanswered ones wait unread.
    pub in_flight: u32,
    /// How long opening may take.
    pub open_within: Duration,
}

impl SessionLimits {
    /// These limits, where policy sets no lower ones.
    fn lowered_by(self, policy: StreamLimits) -> Self {
        Self {
            idle: policy.idle.map_or(self.idle, |idle| idle.min(self.idle)),
            lifetime: policy.lifetime.map_or(self.lifetime, |lifetime| lifetime.min(self.lifetime)),
            operations: policy.operations.map_or(self.operations, |most| most.min(self.operations)),
            ..self
        }
    }
}

/// A frame from the client.
#[derive(Debug)]
pub enum Frame {
    /// Open the share.
    Open(Target),
    /// Sign with it.
    Sign {
        /// Echoed in the answer.
        id: u64,
        /// What to sign.
        payload: Payload,
        /// How to encode the signature.
        encoding: Encoding,
    },
}

/// A frame to the client.
#[derive(Debug)]
pub enum Answer {
    /// The share is open.
    Opened {
        /// Whose public metadata are told.
        share: ShareSubject,
        /// What bounds the stream.
        limits: SessionLimits,
        /// For the record of the opening.
        receipt: Option<Receipt>,
    },
    /// One signature.
    Signed {
        /// The frame's id.
        id: u64,
        /// The signature.
        signed: Signed,
        /// How to encode it.
        encoding: Encoding,
        /// For the record of the frame.
        receipt: Option<Receipt>,
    },
}

/// A share that one stream holds open, and the entry of that stream in the audit log.
struct Opened<'c> {
    call: &'c Call,
    share: Arc<OpenShare>,
    held: Held,
    entry: Entry,
    limits: SessionLimits,
    _counted: OpenStream,
}

/// Why a frame ends its stream, and the record of the frame, where it has one.
struct End {
    refusal: Refusal,
    recorded: Option<RecordedFrames>,
}

/// Where answers go; the last one may be a refusal, which ends the stream.
pub type Answers = mpsc::Sender<Result<Answer, Refusal>>;

/// How many answers must fit besides those in flight: `opened` and the end.
pub const EXTRA_ANSWERS: usize = 2;

impl Signing {
    /// Runs a session to its end. `answers` must have room for the limits'
    /// `in_flight` and [`EXTRA_ANSWERS`]; `draining` resolves at shutdown.
    pub async fn use_share(
        self,
        call: Call,
        limits: SessionLimits,
        frames: impl Stream<Item = Result<Frame, Refusal>> + Send,
        answers: Answers,
        draining: impl Future<Output = ()> + Send,
    ) {
        let (frames, draining) = (pin!(frames), pin!(draining));
        let session = async {
            // A task that just died would end the stream with OK.
            let conversing = self.converse(&call, limits, frames, &answers, draining);
            let end = AssertUnwindSafe(conversing).catch_unwind().await;
            if let Err(refusal) = end.unwrap_or(Err(Refusal::Panicked)) {
                let _ = answers.send(Err(refusal)).await;
            }
        };
        tokio::select! {
            () = answers.closed() => {}
            () = session => {}
        }
    }

    async fn converse(
        &self,
        call: &Call,
        limits: SessionLimits,
        mut frames: impl Stream<Item = Result<Frame, Refusal>> + Unpin,
        answers: &Answers,
        mut draining: impl Future<Output = ()> + Unpin,
    ) -> Result<(), Refusal> {
        let first = tokio::select! {
            () = &mut draining => return Err(Refusal::ShuttingDown),
            () = sleep_until(call.deadline) => return Err(Refusal::Deadline),
            first = timeout(limits.idle, frames.next()) => first,
        };
        let target = match first {
            Err(_) => return Err(Refusal::Stream(StreamEnd::Idle)),
            Ok(None | Some(Ok(Frame::Sign { .. }))) => {
                return Err(Refusal::Stream(StreamEnd::NotOpened));
            }
            Ok(Some(Err(refusal))) => return Err(refusal),
            Ok(Some(Ok(Frame::Open(target)))) => target,
        };
        let open_by = call.deadline.min(Instant::now() + limits.open_within);
        let opened = timeout_at(open_by, self.open(call, &target, limits, open_by));
        let opened = opened.await.map_err(|_| Refusal::Deadline)??;
        let ended = self.hold(&opened, frames, answers, draining).await;
        grant::release(opened.entry, ended).await
    }

    async fn open<'c>(
        &self,
        call: &'c Call,
        target: &Target,
        limits: SessionLimits,
        deadline: Instant,
    ) -> Result<Opened<'c>, Refusal> {
        let share = self.describe(call, target, &UseShare).await?;
        let policy = self.policy.current();
        let decided = Decided::by(&policy, call, share, UseShare);
        // Those of the set that permits: it may be replaced while the DEK is unwrapped.
        let lowered = decided.permit.as_ref().ok().map(|permit| policy.stream_limits(permit));
        let limits = limits.lowered_by(lowered.unwrap_or_default());
        drop(policy);
        let Grant { permit, mut entry } = self.enter(call, decided).await?;
        let held = self.held.hold(permit.subject());
        match self.open_permitted(target, permit, deadline, &mut entry).await {
            Ok(share) => {
                let (share, _counted) = (Arc::new(share), self.metrics.stream());
                Ok(Opened { call, share, held, entry, limits, _counted })
            }
            Err(refusal) => grant::release(entry, Err(refusal)).await,
        }
    }

    async fn open_permitted(
        &self,
        target: &Target,
        permit: Permit<UseShare>,
        deadline: Instant,
        entry: &mut Entry,
    ) -> Result<OpenShare, Refusal> {
        target.accepts(permit.share())?;
        let (envelope, dek) = self.unwrap(permit, deadline, entry).await?;
        // Before the share is open, so that it is not open for nothing.
        entry.durable().await?;
        Ok(self.enclave.open(envelope, dek)?)
    }

    /// Keeps the share open until one of the stream's ends.
    async fn hold(
        &self,
        opened: &Opened<'_>,
        frames: impl Stream<Item = Result<Frame, Refusal>> + Unpin,
        answers: &Answers,
        mut draining: impl Future<Output = ()> + Unpin,
    ) -> Result<(), Refusal> {
        let Opened { call, share, entry, limits, .. } = opened;
        let told = Answer::Opened {
            share: Arc::clone(share.permit().subject()),
            limits: *limits,
            receipt: entry.receipt().cloned(),
        };
        let _ = answers.send(Ok(told)).await;

        let ends_at = Instant::now() + limits.lifetime;
        let (end, at) = if call.deadline < ends_at {
            (Refusal::Deadline, call.deadline)
        } else {
            (Refusal::Stream(StreamEnd::Lifetime), ends_at)
        };
        let mut in_flight = InFlight::default();
        let ended = tokio::select! {
            () = &mut draining => Err(Refusal::ShuttingDown),
            () = sleep_until(at) => Err(end),
            refusal = self.lose_right(opened) => Err(refusal),
            ended = self.operate(opened, frames, answers, &mut in_flight) => ended,
        };
        // What was accepted is answered, in order, before the end is told. With
        // the last of it the share is wiped.
        while let Some(finished) = in_flight.next().await {
            finished.send()?;
        }
        ended
    }

    /// Resolves when the share may no longer be used, or the stream is no longer permitted:
    /// policy may have been replaced, or speak of the time.
    async fn lose_right(&self, Opened { share, held, .. }: &Opened<'_>) -> Refusal {
        let mut lost = pin!(held.lost());
        loop {
            if let Ok(refusal) = timeout(REFRESH, &mut lost).await {
                return refusal;
            }
            if let Err(denied) = self.policy.current().authorize_still(share.permit()) {
                return denied.into();
            }
        }
    }

    /// Reads frames and sends answers until the client half-closes or a frame or
    /// a limit ends it. Cancelling it leaves what is in flight in `in_flight`.
    async fn operate(
        &self,
        opened: &Opened<'_>,
        mut frames: impl Stream<Item = Result<Frame, Refusal>> + Unpin,
        answers: &Answers,
        in_flight: &mut InFlight,
    ) -> Result<(), Refusal> {
        let Opened { share, limits, .. } = opened;
        let workers = Handle::current().metrics().num_workers();
        let mut operations = 0;
        let mut idle_since = Instant::now();
        // Looked at when it fires, rather than set anew for each frame.
        let mut idle = pin!(sleep_until(idle_since + limits.idle));
        // A frame is read only when its answer has a place, so that sending an
        // answer never waits for the client.
        let mut place = None;
        loop {
            tokio::select! {
                biased;
                Some(finished) = in_flight.next() => {
                    idle_since = Instant::now();
                    if let Err(refusal) = finished.send() {
                        // An answer is missing; later ones would hide that.
                        *in_flight = InFlight::default();
                        return Err(refusal);
                    }
                }
                reserved = answers.clone().reserve_owned(),
                    if place.is_none() && in_flight.operations < limits.in_flight as usize =>
                {
                    place = Some(reserved.map_err(|_| Refusal::Gone)?);
                }
                frame = frames.next(), if place.is_some() => {
                    idle_since = Instant::now();
                    let Some(place) = place.take() else { continue };
                    let mut batch = Batch::default();
                    let most = in_flight.batch(workers);
                    let mut next = Some((frame, place));
                    let end = loop {
                        let Some((frame, place)) = next else { break None };
                        match self.accept(opened, frame, &mut operations) {
                            Ok(Some(operation)) => batch.push(operation, place),
                            Ok(None) => break Some(Ok(())),
                            Err(end) => break Some(Err(end)),
                        }
                        // What arrived with it, as far as there is room.
                        let room = limits.in_flight as usize - in_flight.operations;
                        next = if batch.len() < most.min(room) {
                            let place = answers.clone().try_reserve_owned().ok();
                            place.and_then(|place| Some((frames.next().now_or_never()?, place)))
                        } else {
                            None
                        };
                    };
                    // First of all, because what was accepted is answered.
                    in_flight.begin(share, batch);
                    if let Some(end) = end {
                        let Err(End { refusal, recorded }) = end else { return Ok(()) };
                        if let Some(recorded) = recorded {
                            recorded.durable().await?;
                        }
                        return Err(refusal);
                    }
                }
                () = &mut idle => {
                    let at = idle_since + limits.idle;
                    if at <= Instant::now() {
                        return Err(Refusal::Stream(StreamEnd::Idle));
                    }
                    idle.as_mut().reset(at);
                }
            }
        }
    }

    /// Decides one frame; none at the half-close.
    fn accept(
        &self,
        opened: &Opened<'_>,
        frame: Option<Result<Frame, Refusal>>,
        operations: &mut u32,
    ) -> Result<Option<Operation>, End> {
        let Some(frame) = frame.transpose()? else {
            return Ok(None);
        };
        let Frame::Sign { id, payload, encoding } = frame else {
            return Err(Refusal::Stream(StreamEnd::SecondOpen).into());
        };
        // What custody has answered holds for the next frame.
        opened.held.judge()?;
        *operations += 1;
        if *operations > opened.limits.operations {
            return Err(Refusal::Stream(StreamEnd::Operations).into());
        }
        let (permit, entry) = self.permit(opened, payload, encoding).map_err(|end| {
            let End { refusal, recorded } = end;
            End { refusal: refusal.in_frame(id), recorded }
        })?;
        Ok(Some(Operation { id, permit, encoding, entry }))
    }

    fn permit(
        &self,
        Opened { call, share, entry, .. }: &Opened<'_>,
        payload: Payload,
        encoding: Encoding,
    ) -> Result<(Permit<Sign>, FrameEntry), End> {
        let open = share.permit();
        // What the gate does for a call: a stream is no way around a rate.
        self.rates.take_call(open.caller()).map_err(Refusal::from)?;
        let subject = Arc::clone(open.subject());
        let Decided { request, permit } =
            Decided::by(&self.policy.current(), call, subject, Sign { payload });
        let mut entry = entry.frame(request);
        let permitted = permit.map_err(Refusal::from).and_then(|permit| {
            require_signable(permit.share(), &permit.action().payload, encoding)?;
            self.rates.take_signature(permit.share().identity.share)?;
            Ok(permit)
        });
        match permitted {
            Ok(permit) => Ok((permit, entry)),
            Err(refusal) => {
                entry.end(grant::ended(&refusal));
                let recorded = Some(FrameEntry::record(vec![entry]));
                Err(End { refusal, recorded })
            }
        }
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, recorded: None }
    }
}
