//! What is tried again, how often and when.
//!
//! | outcome                                   | tried again                       |
//! |-------------------------------------------|-----------------------------------|
//! | no connection, no answer in time, 502, 504, 412, redirect | twice             |
//! | 500                                       | once                              |
//! | 503, sealed or without an active node     | once                              |
//! | 429                                       | twice, after `Retry-After`        |
//! | 403, the token is not valid               | once, after a new login           |
//! | 403, permission denied                    | the same, unless the token is new |
//! | any other 4xx, a bad certificate          | never                             |
//!
//! One try is a pass over the addresses: what another node may answer, namely no
//! connection, a bad certificate, no answer in time, a redirect and 503, has been
//! asked of each.
//!
//! Transit operations leave nothing behind, so a repetition costs one line in
//! Vault's audit log. A retry begins before the deadline or not at all, and is
//! cut off by it. A budget of a fifth of the calls, and two retries a second
//! besides, keeps an outage from being amplified; the repetition after a new
//! login is not charged to it, since there is one a call and no outage in it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tower::retry::budget::{Budget, TpsBudget};

use super::{
    KmsError,
    answer::{Failure, Repeat},
    session::Session,
    token::Token,
};

/// The most retries of a call.
const MOST: u32 = 2;
/// The pause before the first retry; the second waits twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// The retry policy and its budget.
pub(super) struct Retries {
    budget: TpsBudget,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            // Ten seconds of memory, two retries a second for who calls rarely.
            budget: TpsBudget::new(Duration::from_secs(10), 2, 0.2),
        }
    }
}

impl Retries {
    /// Calls `attempt` with the session's token until it succeeds or no retry
    /// can help.
    pub(super) async fn run<T, F>(
        &self,
        session: &Session,
        deadline: Instant,
        attempt: impl Fn(Arc<Token>) -> F,
    ) -> Result<T, KmsError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.budget.deposit();
        let mut retries = 0;
        let mut logged_in_anew = false;
        loop {
            let token = session.token(deadline).await?;
            let failure = match attempt(Arc::clone(&token)).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let most = match failure.repeat {
                Repeat::Never => 0,
                Repeat::Once | Repeat::Elsewhere => 1,
                Repeat::Twice => MOST,
                Repeat::WithNewToken { dead } if !logged_in_anew => {
                    logged_in_anew = true;
                    if session.replace(&token, dead, deadline).await? {
                        continue;
                    }
                    0
                }
                Repeat::WithNewToken { .. } => 0,
            };
            let pause = failure
                .error
                .retry_after
                .unwrap_or_else(|| (PAUSE * 2_u32.pow(retries)).mul_f64(0.5 + spread() / 2.0));
            let in_time = Instant::now() + pause < deadline;
            if retries >= most || !in_time || !self.budget.withdraw() {
                return Err(failure.error);
            }
            retries += 1;
            sleep(pause).await;
        }
    }
}

/// A random number from 0 to 1, so that many processes do not act at once.
pub(super) fn spread() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
