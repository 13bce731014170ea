//! Grants: what policy permits, and the audit record of who asked for it. A story acts on
//! no permit whose request is not on its way into the log, and answers no request whose
//! record is not durable.
#![forbid(unsafe_code)]

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    audit::{
        Audit, Entry, NotRecorded,
        note::Signer,
        receipt::Receipt,
        record::{Decision, Ended, Hex, Outcome, Request},
    },
    caller::Call,
    envelope::Identity,
    identity::{IdentityError, Parts},
    key::{Environment, ShareId},
    payload::Payload,
    policy::{Action, Denied, NewShare, Permit, Policy, ShareSubject},
    refusal::Refusal,
    sign::{Signing, Target},
};

/// The most policies that a record names, and the most characters of a name: whatever the
/// policies are, a record stays short.
const POLICIES_MAX: usize = 64;
const POLICY_MAX: usize = 256;

/// A permit, and the entry of its request in the audit log.
pub(crate) struct Grant<A: Action> {
    pub(crate) permit: Permit<A>,
    pub(crate) entry: Entry,
}

/// What policy said of a request, and the record that says so.
pub(crate) struct Decided<A: Action> {
    pub(crate) request: Request,
    pub(crate) permit: Result<Permit<A>, Denied>,
}

/// What a request is about.
pub(crate) trait About {
    /// Says it in a record.
    fn describe(&self, request: &mut Request);
}

impl<A: Action<Subject: About>> Decided<A> {
    /// Asks policy.
    pub(crate) fn by(policy: &Policy, call: &Call, subject: A::Subject, action: A) -> Self {
        let mut request = request(call, &subject, &action);
        let permit = policy.authorize(&call.caller, subject, action);
        match &permit {
            Ok(permit) => decided(&mut request, Decision::Permitted, permit.policies()),
            Err(denied) => decided(&mut request, Decision::Denied, &denied.policies),
        }
        Self { request, permit }
    }
}

impl Signing {
    /// Asks the policies in force, and records who asked and what they said.
    ///
    /// # Errors
    /// They deny.
    pub(crate) async fn grant<A: Action<Subject: About>>(
        &self,
        call: &Call,
        subject: A::Subject,
        action: A,
    ) -> Result<Grant<A>, Refusal> {
        let decided = Decided::by(&self.policy.current(), call, subject, action);
        self.enter(call, decided).await
    }

    /// Begins the record of a request that is permitted; records one that is not.
    ///
    /// # Errors
    /// It is not.
    pub(crate) async fn enter<A: Action>(
        &self,
        call: &Call,
        Decided { request, permit }: Decided<A>,
    ) -> Result<Grant<A>, Refusal> {
        // Nothing is fetched, unwrapped or signed for what cannot be recorded.
        if !self.audit.is_writable() {
            return Err(NotRecorded.into());
        }
        let decided = Unrecorded { audit: &self.audit, call, request: Some(request) };
        let permit = match permit {
            Ok(permit) => permit,
            Err(denied) => return Err(decided.refuse(denied.into()).await),
        };
        // Before the record, which is to have a receipt. Open it stays.
        if A::OPENS
            && let Err(error) = self.identify(call.deadline).await
        {
            return Err(decided.refuse(error.into()).await);
        }
        Ok(Grant { permit, entry: decided.begin() })
    }

    /// Opens the key that signs the log, unless it is open.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(crate) async fn identify(&self, deadline: Instant) -> Result<&Signer, IdentityError> {
        let Self { environment, audit, kms, enclave, .. } = self;
        let parts = Parts { environment, audit, kms: &**kms, enclave };
        self.identity.open(&parts, deadline).await
    }

    /// Records a request for a share that is not there, which is denied like one that the
    /// caller may not use.
    pub(crate) async fn unknown(
        &self,
        call: &Call,
        about: &impl About,
        action: &impl Action,
    ) -> Refusal {
        let request = Some(request(call, about, action));
        let unknown = Unrecorded { audit: &self.audit, call, request };
        unknown.refuse(Denied::unknown_share().into()).await
    }
}

/// A request that policy decided, before its record. Dropped, it is recorded as cancelled.
struct Unrecorded<'a> {
    audit: &'a Audit,
    call: &'a Call,
    request: Option<Request>,
}

