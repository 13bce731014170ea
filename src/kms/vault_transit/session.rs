//! A role's token: logged in, renewed and replaced by one task, so that there is
//! one login at a time however many calls want a token.
//!
//! ```text
//!          ┌──── ⅔ of the lease: renew ────┐
//!          ▼                               │
//!  login ─▶ token ─── lease shrinks, renewal refused, not renewable ──▶ login
//!    ▲       │
//!    │       └── a call is refused: the dead token is dropped ──▶ login
//!    └─ backoff ─ failure: remembered, and the answer to whoever asks meanwhile
//! ```
//! A token that still works is kept until the new one is there, and revoked once
//! the calls that took it are over.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use tokio::{
    select,
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    KmsError, KmsErrorKind, Login, login, retry::spread, token::Token, transport::Transport,
};

/// The pause after the first failed login, doubled after each further one …
const BACKOFF: Duration = Duration::from_millis(250);
/// … up to this, so that a login works again soon after its cause is gone.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// The pause after a panic, which is a bug, that may be there again at once.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// A token younger than this has every right that a new one would have; an older
/// one may lack what its role was given since.
const STALE: Duration = Duration::from_secs(30);
/// The most replaced tokens that wait to be revoked. Where leases are so short
/// that there are more, those expire soon enough.
const REPLACED_MAX: usize = 4;

/// A role's session. Its task ends with it.
pub(super) struct Session {
    inner: Arc<Inner>,
    task: AbortHandle,
}

struct Inner {
    /// The name of whose it is.
    role: &'static str,
    login: Login,
    transport: Arc<Transport>,
    state: watch::Sender<State>,
    wake: Notify,
    /// A call wants a new login although the token lives.
    wanted: AtomicBool,
}

#[derive(Clone, Default)]
struct State {
    token: Option<Arc<Token>>,
    /// What the last login failed with, when there is no token.
    failure: Option<KmsError>,
    /// Counts the logins and renewals that have ended.
    attempts: u64,
    /// The token that Vault refused last: a file that still holds it is no news.
    dead: Option<Arc<Token>>,
    /// Tokens that were replaced and are not revoked yet.
    replaced: Vec<Arc<Token>>,
    closed: bool,
}

/// How long a token lives yet.
pub(super) enum Remaining {
    /// There is none.
    None,
    /// Somebody else keeps it alive.
    Unknown,
    /// So long.
    For(Duration),
}

impl Session {
    /// Begins to log in, in a task of the current runtime.
    pub(super) fn begin(role: &'static str, login: Login, transport: Arc<Transport>) -> Self {
        let inner = Arc::new(Inner {
            role,
            login,
            transport,
            state: watch::Sender::default(),
            wake: Notify::new(),
            wanted: AtomicBool::new(false),
        });
        let task = tokio::spawn(Arc::clone(&inner).run()).abort_handle();
        Self { inner, task }
    }

    /// The token, waiting for a login that is under way.
    pub(super) async fn token(&self, deadline: Instant) -> Result<Arc<Token>, KmsError> {
        let mut state = self.inner.state.subscribe();
        let settled = state.wait_for(|state| state.usable().is_some() || state.failure.is_some());
        match timeout_at(deadline, settled).await {
            Ok(Ok(state)) => state.usable().ok_or_else(|| self.inner.failure(&state)),
            _ => Err(self.inner.failed(KmsErrorKind::Timeout, "is still under way")),
        }
    }

