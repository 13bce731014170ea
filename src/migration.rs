//! Migration: moving the records of a store from one KEK to another, in whichever KMS.
//!
//! A KEK that is another needs the DEK unwrapped by the one and wrapped by the other, and
//! the KEK is part of what a record's associated data binds. So each share is sealed anew
//! ([`crate::custody`]): the process is an enclave, with a login to both KMSs that wraps
//! and unwraps. It is asked for by a caller of the configuration, the user who runs it,
//! whom policy must permit `ReencryptShare` on every share; its audit log is its own.
//!
//! What is done is in the records: one under the new KEK is passed over, but for what the
//! store may still keep of it from before. So a run that was killed is resumed by another.
#![forbid(unsafe_code)]

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    caller::{Call, Caller},
    custody::Custody,
    envelope::KekRef,
    key::{RequestId, ShareId, Why},
    kms::Kms,
    record::ShareDescription,
    refusal::{Reason, Refusal},
    shutdown::Draining,
    sign::Signing,
    store::StoreError,
};

/// How many rows a page has.
const PAGE: usize = 500;
/// How long one record may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a record is tried, and how long after the first time; each pause is twice
/// the one before.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// What a migration works with.
pub struct Migration {
    /// The enclave, the store, policy, and the KMS that unwraps.
    pub signing: Signing,
    /// The KMS that wraps.
    pub to: Arc<dyn Kms>,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// Why, for the audit log.
    pub why: Option<Why>,
    /// When to stop: after the record that is under way.
    pub draining: Draining,
}

/// What a migration came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many records were looked at.
    pub looked_at: u64,
    /// How many were moved.
    pub moved: u64,
    /// How many were under the new KEK already.
    pub current: u64,
    /// How many a third KEK wraps.
    pub other_kek: u64,
    /// Which stay as they were, and why: a stable reason and a text.
    pub failed: Vec<(ShareId, String)>,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

impl Migration {
    /// Moves every record, and tells `progress` how many were looked at.
    ///
    /// # Errors
    /// The store fails, with what was done before.
    pub async fn run(&self, mut progress: impl FnMut(u64)) -> (Report, Result<(), StoreError>) {
        let mut report = Report::default();
        let ended = self.move_all(&mut report, &mut progress).await;
        (report, ended)
    }

    async fn move_all(
        &self,
        report: &mut Report,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), StoreError> {
        let Signing { store, environment, kms, .. } = &self.signing;
        // It makes and destroys nothing: how long a share waits for that does not matter.
        let custody = Custody::new(self.signing.clone(), Duration::ZERO);
        let (old, new) = (kms.kek().clone(), self.to.kek().clone());
        let mut after = None;
        loop {
            let page = store.list(environment, None, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.identity.share);
            for share in page {
                if self.draining.has_started() {
                    report.stopped = true;
                    return Ok(());
                }
                self.look_at(&custody, &old, &new, &share, report).await;
                report.looked_at += 1;
                progress(report.looked_at);
            }
        }
    }

    async fn look_at(
        &self,
        custody: &Custody,
        old: &KekRef,
        new: &KekRef,
        share: &ShareDescription,
        report: &mut Report,
    ) {
        let id = share.identity.share;
        if share.kek == *new {
            // What a run that was killed left of it.
            match self.destroy_former(share).await {
                Ok(()) => report.current += 1,
                Err(error) => report.failed.push((id, told(&error.into()))),
            }
        } else if share.kek != *old {
            report.other_kek += 1;
        } else {
            match self.reseal(custody, id).await {
                Ok(()) => report.moved += 1,
                Err(refusal) => report.failed.push((id, told(&refusal))),
            }
        }
    }

    async fn reseal(&self, custody: &Custody, share: ShareId) -> Result<(), Refusal> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match self.ask(custody, share).await {
                Err(refusal) if may_pass(&refusal) => {
                    tracing::warn!(%share, %refusal, "Tried again");
                    sleep(pause).await;
                    pause *= 2;
                    // Of a write that was not answered nobody knows whether it happened.
                    let now = self.signing.store.describe(share).await?;
                    match now {
                        None => return Ok(()),
                        Some(now) if now.kek == *self.to.kek() => {
                            return Ok(self.destroy_former(&now).await?);
                        }
                        Some(_) => {}
                    }
                }
                ended => return ended,
            }
        }
        self.ask(custody, share).await
    }

    async fn destroy_former(&self, now: &ShareDescription) -> Result<(), StoreError> {
        self.signing.store.destroy_former(now.identity.share, now.revision).await
    }

    async fn ask(&self, custody: &Custody, share: ShareId) -> Result<(), Refusal> {
        let (caller, now) = (Arc::clone(&self.caller), Instant::now());
        let call = Call::new(caller, RequestId::random(), now, now + PATIENCE);
        let why = self.why.clone();
        custody.reencrypt_under(&*self.to, &call, share, None, why).await.map(drop)
    }
}

fn told(refusal: &Refusal) -> String {
    format!("{}: {refusal}", refusal.reason().as_str())
}

/// Whether it may end otherwise soon.
fn may_pass(refusal: &Refusal) -> bool {
    matches!(
        refusal.reason(),
        Reason::ShareChanged
            | Reason::StoreUnavailable
            | Reason::KmsUnavailable
            | Reason::KmsTimeout
            | Reason::KmsSealed
            | Reason::KmsRateLimited
    )
}
