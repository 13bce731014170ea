//! Vault or OpenBao: the KEK is a derived Transit key that never leaves the
//! server.
//!
//! ```text
//!                  │ thread "vault": its stack and heap are secret memory
//!  unwrap ─ queue ─┼─▶ ┌ breaker: fails fast while Vault is down
//!  wrap            │   │ session: the signer's token, kept alive by a task of its own
//!  rewrap          │   │ retry: what a retry can help, within deadline and budget
//!  status          │   │ transport: address failover
//!                  │   └ connections: twelve in all, TLS 1.3, private CA
//!   wrapped DEK, slot ─▶
//!                    ◀─ DEK in its slot, request id, wrapped DEK, error
//! ```
//! - The token, the DEK in Vault's answers and every buffer that they pass through
//!   belong to the thread. What crosses is public, or is the index of a slot.
//! - The thread's heap is fixed, and a process that overflows it is ended. So
//!   everything on it has a bound: jobs, connections, what a server may send at a
//!   time, an answer, a token, a credential.
//! - The record is bound by the derivation `context`: one item a request, so that a
//!   Vault policy can pin it ([`policy::hcl`]), but for `rewrap`, which tells nothing
//!   and takes many.
//! - Each role has a login of its own; a role without one has no rights here.
//! - A redirect is never followed: the token goes to configured addresses only.
//! - Nothing that the server says in an answer is put into an error or a log: it
//!   becomes a status and a coarse class.
#![forbid(unsafe_code)]

mod allowance;
mod answer;
mod authority;
mod batch;
mod breaker;
mod connection;
mod failover;
mod key;
pub(crate) mod kv;
mod login;
pub(crate) mod names;
pub mod policy;
mod resolver;
mod retry;
mod session;
mod settings;
mod thread;
pub(crate) mod tls;
mod token;
mod transit;
mod transport;
mod vault;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    BATCH_MAX, BoundDek, KekVersion, KekVersions, Kms, KmsError, KmsErrorKind, KmsLogin, Unwrapped,
    require_kek,
};
use crate::{
    enclave::{Dek, Slot},
    envelope::{KekContext, KekRef, WrappedDek},
    key::Environment,
    permitted::PermittedDek,
};
use thread::{Room, Thread};
use vault::{LoggedOut, Vault};

pub use settings::{Login, Server, Settings, SettingsError, Timeouts};

/// The provider's name in KEK references.
pub const PROVIDER: &str = "vault-transit";

/// The most calls on the thread at a time: as many as there are connections.
const CALLS: usize = connection::CONNECTIONS;
/// The most checks of readiness. They wait for a connection as the calls do, and not
/// behind those that wait for room on the thread.
const CHECKS: usize = 2;
/// The most batches and questions about the key: their answers are larger, and nothing
/// that a caller waits for is among them.
const REWRAPS: usize = 1;
/// How long a shutdown takes at most: the tokens are revoked within two seconds,
/// or a check that has no end is in the way.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

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

/// Vault Transit: the way to the thread that speaks to Vault.
pub struct VaultTransit {
    kek: KekRef,
    thread: Thread<Vault>,
    calls: Room,
    checks: Room,
    rewraps: Room,
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
    /// Checks the settings, starts the thread and begins to log in. Reaches
    /// nothing yet: a Vault that is down at start is reported by [`Kms::status`]
    /// and by each call.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn start(settings: Settings) -> Result<Self, SettingsError> {
        let kek = settings.check()?;
        let vault = LoggedOut::new(kek.clone(), settings)?;
        let (calls, checks) = (Room::for_jobs(CALLS), Room::for_jobs(CHECKS));
        let rewraps = Room::for_jobs(REWRAPS);
        let rooms = [&calls, &checks, &rewraps];
        let thread = Thread::start("vault", &rooms, || vault.log_in())?;
        Ok(Self { kek, thread, calls, checks, rewraps })
    }
}

