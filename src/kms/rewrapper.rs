//! The part of a KMS that a rotation gets.

use std::sync::Arc;

use tokio::time::Instant;

use super::{BoundDek, KekVersions, Kms, KmsError};
use crate::envelope::{KekRef, WrappedDek};

/// A KMS for who moves wrapped DEKs to the newest version of their KEK. It has no way to
/// unwrap one:
///
/// ```compile_fail,E0599
/// # async fn unwrap(kms: countersign::kms::Rewrapper, dek: countersign::permitted::PermittedDek<'_>,
/// #     slot: countersign::enclave::Slot, soon: tokio::time::Instant) {
/// let unwrapped = kms.unwrap(dek, slot, soon).await; // a rewrapper unwraps nothing
/// # }
/// ```
/// ```
/// # async fn rewrap(kms: countersign::kms::Rewrapper, deks: Vec<countersign::kms::BoundDek>,
/// #     soon: tokio::time::Instant) {
/// let rewrapped = kms.rewrap(deks, soon).await;
/// # }
/// ```
pub struct Rewrapper(Arc<dyn Kms>);

impl Rewrapper {
    /// Of a KMS, whose login, if any, is the rotator's.
    pub fn new(kms: Arc<dyn Kms>) -> Self {
        Self(kms)
    }

    /// The KEK.
    pub fn kek(&self) -> &KekRef {
        self.0.kek()
    }

    /// As [`Kms::rewrap`].
    ///
    /// # Errors
    /// As there.
    pub async fn rewrap(
        &self,
        deks: Vec<BoundDek>,
        deadline: Instant,
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
        self.0.rewrap(deks, deadline).await
    }

    /// As [`Kms::versions`].
    ///
    /// # Errors
    /// As there.
    pub async fn versions(&self, deadline: Instant) -> Result<KekVersions, KmsError> {
        self.0.versions(deadline).await
    }

    /// As [`Kms::rotate`].
    ///
    /// # Errors
    /// As there.
    pub async fn rotate(&self, deadline: Instant) -> Result<(), KmsError> {
        self.0.rotate(deadline).await
    }

    /// As [`Kms::raise_floor`].
    ///
    /// # Errors
    /// As there.
    pub async fn raise_floor(&self, floor: u32, deadline: Instant) -> Result<(), KmsError> {
        self.0.raise_floor(floor, deadline).await
    }

    /// As [`Kms::trim`].
    ///
    /// # Errors
    /// As there.
    pub async fn trim(&self, kept: u32, deadline: Instant) -> Result<(), KmsError> {
        self.0.trim(kept, deadline).await
    }

    /// As [`Kms::close`].
    pub async fn close(&self) {
        self.0.close().await;
    }
}
