//! Fails fast while Vault is down.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{KmsError, KmsErrorKind};

/// Consecutive failures that open it. Each is a call with its retries, so that
/// one lost connection does not.
const FAILURES: u32 = 5;
/// How long it stays open: below the time in which an operator would notice.
const OPEN: Duration = Duration::from_secs(1);
/// A call that ran out of time sooner says more about its caller's deadline than
/// about Vault.
const PATIENCE: Duration = Duration::from_secs(1);

/// A circuit breaker. Open, it lets one call through per [`OPEN`], as a probe;
/// what that call finds closes it or keeps it open. Only failures to serve count:
/// a refusal is an answer.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    last: Option<KmsErrorKind>,
    probe_at: Option<Instant>,
}

impl Breaker {
    /// Lets a call through, or refuses it with the kind that opened the breaker.
    pub(super) fn admit(&self, now: Instant) -> Result<(), KmsError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(kind), Some(probe_at)) = (state.last, state.probe_at) else {
            return Ok(());
        };
        if now >= probe_at {
            // This call is the probe. Should it be cancelled, the next follows
            // after the same time.
            state.probe_at = Some(now + OPEN);
            return Ok(());
        }
        Err(KmsError {
            kind,
            retry_after: Some(probe_at - now),
            detail: format!("not tried: Vault failed {} times in a row", state.failures),
        })
    }

    /// Takes note of how a call ended that was let through at `started`.
    pub(super) fn record(&self, error: Option<&KmsError>, started: Instant, now: Instant) {
        let timed_out = error.is_some_and(|error| error.kind == KmsErrorKind::Timeout);
        if timed_out && now - started < PATIENCE {
            return;
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let down = error.map(|error| error.kind).filter(|kind| {
            matches!(
                kind,
                KmsErrorKind::Unreachable
                    | KmsErrorKind::Timeout
                    | KmsErrorKind::Tls
                    | KmsErrorKind::Redirected
                    | KmsErrorKind::Sealed
                    | KmsErrorKind::Unavailable
            )
        });
        match down {
            None => *state = State::default(),
            Some(kind) => {
                state.failures = state.failures.saturating_add(1);
                state.last = Some(kind);
                if state.failures >= FAILURES {
                    state.probe_at = Some(now + OPEN);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> KmsError {
        KmsError::new(KmsErrorKind::Sealed, "")
    }

    fn open(breaker: &Breaker, now: Instant) {
        for _ in 0..FAILURES {
            breaker.admit(now).unwrap();
            breaker.record(Some(&down()), now, now);
        }
    }

    #[test]
    fn it_opens_probes_and_closes() {
        let breaker = Breaker::default();
        let now = Instant::now();
        open(&breaker, now);
        let refused = breaker.admit(now).unwrap_err();
        assert_eq!(refused.kind, KmsErrorKind::Sealed);
        assert_eq!(refused.retry_after, Some(OPEN));

        let now = now + OPEN;
        breaker.admit(now).unwrap();
        breaker.admit(now).unwrap_err();
        breaker.record(Some(&down()), now, now);
        breaker.admit(now).unwrap_err();

        let now = now + OPEN;
        breaker.admit(now).unwrap();
        breaker.record(None, now, now);
        breaker.admit(now).unwrap();
        breaker.admit(now).unwrap();
    }

    #[test]
    fn a_cancelled_probe_is_followed_by_another() {
        let breaker = Breaker::default();
        let now = Instant::now();
        open(&breaker, now);
        breaker.admit(now + OPEN).unwrap();
        breaker.admit(now + OPEN).unwrap_err();
        breaker.admit(now + OPEN * 2).unwrap();
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..FAILURES * 2 {
            breaker.admit(now).unwrap();
            breaker.record(Some(&KmsError::new(KmsErrorKind::Denied, "")), now, now);
        }
    }

    #[test]
    fn an_impatient_caller_does_not_open_it() {
        let breaker = Breaker::default();
        let timeout = KmsError::new(KmsErrorKind::Timeout, "");
        let now = Instant::now();
        for _ in 0..FAILURES * 2 {
            breaker.admit(now).unwrap();
            breaker.record(Some(&timeout), now, now);
        }
        let later = now + PATIENCE;
        for _ in 0..FAILURES {
            breaker.record(Some(&timeout), now, later);
        }
        breaker.admit(later).unwrap_err();
    }
}
