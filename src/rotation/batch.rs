//! One batch: recorded, rewrapped, written by compare-and-swap, read back.

use std::{sync::Arc, time::Instant};

use futures_util::{StreamExt, stream};
use uuid::Uuid;

use super::{AT_ONCE, Looked, Rewrapping, RotationError, Run};
use crate::{
    audit::{
        Entry,
        record::{Decision, Ended, Outcome, Request},
    },
    envelope::WrappedDek,
    grant::{self, About},
    key::ShareId,
    kms::{KmsError, KmsErrorKind},
    permitted::RewrappableEnvelope,
    refusal::{Reason, Refusal},
    store::{StoreError, StoreErrorKind},
};

/// How often a row is written that somebody else writes, too.
const ATTEMPTS: u32 = 5;

/// Who asks, in the rotator's log.
pub(super) const CALLER: &str = "rotator";
/// What for.
const ACTION: &str = "RewrapShare";

/// What became of a record.
enum Settled {
    Rewrapped,
    /// Somebody else did, meanwhile.
    Current,
    Gone,
    /// Rewrapped, but what it was before is still in the store.
    FormerStay(ShareId, StoreError),
    Failed(ShareId, String),
}

impl Rewrapping {
    /// Rewraps records that are behind. Each has its entry in the log before anything is
    /// written, and its outcome after it was read back.
    pub(super) async fn rewrap(
        &self,
        run: &mut Run<'_>,
        behind: Vec<RewrappableEnvelope>,
    ) -> Result<(), RotationError> {
        if behind.is_empty() {
            return Ok(());
        }
        run.pace.take(behind.len()).await;
        let begin = |envelope: &RewrappableEnvelope| {
            let mut entry = self.audit.begin(request(run.id, envelope), Instant::now());
            entry.rewrapped(envelope.kek_version(), None);
            entry
        };
        let mut entries: Vec<_> = behind.iter().map(begin).collect();
        let rewrapped = match self.ask(&behind).await {
            Ok(rewrapped) => rewrapped,
            Err(error) => {
                for entry in &mut entries {
                    entry.end(grant::ended(&Refusal::from(error.clone())));
                    entry.durable().await?;
                }
                return Err(error.into());
            }
        };
        let newest = run.newest;
        let mut settling = stream::iter(behind.into_iter().zip(entries).zip(rewrapped))
            .map(|((envelope, entry), wrapped)| self.settle(newest, envelope, entry, wrapped))
            .buffer_unordered(AT_ONCE);
        let mut ended = Ok(());
        // What was begun is brought to its end, whatever comes of the others.
        while let Some(settled) = settling.next().await {
            match settled {
                Ok(Settled::Rewrapped) => run.report.rewrapped += 1,
                Ok(Settled::Current) => run.report.current += 1,
                Ok(Settled::Gone) => run.report.gone += 1,
                Ok(Settled::FormerStay(share, error)) => {
                    run.report.failed.push((share, former_stay(&error)));
                }
                Ok(Settled::Failed(share, problem)) => run.report.failed.push((share, problem)),
                Err(error) => ended = ended.and(Err(error)),
            }
        }
        ended
    }

    /// Has the KMS rewrap a batch; each alone, where it refuses all and does not say for
    /// which.
    async fn ask(
        &self,
        behind: &[RewrappableEnvelope],
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
        let all = Self::deks(behind);
        let asked = self.patiently(|deadline| self.kms.rewrap(all.clone(), deadline)).await;
        let mut rewrapped = match asked {
            Err(error) if behind.len() > 1 && is_of_one(&error) => Vec::new(),
            asked => return checked(behind.len(), asked?),
        };
        for dek in all {
            let alone = vec![dek];
            let asked = self.patiently(|deadline| self.kms.rewrap(alone.clone(), deadline)).await;
            rewrapped.extend(match asked {
                Err(error) if is_of_one(&error) => vec![Err(error)],
                asked => checked(1, asked?)?,
            });
        }
        Ok(rewrapped)
    }

    /// Writes one record and says in the log what became of it.
    async fn settle(
        &self,
        newest: u32,
        envelope: RewrappableEnvelope,
        mut entry: Entry,
        wrapped: Result<WrappedDek, KmsError>,
    ) -> Result<Settled, RotationError> {
        let share = envelope.share().identity.share;
        let before = envelope.kek_version();
        let wrapped = wrapped.and_then(|wrapped| match wrapped.kek_version() {
            Some(version) if version >= newest => Ok(wrapped),
            _ => Err(other_version(newest)),
        });
        let settled = match wrapped {
            Ok(wrapped) => {
                // Nothing is written that the log does not know of.
                entry.durable().await?;
                let written = self.write(newest, envelope, &wrapped).await;
                if matches!(written, Ok(Settled::Rewrapped | Settled::FormerStay(..))) {
                    entry.rewrapped(before, wrapped.kek_version());
                }
                written
            }
            Err(error) => {
                let refusal = Refusal::from(error.clone());
                entry.end(grant::ended(&refusal));
                Ok(Settled::Failed(share, format!("{}: {error}", refusal.reason().as_str())))
            }
        };
        entry.end(match &settled {
            Ok(Settled::Rewrapped | Settled::Current | Settled::Gone) => Ended::with(Outcome::Done),
            Ok(Settled::Failed(..)) => failed(Reason::ShareChanged),
            Ok(Settled::FormerStay(_, error)) | Err(RotationError::Store(error)) => {
                grant::ended(&Refusal::from(error.clone()))
            }
            Err(_) => failed(Reason::EnvelopeMismatch),
        });
        entry.durable().await?;
        settled
    }

