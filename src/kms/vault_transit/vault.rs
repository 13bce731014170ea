//! Everything that speaks to Vault. It lives on a thread of its own, and with it
//! every token, every DEK that Vault sends and every buffer that they pass through.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{
    KmsError, KmsErrorKind, Login, Role, Settings, SettingsError,
    answer::Answer,
    breaker::Breaker,
    retry::Retries,
    session::Session,
    token::Token,
    transit,
    transport::{Request, Transport},
};
use crate::{
    enclave::{Dek, Slot},
    envelope::{KekContext, KekRef, WrappedDek},
};

/// How long a shutdown waits for Vault to revoke the tokens.
const REVOKE_WITHIN: Duration = Duration::from_secs(2);

/// Vault, ready to be spoken to; nobody has logged in yet.
pub(super) struct LoggedOut {
    kek: KekRef,
    transport: Transport,
    logins: [(Role, Option<Login>); 3],
}

/// Vault and who is logged in.
pub(super) struct Vault {
    kek: KekRef,
    transport: Arc<Transport>,
    retries: Retries,
    breaker: Breaker,
    sessions: Vec<(Role, Session)>,
}

impl LoggedOut {
    /// Reaches nothing, and holds nothing that is secret.
    pub(super) fn new(kek: KekRef, settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            kek,
            transport: Transport::new(&settings.server())?,
            logins: [
                (Role::Signer, settings.signer),
                (Role::Custodian, settings.custodian),
                (Role::Rotator, settings.rotator),
            ],
        })
    }

    /// Begins to log in, in tasks of the current runtime.
    pub(super) fn log_in(self) -> Vault {
        let transport = Arc::new(self.transport);
        let begin = |(role, login): (Role, Option<Login>)| {
            Some((role, Session::begin(role.as_str(), login?, Arc::clone(&transport))))
        };
        Vault {
            kek: self.kek,
            retries: Retries::default(),
            breaker: Breaker::default(),
            sessions: self.logins.into_iter().filter_map(begin).collect(),
            transport,
        }
    }
}

impl Vault {
    /// The DEK is wiped as soon as its wrapping is known, or is not to be had.
    pub(super) async fn wrap(
        &self,
        context: &KekContext,
        dek: Dek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        let body = transit::encrypt_body(context, &dek)?;
        drop(dek);
        let answer = self.call(Role::Custodian, "encrypt", body, deadline).await?;
        transit::wrapped_dek(&answer)
    }

    /// The DEK in its slot, and Vault's request id, empty where it gave none.
    pub(super) async fn unwrap(
        &self,
        context: &KekContext,
        wrapped: &WrappedDek,
        slot: Slot,
        deadline: Instant,
    ) -> Result<(Dek, Box<str>), KmsError> {
        let body = transit::ciphertext_body(context, wrapped)?;
        let answer = self.call(Role::Signer, "decrypt", body, deadline).await?;
        transit::unwrapped(&answer, slot)
    }

    pub(super) async fn rewrap(
        &self,
        context: &KekContext,
        wrapped: &WrappedDek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        let body = transit::ciphertext_body(context, wrapped)?;
        let answer = self.call(Role::Rotator, "rewrap", body, deadline).await?;
        transit::wrapped_dek(&answer)
    }

    /// Vault's health and whether every configured login stands. The health
    /// endpoint needs no token and is not audited.
    pub(super) async fn status(&self, deadline: Instant) -> Result<(), KmsError> {
        self.transport.send(&Request::health(), deadline).await.map_err(|failure| failure.error)?;
        for (_, session) in &self.sessions {
            session.status(deadline).await?;
        }
        Ok(())
    }

    /// Gives the tokens back.
    pub(super) async fn log_out(&self) {
        let revoking = join_all(self.sessions.iter().map(|(_, session)| session.close()));
        if timeout(REVOKE_WITHIN, revoking).await.is_err() {
            tracing::warn!("Vault did not revoke every token in time: the rest expire");
        }
    }

    /// One Transit operation as `role`, with everything that can save it.
    async fn call(
        &self,
        role: Role,
        operation: &'static str,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Answer, KmsError> {
        let session = self.sessions.iter().find(|(of, _)| *of == role);
        let (_, session) = session.ok_or_else(|| {
            let detail = format!("no {} login is configured", role.as_str());
            KmsError::new(KmsErrorKind::NoLogin, detail)
        })?;
        let started = Instant::now();
        if started >= deadline {
            let detail = format!("transit/{operation} was not tried: the deadline is past");
            return Err(KmsError::new(KmsErrorKind::Timeout, detail));
        }
        self.breaker.admit(started)?;
        let path = format!("{}/{operation}/{}", self.kek.mount(), self.kek.name());
        let attempt = |token: Arc<Token>| {
            let (path, body) = (path.as_str(), body.clone());
            async move {
                let request = Request::transit(operation, path, &token, body);
                self.transport.send(&request, deadline).await
            }
        };
        let result = self.retries.run(session, deadline, attempt).await;
        self.breaker.record(result.as_ref().err(), started, Instant::now());
        result
    }
}