impl Unrecorded<'_> {
    /// It goes on.
    fn begin(mut self) -> Entry {
        let request = self.take().unwrap_or_default();
        self.audit.begin(request, self.call.arrived.into_std())
    }

    /// It does not.
    async fn refuse(mut self, refusal: Refusal) -> Refusal {
        let request = self.take().unwrap_or_default();
        let arrived = self.call.arrived.into_std();
        match self.audit.record(request, ended(&refusal), arrived).durable().await {
            Ok(_) => refusal,
            Err(not_recorded) => not_recorded.into(),
        }
    }

    fn take(&mut self) -> Option<Request> {
        self.call.recorded.set();
        self.request.take()
    }
}

impl Drop for Unrecorded<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.take() {
            let arrived = self.call.arrived.into_std();
            // Nobody waits for it.
            drop(self.audit.record(request, Ended::with(Outcome::Cancelled), arrived));
        }
    }
}

/// Says what became of a request, and releases its answer when its record is durable.
///
/// # Errors
/// That of the answer; the record is not durable.
pub(crate) async fn release<T>(entry: Entry, answer: Result<T, Refusal>) -> Result<T, Refusal> {
    Ok(release_with_receipt(entry, answer).await?.0)
}

/// The same, with the receipt for the record.
///
/// # Errors
/// As [`release`].
pub(crate) async fn release_with_receipt<T>(
    mut entry: Entry,
    answer: Result<T, Refusal>,
) -> Result<(T, Option<Receipt>), Refusal> {
    entry.end(match &answer {
        Ok(_) => Ended::with(Outcome::Done),
        Err(refusal) => ended(refusal),
    });
    entry.durable().await?;
    Ok((answer?, entry.receipt().cloned()))
}

/// What a refusal is in the log.
pub(crate) fn ended(refusal: &Refusal) -> Ended {
    let outcome = match refusal {
        // The stream ends as its frame did.
        Refusal::Frame { refusal, .. } => return ended(refusal),
        Refusal::Gone => return Ended::with(Outcome::Cancelled),
        Refusal::Denied(_) => Outcome::Denied,
        Refusal::Deadline => Outcome::Cancelled,
        _ => Outcome::Failed,
    };
    Ended { reason: Some(refusal.reason().as_str().to_owned()), ..Ended::with(outcome) }
}

fn request(call: &Call, about: &impl About, action: &impl Action) -> Request {
    let mut request = Request {
        request_id: call.request_id.to_string(),
        caller: call.caller.name.to_string(),
        action: action.name().as_str().to_owned(),
        why: action.why().map(|why| why.as_str().to_owned()),
        ..Request::default()
    };
    if let Some(payload) = action.payload() {
        request.payload_kind = Some(payload.kind().as_str().to_owned());
        request.payload_digest = Some(digest(payload));
    }
    about.describe(&mut request);
    request
}

/// What is signed where that is a digest, SHA-256 of it where it is not.
fn digest(payload: &Payload) -> Hex {
    let signed = payload.signed_bytes();
    let digest = match payload {
        Payload::Message(_) | Payload::SolanaMessage(_) => None,
        Payload::Digest(_)
        | Payload::Eip191(_)
        | Payload::Eip712(_)
        | Payload::EvmTransaction(_) => <[u8; 32]>::try_from(signed).ok(),
    };
    digest.unwrap_or_else(|| Sha256::digest(signed).into()).into()
}

fn decided(request: &mut Request, decision: Decision, policies: &[String]) {
    let policies = policies.iter().take(POLICIES_MAX);
    request.decision = decision;
    request.policies = policies.map(|id| id.chars().take(POLICY_MAX).collect()).collect();
}

impl About for ShareSubject {
    fn describe(&self, request: &mut Request) {
        let Identity { wallet, share, version, algorithm, .. } = &self.identity;
        request.share = Some(share.to_string());
        request.wallet = Some(wallet.to_string());
        request.algorithm = Some(algorithm.as_str().to_owned());
        request.record_version = Some(version.get());
    }
}

impl About for NewShare {
    fn describe(&self, request: &mut Request) {
        request.share = Some(self.share.to_string());
        request.wallet = Some(self.wallet.to_string());
        request.algorithm = Some(self.algorithm.as_str().to_owned());
    }
}

/// What was asked for, where there is no such share.
impl About for Target {
    fn describe(&self, request: &mut Request) {
        request.share = Some(self.share.to_string());
        request.wallet = Some(self.wallet.to_string());
    }
}

impl About for ShareId {
    fn describe(&self, request: &mut Request) {
        request.share = Some(self.to_string());
    }
}

/// The record of the start says which.
impl About for Environment {
    fn describe(&self, _: &mut Request) {}
}
