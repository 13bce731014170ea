//! Held shares: those that streams hold open, and what the store said of each last.
//!
//! ```text
//! store ── once a second, all of them at once ──┐
//! custody ── what this process has written ─────┴─▶ what is known ─▶ each frame of each stream
//! ```
//! One task looks for the whole process, however many streams there are. What custody
//! changes here, streams know before custody has answered.
#![forbid(unsafe_code)]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    key::{ShareId, ShareState},
    policy::ShareSubject,
    record::ShareDescription,
    refusal::Refusal,
    shutdown::Draining,
    store::{ShareStore, StoreError, StoreErrorKind},
};

/// How often the store is looked at.
pub const REFRESH: Duration = Duration::from_secs(1);
/// A stream ends when nothing is known of its share for this long.
const UNKNOWN: Duration = Duration::from_secs(5);

/// The held shares of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct HeldShares(Arc<Mutex<HashMap<ShareId, Watched>>>);

struct Watched {
    streams: usize,
    seen: watch::Sender<Seen>,
}

/// What is known of a share.
#[derive(Clone)]
struct Seen {
    /// When the store last said anything of it, and what: none where it is gone.
    known: Instant,
    share: Option<ShareSubject>,
    /// Why nothing is known since.
    error: Option<StoreError>,
}

/// A share that one stream holds.
pub struct Held {
    shares: HeldShares,
    opened: ShareSubject,
    seen: watch::Receiver<Seen>,
}

impl HeldShares {
    /// Watches a share, from before it is fetched: a change after that is seen.
    pub fn hold(&self, share: &ShareSubject) -> Held {
        let mut all = self.all();
        let watched = all.entry(share.identity.share).or_insert_with(|| {
            let share = Some(Arc::clone(share));
            let seen = Seen { known: Instant::now(), share, error: None };
            Watched { streams: 0, seen: watch::Sender::new(seen) }
        });
        watched.streams += 1;
        let seen = watched.seen.subscribe();
        Held { shares: self.clone(), opened: Arc::clone(share), seen }
    }

    /// Says what this process made of a share: none where it is gone.
    pub fn changed(&self, share: ShareId, now: Option<&ShareDescription>) {
        if let Some(watched) = self.all().get(&share) {
            watched.saw(Ok(now.cloned()), true);
        }
    }

    /// Looks at the store until shutdown.
    pub async fn follow(self, store: Arc<dyn ShareStore>, draining: Draining) {
        let mut stop = std::pin::pin!(draining.started());
        let mut ticks = interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = ticks.tick() => self.refresh(&*store).await,
            }
        }
    }

    async fn refresh(&self, store: &dyn ShareStore) {
        let shares: Vec<_> = self.all().keys().copied().collect();
        if shares.is_empty() {
            return;
        }
        let described = timeout(REFRESH, store.describe_all(&shares)).await;
        let described = described.unwrap_or_else(|_| {
            let detail = "the share's state could not be read";
            Err(StoreError::new(StoreErrorKind::Timeout, detail))
        });
        // Nobody writes to one that is read-only: what it says is never overtaken, and its
        // files may be exchanged for older ones.
        let in_order = store.capabilities().writes;
        let all = self.all();
        for share in shares {
            let said = described.as_ref().map_err(Clone::clone).map(|described| {
                described.iter().find(|found| found.identity.share == share).cloned()
            });
            if let Some(watched) = all.get(&share) {
                watched.saw(said, in_order);
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ShareId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// Wakes those who wait only where something else is known now. What is `in_order` has
    /// revisions that only grow.
    fn saw(&self, said: Result<Option<ShareDescription>, StoreError>, in_order: bool) {
        self.seen.send_if_modified(|seen| {
            let said = match said {
                Ok(said) => said,
                Err(error) => {
                    seen.error = Some(error);
                    return false;
                }
            };
            // Whatever comes to be under the id of one that is gone is another share.
            let Some(before) = &seen.share else { return false };
            let now = match said {
                Some(now) if now == **before => Some(Arc::clone(before)),
                // Read before what is known already was written.
                Some(now) if in_order && now.revision < before.revision => return false,
                now => now.map(Arc::new),
            };
            let same = now.as_ref().is_some_and(|now| Arc::ptr_eq(now, before));
            *seen = Seen { known: Instant::now(), share: now, error: None };
            !same
        });
    }
}

impl Held {
    /// Whether the share is still what was opened, and may be used.
    ///
    /// # Errors
    /// It is disabled, another, gone, or nothing was known of it for too long.
    pub fn judge(&self) -> Result<(), Refusal> {
        let Seen { known, share, error } = &*self.seen.borrow();
        let Some(now) = share else { return Err(Refusal::ShareChanged("it is gone")) };
        if now.identity != self.opened.identity {
            return Err(Refusal::ShareChanged("while a stream had it open"));
        }
        if now.state == ShareState::Disabled {
            return Err(Refusal::ShareDisabled);
        }
        match error {
            Some(error) if known.elapsed() > UNKNOWN => Err(error.clone().into()),
            _ => Ok(()),
        }
    }

    /// Resolves when it is not.
    pub async fn lost(&self) -> Refusal {
        let mut seen = self.seen.clone();
        loop {
            if let Err(refusal) = self.judge() {
                return refusal;
            }
            // What is unknown becomes too old by itself.
            let _ = timeout(REFRESH, seen.changed()).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.shares.all();
        let share = self.opened.identity.share;
        if let Some(watched) = all.get_mut(&share) {
            watched.streams -= 1;
            if watched.streams == 0 {
                all.remove(&share);
            }
        }
    }
}