    /// Asks for another token than `refused`, and says whether there is one.
    /// However many calls were refused, they share one login.
    pub(super) async fn replace(
        &self,
        refused: &Arc<Token>,
        dead: bool,
        deadline: Instant,
    ) -> Result<bool, KmsError> {
        let is_current = |state: &State| {
            let token = state.token.as_ref();
            token.is_some_and(|token| Arc::ptr_eq(token, refused))
        };
        if !dead && refused.age() < STALE {
            return Ok(!is_current(&self.inner.state.borrow()));
        }
        let mut state = self.inner.state.subscribe();
        let attempts = state.borrow().attempts;
        self.inner.state.send_if_modified(|state| {
            let drop = dead && is_current(state);
            if drop {
                state.dead = state.token.take();
                state.failure = None;
            }
            drop
        });
        if !dead && is_current(&state.borrow()) {
            self.inner.wanted.store(true, Ordering::Release);
        }
        self.inner.wake.notify_one();
        let settled = state.wait_for(|state| {
            let other = state.token.is_some() && !is_current(state);
            other || state.failure.is_some() || (!dead && state.attempts > attempts)
        });
        match timeout_at(deadline, settled).await {
            Ok(Ok(state)) if dead && state.token.is_none() => Err(self.inner.failure(&state)),
            Ok(Ok(state)) => Ok(!is_current(&state)),
            _ => Err(self.inner.failed(KmsErrorKind::Timeout, "is still under way")),
        }
    }

    /// Whether there is a token, waiting for a login that is under way, such as
    /// the first.
    pub(super) async fn status(&self, deadline: Instant) -> Result<(), KmsError> {
        self.token(deadline).await.map(drop)
    }

    /// How long its token lives yet.
    pub(super) fn remaining(&self) -> Remaining {
        match self.inner.state.borrow().usable() {
            None => Remaining::None,
            Some(token) => token.remaining().map_or(Remaining::Unknown, Remaining::For),
        }
    }

    /// Ends the session and gives its tokens back.
    pub(super) async fn close(&self) {
        self.task.abort();
        let state = self.inner.state.send_replace(State {
            failure: Some(self.inner.failed(KmsErrorKind::Login, "is closed")),
            closed: true,
            ..State::default()
        });
        let tokens = state.token.iter().chain(&state.replaced);
        join_all(tokens.map(|token| self.inner.revoke(token))).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn usable(&self) -> Option<Arc<Token>> {
        self.token.clone().filter(|token| !token.is_expired())
    }
}

impl Inner {
    /// Keeps the token for as long as the session lasts. A role whose task has
    /// panicked would never log in again, and so the task begins anew.
    async fn run(self: Arc<Self>) {
        while AssertUnwindSafe(self.keep()).catch_unwind().await.is_err() {
            tracing::error!(role = self.role, "Vault session panicked");
            self.state.send_modify(|state| {
                state.attempts += 1;
                if state.usable().is_none() {
                    state.failure = Some(self.failed(KmsErrorKind::Login, "panicked"));
                }
            });
            sleep(AFTER_PANIC).await;
        }
    }

    async fn keep(self: &Arc<Self>) {
        let mut backoff = BACKOFF;
        loop {
            let current = self.state.borrow().token.clone();
            let result = match &current {
                None => self.log_in().await,
                Some(token) => {
                    let due = token.due(spread());
                    select! {
                        () = self.wake.notified() => {
                            let dropped = self.state.borrow().token.is_none();
                            if !self.wanted.swap(false, Ordering::AcqRel) && !dropped {
                                continue;
                            }
                            self.log_in().await
                        }
                        () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                            self.prolong(token).await
                        }
                    }
                }
            };
            match result {
                Ok(token) => {
                    backoff = BACKOFF;
                    if let Some(replaced) = self.put(Arc::new(token)) {
                        tokio::spawn(Arc::clone(self).retire(replaced));
                    }
                }
                Err(error) => {
                    let role = self.role;
                    tracing::warn!(role, %error, "Vault login failed");
                    let mut pause = backoff.mul_f64(1.0 - spread() / 4.0);
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    self.state.send_modify(|state| {
                        state.attempts += 1;
                        match state.usable() {
                            // Nobody has to be told yet, and nobody will be, if
                            // a login succeeds as soon as the token has expired.
                            Some(token) => pause = pause.min(token.remaining().unwrap_or(pause)),
                            None => state.failure = Some(error),
                        }
                    });
                    sleep(pause).await;
                }
            }
        }
    }

