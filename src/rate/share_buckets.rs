//! The buckets of the shares that are in use.

use std::sync::atomic::{AtomicIsize, Ordering};

use governor::{
    NotUntil, Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

use crate::key::ShareId;

/// Full buckets are dropped when so many tokens were taken, or as many as there
/// were buckets left, if that is more: a share of the work is then constant, and
/// the memory at most twice what the shares need whose buckets are not full.
const SWEEP: usize = 1024;

/// One bucket per share that signed and whose bucket is not full again. A full
/// one is as good as none.
pub(super) struct ShareBuckets<C: Clock> {
    limiter: RateLimiter<ShareId, HashMapStateStore<ShareId>, C, NoOpMiddleware<C::Instant>>,
    /// Tokens to be taken before the next sweep. Below zero while one is running.
    until_sweep: AtomicIsize,
}

impl<C: Clock> ShareBuckets<C> {
    pub(super) fn new(quota: Quota, clock: C) -> Self {
        let limiter = RateLimiter::hashmap_with_clock(quota, clock);
        Self { limiter, until_sweep: AtomicIsize::new(SWEEP as isize) }
    }

    /// Takes one token.
    pub(super) fn take(&self, share: ShareId) -> Result<(), NotUntil<C::Instant>> {
        self.limiter.check_key(&share)?;
        // A refusal makes no bucket: a new one has a token.
        if self.until_sweep.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.sweep();
        }
        Ok(())
    }

    fn sweep(&self) {
        self.limiter.retain_recent();
        // A sweep costs what the table could hold, not what it holds.
        self.limiter.shrink_to_fit();
        let next = self.limiter.len().max(SWEEP);
        self.until_sweep.store(isize::try_from(next).unwrap_or(isize::MAX), Ordering::Relaxed);
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.limiter.len()
    }
}
