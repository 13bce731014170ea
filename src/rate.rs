//! Rates: how often a caller may call, and how often a share may sign.
//!
//! Each caller and each share has a token bucket of its own. A bucket holds
//! `burst` tokens at most, and gets one back per interval; what finds it empty is
//! refused, with the time after which there is a token again. Nothing waits.
//!
//! ```text
//!  a call             ─▶ gate: one of its caller's
//!  Sign               ─▶ … policy permits ─▶ one of the share's ─▶ fetch
//!  a frame to be signed ─▶ one of its caller's ─▶ policy permits ─▶ one of the share's
//! ```
//! A token is taken for an attempt and never given back: a call that the share's
//! rate refuses has spent its caller's token, and one that its caller's rate
//! refuses takes none of the share's.
//!
//! Buckets are this process's: several enclaves allow the sum of their rates.
#![forbid(unsafe_code)]

mod share_buckets;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

pub use governor::Quota;
use governor::{
    NotUntil, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

use crate::{
    caller::{Caller, Callers},
    key::ShareId,
    telemetry::Metrics,
};
use share_buckets::ShareBuckets;

/// The configured rates; none is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Of each caller that has no rate of its own: calls, and frames to be signed.
    pub caller: Option<Quota>,
    /// Of each share: signatures.
    pub share: Option<Quota>,
}

/// The buckets of one process. Cheap to clone; clones take from the same.
#[derive(Clone)]
pub struct Rates<C: Clock = MonotonicClock>(Arc<Buckets<C>>);

struct Buckets<C: Clock> {
    clock: C,
    /// By name, which no two callers share, so that a caller has one bucket by
    /// whichever of its identities it comes.
    callers: HashMap<Box<str>, Bucket<C>>,
    shares: Option<ShareBuckets<C>>,
    metrics: Metrics,
}

type Bucket<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A bucket was empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("faster than the rate of this {limit}: the next token comes in {wait:?}")]
pub struct TooFast {
    /// Whose bucket.
    pub limit: Limit,
    /// When it has a token again, in whole milliseconds and at least one: after
    /// this time the same call finds it, unless another one took it.
    pub wait: Duration,
}

/// Whose rate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// A caller's.
    Caller,
    /// A share's.
    Share,
}

impl Rates {
    /// Full buckets.
    pub fn new(callers: &Callers, limits: RateLimits, metrics: Metrics) -> Self {
        Self::with_clock(callers, limits, metrics, &MonotonicClock)
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with_clock(callers: &Callers, limits: RateLimits, metrics: Metrics, clock: &C) -> Self {
        let bucket = |caller: &Caller| {
            let quota = caller.rate.or(limits.caller)?;
            let bucket = RateLimiter::direct_with_clock(quota, clock.clone());
            Some((caller.name.clone(), bucket))
        };
        Self(Arc::new(Buckets {
            clock: clock.clone(),
            callers: callers.iter().filter_map(bucket).collect(),
            shares: limits.share.map(|quota| ShareBuckets::new(quota, clock.clone())),
            metrics,
        }))
    }

    /// Takes one token of a caller: for a call, or for a frame that is to be signed.
    ///
    /// # Errors
    /// There is none.
    pub fn take_call(&self, caller: &Caller) -> Result<(), TooFast> {
        let Some(bucket) = self.0.callers.get(&caller.name) else {
            return Ok(());
        };
        bucket.check().map_err(|until| self.refuse(Limit::Caller, &until))
    }

    /// Takes one token of a share that exists and that policy lets sign: others
    /// must not take memory for a bucket.
    ///
    /// # Errors
    /// There is none.
    pub fn take_signature(&self, share: ShareId) -> Result<(), TooFast> {
        let Some(shares) = &self.0.shares else {
            return Ok(());
        };
        shares.take(share).map_err(|until| self.refuse(Limit::Share, &until))
    }

    fn refuse(&self, limit: Limit, until: &NotUntil<C::Instant>) -> TooFast {
        self.0.metrics.too_fast(limit);
        let wait = until.wait_time_from(self.0.clock.now());
        let millis = wait.as_nanos().div_ceil(1_000_000).max(1);
        TooFast { limit, wait: Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)) }
    }
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 2] = [Self::Caller, Self::Share];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Share => "share",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
