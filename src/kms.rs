//! Key management services: they wrap and unwrap DEKs and never see a share.
//!
//! A backend implements [`Kms`]; the conformance suite in `tests/kms.rs` runs on
//! every one of them.
#![forbid(unsafe_code)]

pub mod local;
mod rewrapper;
pub mod vault_transit;
mod versions;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    enclave::{Dek, EnclaveError, Slot},
    envelope::{KekContext, KekRef, WrappedDek},
    key::Environment,
    permitted::PermittedDek,
};

pub use rewrapper::Rewrapper;
pub use versions::{KekVersion, KekVersions, OVERDUE};

/// The most DEKs of one [`Kms::rewrap`]. OpenBao counts the texts of a request and takes
/// 1,000 of them, of which an item has six.
pub const BATCH_MAX: usize = 100;

/// A KEK in a KMS.
///
/// Contract of every method: it returns by `deadline`, it retries only what a
/// retry can help and only while the deadline allows, and neither its errors nor
/// its logs hold a key, a token or the body of an answer.
#[async_trait]
pub trait Kms: Send + Sync {
    /// The KEK that new DEKs are wrapped under.
    fn kek(&self) -> &KekRef;

    /// Wraps a DEK under the newest version of the KEK, bound to `context`. The
    /// DEK is wiped, whether or not that succeeds.
    async fn wrap(
        &self,
        context: &KekContext,
        dek: Dek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError>;

    /// Unwraps a permitted DEK into `slot`. Exactly one unwrap is counted by the
    /// KMS per call that succeeds at once.
    async fn unwrap(
        &self,
        dek: PermittedDek<'_>,
        slot: Slot,
        deadline: Instant,
    ) -> Result<Unwrapped, KmsError>;

    /// Wraps at most [`BATCH_MAX`] wrapped DEKs anew under the newest version of the
    /// KEK, inside the KMS. Under the newest version already, one may come back
    /// unchanged. Of each it says what became of it, in the order in which they were
    /// given; the error of the whole is about the KMS, or about one of the DEKs where
    /// the KMS does not say which.
    async fn rewrap(
        &self,
        deks: Vec<BoundDek>,
        deadline: Instant,
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError>;

    /// The versions of the KEK, for a login that may read them.
    async fn versions(&self, deadline: Instant) -> Result<KekVersions, KmsError>;

    /// Makes a new version of the KEK, which wraps from now on.
    async fn rotate(&self, deadline: Instant) -> Result<(), KmsError>;

    /// Refuses to unwrap, from now on, what a version below `floor` wrapped.
    async fn raise_floor(&self, floor: u32, deadline: Instant) -> Result<(), KmsError>;

    /// Destroys the versions below `kept`, which is at most the floor. Nothing brings them
    /// back.
    async fn trim(&self, kept: u32, deadline: Instant) -> Result<(), KmsError>;

    /// Whether the KMS would answer now, at the cost of at most one cheap call.
    async fn status(&self, deadline: Instant) -> Result<(), KmsError>;

    /// The logins of this process, without those that somebody else keeps alive. Asks
    /// nobody.
    async fn logins(&self, _deadline: Instant) -> Result<Vec<KmsLogin>, KmsError> {
        Ok(Vec::new())
    }

    /// Whether the KMS itself denies this process what belongs to another environment than
    /// this one; none where it cannot tell environments apart. Wraps and unwraps nothing
    /// that is anybody's.
    async fn tells_apart(
        &self,
        _environment: &Environment,
        _deadline: Instant,
    ) -> Result<Option<bool>, KmsError> {
        Ok(None)
    }

    /// Gives back what a shutdown should not leave behind, such as tokens.
    async fn close(&self) {}
}

/// A wrapped DEK and the context that it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundDek {
    /// The context.
    pub context: KekContext,
    /// The wrapped DEK.
    pub wrapped: WrappedDek,
}

/// A login to a KMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KmsLogin {
    /// Whose.
    pub role: &'static str,
    /// When it expires unless it is renewed; none where there is none now.
    pub expires: Option<SystemTime>,
}

/// An unwrapped DEK.
pub struct Unwrapped {
    /// The DEK, in the slot that was given.
    pub dek: Dek,
    /// How the KMS names the request in its own audit log, where it does.
    pub request_id: Option<Box<str>>,
}

/// Why a KMS did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsError {
    /// What went wrong, as far as the caller and the operator act differently.
    pub kind: KmsErrorKind,
    /// When to try again, where the KMS said so.
    pub retry_after: Option<Duration>,
    /// For the log: what happened, without bodies, keys or tokens.
    pub detail: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KmsErrorKind {
    /// No connection: refused, reset, no such host.
    Unreachable,
    /// No answer within the time that there was.
    Timeout,
    /// The server's certificate or TLS version is not acceptable.
    Tls,
    /// The server sent the client elsewhere; it did not go.
    Redirected,
    /// The KMS is sealed.
    Sealed,
    /// The KMS has no active node, is overloaded or failed inside.
    Unavailable,
    /// The KMS limits the rate.
    RateLimited,
    /// The KMS denies this identity the operation.
    Denied,
    /// The KMS does not accept the login.
    Login,
    /// This configuration has no login for the operation.
    NoLogin,
    /// There is no such KEK.
    KeyMissing,
    /// The KEK's floor was raised above the version that wrapped the DEK.
    KeyVersion,
    /// The KMS cannot unwrap this: wrong context, or altered.
    Rejected,
    /// The record is wrapped by another KEK than the configured one.
    OtherKek,
    /// The answer makes no sense.
    Protocol,
    /// It is the enclave that failed.
    Enclave(EnclaveError),
}

impl KmsError {
    /// An error without a hint when to retry.
    pub fn new(kind: KmsErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, retry_after: None, detail: detail.into() }
    }
}

impl KmsError {
    /// Whether it is about what was to be unwrapped, and not about the KMS.
    pub fn is_of_the_record(&self) -> bool {
        use KmsErrorKind::{KeyVersion, OtherKek, Rejected};
        matches!(self.kind, KeyVersion | OtherKek | Rejected)
    }
}

impl fmt::Display for KmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail)
    }
}

impl std::error::Error for KmsError {}

impl From<EnclaveError> for KmsError {
    fn from(error: EnclaveError) -> Self {
        let kind = match error {
            EnclaveError::Tag => KmsErrorKind::Rejected,
            other => KmsErrorKind::Enclave(other),
        };
        Self::new(kind, error.to_string())
    }
}

/// Refuses a record that another KEK wraps.
fn require_kek(configured: &KekRef, dek: &PermittedDek<'_>) -> Result<(), KmsError> {
    if dek.kek() == configured {
        return Ok(());
    }
    Err(KmsError::new(
        KmsErrorKind::OtherKek,
        format!("wrapped by {}, configured is {configured}", dek.kek()),
    ))
}
