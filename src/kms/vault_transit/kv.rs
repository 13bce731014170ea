//! A KV engine of version 2, for [`crate::store::vault_kv`]: the same sessions, retries,
//! failover and TLS as for Transit.
//!
//! It runs where it is called and not on the secret thread, with connections of its own:
//! what it carries is ciphertext, and its token opens nothing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use super::{
    KmsError, Login, Server, SettingsError,
    answer::Answer,
    breaker::Breaker,
    names,
    retry::Retries,
    session::Session,
    token::Token,
    transport::{KvMethod, Request, Transport},
};

/// How long a call takes at most, with its retries and over all addresses.
const WITHIN: Duration = Duration::from_secs(10);
/// How long a shutdown waits for Vault to revoke the token.
const REVOKE_WITHIN: Duration = Duration::from_secs(2);

/// The way to a KV engine, logged in.
pub(crate) struct Kv {
    transport: Arc<Transport>,
    session: Session,
    retries: Retries,
    breaker: Breaker,
}

/// What Vault said.
pub(crate) enum Said {
    /// The answer, and its body.
    Done(Zeroizing<Vec<u8>>),
    /// There is no such secret, or it was deleted.
    Nothing,
    /// There is nothing that could answer: no engine is mounted there.
    NoMount,
    /// The engine was just mounted, and does not serve yet.
    Busy,
    /// Another version was written since.
    CasMismatch,
    /// The request is refused for another reason, which Vault's own log has.
    Refused,
}

impl Kv {
    /// Begins to log in, in a task of the current runtime. Reaches nothing yet.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub(crate) fn begin(server: &Server, login: Login) -> Result<Self, SettingsError> {
        login.mount().map(names::login_mount).transpose()?;
        let transport = Arc::new(Transport::new(server)?);
        let session = Session::begin("store", login, Arc::clone(&transport));
        let (retries, breaker) = (Retries::default(), Breaker::default());
        Ok(Self { transport, session, retries, breaker })
    }

    pub(crate) async fn read(&self, path: &str) -> Result<Said, KmsError> {
        self.call("read", KvMethod::Read, path, Bytes::new()).await
    }

    pub(crate) async fn list(&self, path: &str) -> Result<Said, KmsError> {
        self.call("list", KvMethod::List, &format!("{path}?list=true"), Bytes::new()).await
    }

    /// Tried again where a retry can help: a write that has its version in it happens once.
    pub(crate) async fn write(&self, path: &str, body: Vec<u8>) -> Result<Said, KmsError> {
        self.call("write", KvMethod::Write, path, body.into()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Said, KmsError> {
        self.call("delete", KvMethod::Delete, path, Bytes::new()).await
    }

    /// Vault's health, and whether the login stands.
    pub(crate) async fn status(&self) -> Result<(), KmsError> {
        let deadline = Instant::now() + WITHIN;
        self.transport.send(&Request::health(), deadline).await.map_err(|failure| failure.error)?;
        self.session.status(deadline).await
    }

    /// Gives the token back.
    pub(crate) async fn close(&self) {
        if timeout(REVOKE_WITHIN, self.session.close()).await.is_err() {
            tracing::warn!("Vault did not revoke the store's token in time: it expires");
        }
    }

    async fn call(
        &self,
        operation: &'static str,
        method: KvMethod,
        path: &str,
        body: Bytes,
    ) -> Result<Said, KmsError> {
        let started = Instant::now();
        let deadline = started + WITHIN;
        self.breaker.admit(started)?;
        let attempt = |token: Arc<Token>| {
            let body = body.clone();
            async move {
                let request = Request::kv(operation, method, path, &token, body);
                self.transport.send(&request, deadline).await
            }
        };
        let answer = self.retries.run(&self.session, deadline, attempt).await;
        self.breaker.record(answer.as_ref().err(), started, Instant::now());
        Ok(Said::of(answer?))
    }
}

impl Said {
    fn of(answer: Answer) -> Self {
        /// A missing secret has no errors, or data that says when it was deleted.
        #[derive(Deserialize)]
        struct Errors {
            #[serde(default)]
            errors: Vec<String>,
        }
        let errors = serde_json::from_slice::<Errors>(&answer.body);
        match (answer.status, errors) {
            (StatusCode::NOT_FOUND, Ok(Errors { errors })) if errors.is_empty() => Self::Nothing,
            (StatusCode::NOT_FOUND, _) => Self::NoMount,
            (StatusCode::BAD_REQUEST, Ok(Errors { errors }))
                if errors.iter().any(|error| error.contains("check-and-set parameter did not")) =>
            {
                Self::CasMismatch
            }
            (StatusCode::BAD_REQUEST, Ok(Errors { errors }))
                if errors.iter().any(|error| error.contains("Upgrading from non-versioned")) =>
            {
                Self::Busy
            }
            (StatusCode::BAD_REQUEST, _) => Self::Refused,
            _ => Self::Done(answer.body),
        }
    }
}
