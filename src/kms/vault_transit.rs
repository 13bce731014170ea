//! Vault or OpenBao: the KEK is a derived Transit key that never leaves the
//! server.
//!
//! ```text
//!            ┌ breaker: fails fast while Vault is down
//!  unwrap ─▶ │ session: the signer's token, kept alive by a task of its own
//!  wrap      │ transport: one HTTPS client, TLS 1.3, private CA, address failover
//!  rewrap    └ retry: what a retry can help, within deadline and budget
//! ```
//! - The record is bound by the derivation `context`, one item a request, so
//!   that a Vault policy can pin it ([`policy::hcl`]).
//! - Each role has a login of its own; a role without one has no rights here.
//! - A redirect is never followed: the token goes to configured addresses only.
//! - Nothing that the server says is put into an error or a log: an answer
//!   becomes a status and a coarse class.
#![forbid(unsafe_code)]

mod answer;
mod authority;
mod breaker;
pub mod client;
mod failover;
mod login;
pub(crate) mod names;
pub mod policy;
mod retry;
mod session;
mod settings;
mod token;
mod transit;
mod transport;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{Kms, KmsError, KmsErrorKind, Unwrapped, require_kek};
use crate::{
    enclave::{Dek, Slot},
    envelope::{KekContext, KekRef, WrappedDek},
    permitted::PermittedDek,
};
use answer::Answer;
use breaker::Breaker;
use retry::Retries;
use session::Session;
use token::Token;
use transport::{Request, Transport};

pub use settings::{Login, Settings, SettingsError, Timeouts};

/// The provider's name in KEK references.
pub const PROVIDER: &str = "vault-transit";

/// How long a shutdown waits for Vault to revoke the tokens.
const REVOKE_WITHIN: Duration = Duration::from_secs(2);

/// Who logs in to Vault, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Unwraps DEKs: `transit/decrypt`.
    Signer,
    /// Wraps new DEKs: `transit/encrypt`.
    Custodian,
    /// Wraps wrapped DEKs anew: `transit/rewrap`.
    Rotator,
}

/// Vault Transit.
pub struct VaultTransit {
    kek: KekRef,
    transport: Arc<Transport>,
    retries: Retries,
    breaker: Breaker,
    signer: Option<Session>,
    custodian: Option<Session>,
    rotator: Option<Session>,
}

// === impl Role ===

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Signer, Self::Custodian, Self::Rotator];

    /// The role's name in configuration, logs and policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signer => "signer",
            Self::Custodian => "custodian",
            Self::Rotator => "rotator",
        }
    }
}

// === impl VaultTransit ===

impl VaultTransit {
    /// Checks the settings and begins to log in. Reaches nothing yet: a Vault
    /// that is down at start is reported by [`Kms::status`] and by each call.
    ///
    /// Runs in the current Tokio runtime, which has to outlive the value.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn start(settings: Settings) -> Result<Self, SettingsError> {
        let kek = settings.check()?;
        let transport = Arc::new(Transport::new(&settings)?);
        let begin = |role, login: Option<Login>| {
            login.map(|login| Session::begin(role, login, Arc::clone(&transport)))
        };
        Ok(Self {
            kek,
            retries: Retries::default(),
            breaker: Breaker::default(),
            signer: begin(Role::Signer, settings.signer),
            custodian: begin(Role::Custodian, settings.custodian),
            rotator: begin(Role::Rotator, settings.rotator),
            transport,
        })
    }

    fn session(&self, role: Role) -> Option<&Session> {
        match role {
            Role::Signer => self.signer.as_ref(),
            Role::Custodian => self.custodian.as_ref(),
            Role::Rotator => self.rotator.as_ref(),
        }
    }

    fn sessions(&self) -> impl Iterator<Item = &Session> {
        Role::ALL.into_iter().filter_map(|role| self.session(role))
    }

    /// One Transit operation as `role`, with everything that can save it.
    async fn call(
        &self,
        role: Role,
        operation: &'static str,
        body: bytes::Bytes,
        deadline: Instant,
    ) -> Result<Answer, KmsError> {
        let session = self.session(role).ok_or_else(|| {
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
                let request = Request::post(operation, path, &token, body);
                self.transport.send(&request, deadline).await
            }
        };
        let result = self.retries.run(session, deadline, attempt).await;
        self.breaker.record(result.as_ref().err(), started, Instant::now());
        result
    }
}

#[async_trait]
impl Kms for VaultTransit {
    fn kek(&self) -> &KekRef {
        &self.kek
    }

    async fn wrap(
        &self,
        context: &KekContext,
        dek: &Dek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        let body = transit::encrypt_body(context, dek);
        let answer = self.call(Role::Custodian, "encrypt", body, deadline).await?;
        transit::wrapped_dek(&answer)
    }

    async fn unwrap(
        &self,
        dek: PermittedDek<'_>,
        slot: Slot,
        deadline: Instant,
    ) -> Result<Unwrapped, KmsError> {
        require_kek(&self.kek, &dek)?;
        let body = transit::ciphertext_body(&dek.context(), dek.wrapped())?;
        let answer = self.call(Role::Signer, "decrypt", body, deadline).await?;
        transit::unwrapped(&answer, slot)
    }

    async fn rewrap(
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
    async fn status(&self, deadline: Instant) -> Result<(), KmsError> {
        self.transport.send(&Request::health(), deadline).await.map_err(|failure| failure.error)?;
        for session in self.sessions() {
            session.status(deadline).await?;
        }
        Ok(())
    }

    async fn close(&self) {
        let revoking = join_all(self.sessions().map(Session::close));
        if timeout(REVOKE_WITHIN, revoking).await.is_err() {
            tracing::warn!("Vault did not revoke every token in time: the rest expire");
        }
    }
}
