//! Everything that speaks to Vault. It lives on a thread of its own, and with it
//! every token, every DEK that Vault sends and every buffer that they pass through.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{
    BoundDek, KekVersions, KmsError, KmsErrorKind, KmsLogin, Login, Role, Settings, SettingsError,
    answer::Answer,
    batch::{self, Batch},
    breaker::Breaker,
    key,
    retry::Retries,
    session::{Remaining, Session},
    token::Token,
    transit,
    transport::{Kind, Request, Transport},
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

/// A request about the key, and as whom.
struct Call {
    role: Role,
    kind: Kind,
    operation: &'static str,
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
        let answer = self.one(Role::Custodian, "encrypt", body, deadline).await?;
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
        let answer = self.one(Role::Signer, "decrypt", body, deadline).await?;
        transit::unwrapped(&answer, slot)
    }

    /// What is not of Vault's form is not sent.
    pub(super) async fn rewrap(
        &self,
        deks: &[BoundDek],
        deadline: Instant,
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
        let batch = Batch::of(deks)?;
        let rewrapped = match batch.body() {
            None => Vec::new(),
            Some(body) => {
                let path = self.path("rewrap");
                let call = Call { role: Role::Rotator, kind: Kind::Batch, operation: "rewrap" };
                batch::rewrapped(&self.call(call, &path, body, deadline).await?)?
            }
        };
        batch.join(rewrapped)
    }

    /// For a login that reads the key: the rotator's, or the signer's where that is
    /// the one there is.
    pub(super) async fn versions(&self, deadline: Instant) -> Result<KekVersions, KmsError> {
        let has = |role| self.sessions.iter().any(|(of, _)| *of == role);
        let role = if has(Role::Rotator) { Role::Rotator } else { Role::Signer };
        let path = self.path("keys");
        let call = Call { role, kind: Kind::Read, operation: "keys" };
        key::versions(&self.call(call, &path, Bytes::new(), deadline).await?)
    }

    pub(super) async fn rotate(&self, deadline: Instant) -> Result<(), KmsError> {
        self.administer("rotate", "{}".to_owned(), deadline).await
    }

    pub(super) async fn raise_floor(&self, floor: u32, deadline: Instant) -> Result<(), KmsError> {
        let body = format!(r#"{{"min_decryption_version":{floor}}}"#);
        self.administer("config", body, deadline).await
    }

    /// Vault trims no version that could still wrap.
    pub(super) async fn trim(&self, kept: u32, deadline: Instant) -> Result<(), KmsError> {
        let body = format!(r#"{{"min_encryption_version":{kept}}}"#);
        self.administer("config", body, deadline).await?;
        let body = format!(r#"{{"min_available_version":{kept}}}"#);
        self.administer("trim", body, deadline).await
    }

    /// Changes the key, as the rotator.
    async fn administer(
        &self,
        operation: &'static str,
        body: String,
        deadline: Instant,
    ) -> Result<(), KmsError> {
        let path = format!("{}/{operation}", self.path("keys"));
        let call = Call { role: Role::Rotator, kind: Kind::Administration, operation };
        self.call(call, &path, Bytes::from(body), deadline).await.map(drop)
    }

    fn path(&self, operation: &str) -> String {
        format!("{}/{operation}/{}", self.kek.mount(), self.kek.name())
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

    /// The tokens of the configured logins, without those of files.
    pub(super) fn logins(&self) -> Vec<KmsLogin> {
        let now = SystemTime::now();
        let logins = self.sessions.iter().filter_map(|(role, session)| {
            let expires = match session.remaining() {
                Remaining::Unknown => return None,
                Remaining::None => None,
                Remaining::For(time) => now.checked_add(time),
            };
            Some(KmsLogin { role: role.as_str(), expires })
        });
        logins.collect()
    }

    /// Whether the logins that unwrap and wrap are denied both under this context. A request
    /// that names no DEK of anybody is refused for its context first, where the policy says
    /// so.
    pub(super) async fn denies(
        &self,
        context: &KekContext,
        deadline: Instant,
    ) -> Result<bool, KmsError> {
        for (role, operation, body) in [
            (Role::Signer, "decrypt", transit::decrypt_nothing(context)),
            (Role::Custodian, "encrypt", transit::encrypt_nothing(context)),
        ] {
            if !self.sessions.iter().any(|(of, _)| *of == role) {
                continue;
            }
            match self.one(role, operation, body, deadline).await {
                Err(error) if error.kind == KmsErrorKind::Denied => {}
                // It was not the policy that refused.
                Ok(_) | Err(KmsError { kind: KmsErrorKind::Rejected, .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Gives the tokens back.
    pub(super) async fn log_out(&self) {
        let revoking = join_all(self.sessions.iter().map(|(_, session)| session.close()));
        if timeout(REVOKE_WITHIN, revoking).await.is_err() {
            tracing::warn!("Vault did not revoke every token in time: the rest expire");
        }
    }

    /// One Transit operation on one item.
    async fn one(
        &self,
        role: Role,
        operation: &'static str,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Answer, KmsError> {
        let path = self.path(operation);
        let call = Call { role, kind: Kind::Transit, operation };
        self.call(call, &path, body, deadline).await
    }

    /// One request as its role, with everything that can save it.
    async fn call(
        &self,
        Call { role, kind, operation }: Call,
        path: &str,
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
        let attempt = |token: Arc<Token>| {
            let body = body.clone();
            async move {
                let request = Request::key(kind, operation, path, &token, body);
                self.transport.send(&request, deadline).await
            }
        };
        let result = self.retries.run(session, deadline, attempt).await;
        self.breaker.record(result.as_ref().err(), started, Instant::now());
        result
    }
}