    async fn log_in(&self) -> Result<Token, KmsError> {
        let token = login::login(&self.login, &self.transport).await?;
        let is_dead = {
            let state = self.state.borrow();
            state.dead.as_ref().is_some_and(|dead| dead.is_same(&token))
        };
        if is_dead {
            return Err(self.failed(KmsErrorKind::Login, "gives the token that Vault refused"));
        }
        tracing::info!(role = self.role, "Vault login succeeded");
        Ok(token)
    }

    /// Renews a token, or logs in anew where renewing does not help. A renewal
    /// that Vault could not answer is tried again while the token lives.
    async fn prolong(&self, token: &Arc<Token>) -> Result<Token, KmsError> {
        if !token.renewable || token.is_expired() {
            return self.log_in().await;
        }
        let role = self.role;
        match login::renew(token, &self.transport).await {
            Ok(renewed) if renewed.is_expired() => {
                self.drop(token);
                self.log_in().await
            }
            Ok(renewed) if renewed.nears_its_end() => match self.log_in().await {
                Ok(token) => Ok(token),
                Err(error) => {
                    // What the renewal gave is better than nothing, for as long
                    // as it lasts.
                    tracing::warn!(role, %error, "Vault login failed, the old token lives on");
                    Ok(renewed)
                }
            },
            Ok(renewed) => Ok(renewed),
            Err(error) => match error.kind {
                KmsErrorKind::Unreachable
                | KmsErrorKind::Timeout
                | KmsErrorKind::Tls
                | KmsErrorKind::Redirected
                | KmsErrorKind::Sealed
                | KmsErrorKind::RateLimited => Err(error),
                // A token at its maximum gets anything from 400 to 500.
                _ => {
                    tracing::info!(role, %error, "Vault token was not renewed");
                    self.log_in().await
                }
            },
        }
    }

    /// Gives a token to nobody any more.
    fn drop(&self, token: &Arc<Token>) {
        self.state.send_modify(|state| {
            state.token.take_if(|current| Arc::ptr_eq(current, token));
        });
    }

    /// Gives out a token from now on. The one that it replaces is returned if it
    /// is another and is to be retired.
    fn put(&self, token: Arc<Token>) -> Option<Arc<Token>> {
        let mut replaced = None;
        self.state.send_modify(|state| {
            if state.closed {
                return;
            }
            state.attempts += 1;
            state.failure = None;
            if state.replaced.len() < REPLACED_MAX {
                replaced = state.usable().filter(|old| !old.is_same(&token));
                state.replaced.extend(replaced.clone());
            }
            state.token = Some(token);
        });
        replaced
    }

    /// Revokes a replaced token when the calls that took it have had their time;
    /// one that takes longer is repeated with the new token.
    async fn retire(self: Arc<Self>, token: Arc<Token>) {
        sleep(self.transport.timeout()).await;
        let mut is_left = false;
        self.state.send_if_modified(|state| {
            let before = state.replaced.len();
            state.replaced.retain(|other| !Arc::ptr_eq(other, &token));
            is_left = state.replaced.len() < before;
            false
        });
        // Closing revokes those that it finds.
        if is_left {
            self.revoke(&token).await;
        }
    }

    /// Ends a token as well as can be: one that cannot be revoked expires.
    async fn revoke(&self, token: &Token) {
        if !token.revocable || token.is_expired() {
            return;
        }
        if let Err(error) = login::revoke(token, &self.transport).await {
            tracing::warn!(role = self.role, %error, "Vault token was not revoked");
        }
    }

    fn failure(&self, state: &State) -> KmsError {
        state
            .failure
            .clone()
            .unwrap_or_else(|| self.failed(KmsErrorKind::Login, "has not succeeded yet"))
    }

    fn failed(&self, kind: KmsErrorKind, problem: &str) -> KmsError {
        KmsError::new(kind, format!("the {} login {problem}", self.role))
    }
}