    /// Puts a wrapped DEK into a record, and reads it back.
    async fn write(
        &self,
        newest: u32,
        mut envelope: RewrappableEnvelope,
        wrapped: &WrappedDek,
    ) -> Result<Settled, RotationError> {
        let share = envelope.share().identity.share;
        for _ in 0..ATTEMPTS {
            let record = envelope.with(wrapped.clone());
            let put = self.records.store().put(&record, Some(envelope.share().revision)).await;
            // Of a write that was not answered nobody knows whether it happened.
            let unknown = match put {
                Ok(_) => false,
                Err(error) => match error.kind {
                    StoreErrorKind::Conflict => false,
                    StoreErrorKind::Timeout | StoreErrorKind::Unreachable => true,
                    _ => return Err(error.into()),
                },
            };
            if unknown {
                tracing::warn!(%share, "The store did not say whether it wrote; read again");
            }
            let (now, version) = match self.records.read_anew(share).await? {
                Looked::Gone => return Ok(Settled::Gone),
                Looked::Wrapped { envelope: now, version } => (now, version),
                Looked::Changing { .. } => return Ok(changed(share)),
                // What cannot be read now could be read before it was written.
                Looked::Unreadable { .. } => return Err(RotationError::ReadBack(share)),
                Looked::OtherKek => return Ok(Settled::Current),
                Looked::FormerStay { share, problem } => {
                    return Ok(Settled::Failed(share, problem));
                }
            };
            if !envelope.is_same_but_for_its_wrapping(&now) {
                // Another version, or one that was made at another time, is another record.
                let (before, since) = (envelope.share(), now.share());
                let is_another = since.identity.version > before.identity.version
                    || since.created_at != before.created_at;
                return if is_another {
                    match version >= newest {
                        true => Ok(Settled::Current),
                        false => Ok(changed(share)),
                    }
                } else {
                    Err(RotationError::ReadBack(share))
                };
            }
            if now.dek().wrapped == *wrapped {
                return Ok(match self.records.destroy_former(now.share()).await {
                    Ok(()) => Settled::Rewrapped,
                    Err(error) => Settled::FormerStay(share, error),
                });
            }
            if version >= newest {
                return Ok(Settled::Current);
            }
            // The old wrapping, in a row that was written since: disabled, for example.
            envelope = *now;
        }
        Ok(changed(share))
    }
}

/// The KMS wrapped with another version than asked for.
pub(super) fn other_version(newest: u32) -> KmsError {
    let detail = format!("rewrap: the answer is not wrapped by version {newest} or a newer one");
    KmsError::new(KmsErrorKind::Protocol, detail)
}

/// Whether an error of a whole batch may be about one of its items.
fn is_of_one(error: &KmsError) -> bool {
    error.is_of_the_record() || error.kind == KmsErrorKind::Protocol
}

fn checked<T>(asked: usize, answered: Vec<T>) -> Result<Vec<T>, KmsError> {
    if answered.len() == asked {
        return Ok(answered);
    }
    let detail = format!("rewrap: {} answers to {asked} items", answered.len());
    Err(KmsError::new(KmsErrorKind::Protocol, detail))
}

fn changed(share: ShareId) -> Settled {
    Settled::Failed(share, changing())
}

/// What is said of a record that somebody else writes again and again.
pub(super) fn changing() -> String {
    let reason = Reason::ShareChanged.as_str();
    format!("{reason}: it is written by somebody else: run this again")
}

/// What is said of a record that is as it should be, and of which an older version is still
/// in the store.
pub(super) fn former_stay(error: &StoreError) -> String {
    let reason = Refusal::from(error.clone()).reason().as_str();
    format!("{reason}: it is rewrapped, but older versions of it stay: {error}")
}

fn failed(reason: Reason) -> Ended {
    Ended { reason: Some(reason.as_str().to_owned()), ..Ended::with(Outcome::Failed) }
}

fn request(run: Uuid, envelope: &RewrappableEnvelope) -> Request {
    let mut request = Request {
        request_id: run.to_string(),
        caller: CALLER.to_owned(),
        action: ACTION.to_owned(),
        decision: Decision::Permitted,
        ..Request::default()
    };
    Arc::new(envelope.share().clone()).describe(&mut request);
    request
}

/// A record that cannot be read, with what it is called, which is all that is known.
pub(super) fn unreadable(run: Uuid, share: ShareId) -> (Request, Ended) {
    let request = Request {
        request_id: run.to_string(),
        caller: CALLER.to_owned(),
        action: ACTION.to_owned(),
        decision: Decision::Permitted,
        share: Some(share.to_string()),
        ..Request::default()
    };
    (request, failed(Reason::EnvelopeInvalid))
}