/// What comes back from the thread is copied, and freed there: small, but its
/// heap is smaller. Of an unwrapped DEK only the slot's index comes back.
#[async_trait]
impl Kms for VaultTransit {
    fn kek(&self) -> &KekRef {
        &self.kek
    }

    async fn wrap(
        &self,
        context: &KekContext,
        dek: Dek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        let context = context.clone();
        let work =
            move |vault: Arc<Vault>| async move { vault.wrap(&context, dek, deadline).await };
        let wrapped = self.thread.run(&self.calls, deadline, work).await?;
        Ok(wrapped.clone())
    }

    async fn unwrap(
        &self,
        dek: PermittedDek<'_>,
        slot: Slot,
        deadline: Instant,
    ) -> Result<Unwrapped, KmsError> {
        require_kek(&self.kek, &dek)?;
        let (context, wrapped) = (dek.context(), dek.wrapped().clone());
        let work = move |vault: Arc<Vault>| async move {
            vault.unwrap(&context, &wrapped, slot, deadline).await
        };
        let (dek, request_id) = self.thread.run(&self.calls, deadline, work).await?;
        Ok(Unwrapped { dek, request_id: (!request_id.is_empty()).then(|| request_id.clone()) })
    }

    async fn rewrap(
        &self,
        deks: Vec<BoundDek>,
        deadline: Instant,
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
        let work = move |vault: Arc<Vault>| async move { vault.rewrap(&deks, deadline).await };
        let rewrapped = self.thread.run(&self.rewraps, deadline, work).await?;
        Ok(rewrapped.clone())
    }

    async fn versions(&self, deadline: Instant) -> Result<KekVersions, KmsError> {
        let work = move |vault: Arc<Vault>| async move { vault.versions(deadline).await };
        let versions = self.thread.run(&self.rewraps, deadline, work).await?;
        Ok(versions.clone())
    }

    async fn rotate(&self, deadline: Instant) -> Result<(), KmsError> {
        let work = move |vault: Arc<Vault>| async move { vault.rotate(deadline).await };
        self.thread.run(&self.rewraps, deadline, work).await
    }

    async fn raise_floor(&self, floor: u32, deadline: Instant) -> Result<(), KmsError> {
        let work = move |vault: Arc<Vault>| async move { vault.raise_floor(floor, deadline).await };
        self.thread.run(&self.rewraps, deadline, work).await
    }

    async fn trim(&self, kept: u32, deadline: Instant) -> Result<(), KmsError> {
        let work = move |vault: Arc<Vault>| async move { vault.trim(kept, deadline).await };
        self.thread.run(&self.rewraps, deadline, work).await
    }

    async fn status(&self, deadline: Instant) -> Result<(), KmsError> {
        let work = move |vault: Arc<Vault>| async move { vault.status(deadline).await };
        self.thread.run(&self.checks, deadline, work).await
    }

    async fn logins(&self, deadline: Instant) -> Result<Vec<KmsLogin>, KmsError> {
        let work = move |vault: Arc<Vault>| async move { Ok(vault.logins()) };
        let logins = self.thread.run(&self.checks, deadline, work).await?;
        Ok(logins.clone())
    }

    async fn tells_apart(
        &self,
        environment: &Environment,
        deadline: Instant,
    ) -> Result<Option<bool>, KmsError> {
        let other = KekContext::of_another(environment);
        let other = other.map_err(|rule| KmsError::new(KmsErrorKind::Protocol, rule.0))?;
        let work = move |vault: Arc<Vault>| async move { vault.denies(&other, deadline).await };
        self.thread.run(&self.checks, deadline, work).await.map(Some)
    }

    /// Gives the tokens back and ends the thread.
    async fn close(&self) {
        let deadline = Instant::now() + CLOSE_WITHIN;
        let work = |vault: Arc<Vault>| async move {
            vault.log_out().await;
            Ok(())
        };
        if let Err(error) = self.thread.run(&self.checks, deadline, work).await {
            tracing::warn!(%error, "Vault tokens were not revoked: they expire");
        }
        self.thread.end().await;
    }
}
