//! The rotator's right: to replace a share's wrapped DEK.
//!
//! It is not policy's, for there is no caller whom policy could know: rotation is a
//! process of its own, which the operator starts with a configuration, a login to the
//! store and the rotator's login to the KMS. So the right comes with the role, for every
//! record of the environment that the configured KEK wraps, and for no other. What is done
//! by it is recorded in the rotator's audit log.
//!
//! It is no [`super::Permit`], and no way leads from it to one: the envelope that is
//! fetched with it becomes a [`crate::permitted::RewrappableEnvelope`], for which no KMS
//! unwraps and which the enclave does not open.

use super::Opening;
use crate::{envelope::KekRef, key::Environment, record::ShareDescription};

/// Whose records a rotator moves.
#[derive(Clone, Debug)]
pub struct Rotator {
    /// The environment of its configuration.
    pub environment: Environment,
    /// The KEK of its login.
    pub kek: KekRef,
}

/// The right to fetch one share's envelope in order to replace its wrapped DEK, once.
///
/// ```compile_fail,E0308
/// # fn open(permit: countersign::policy::RewrapPermit, record: countersign::record::ShareRecord) {
/// use countersign::{permitted::PermittedEnvelope, policy::Sign};
/// let opened = PermittedEnvelope::<Sign>::new(permit, record); // this permit opens nothing
/// # }
/// ```
/// ```compile_fail,E0308
/// # async fn unwrap(kms: &dyn countersign::kms::Kms, slot: countersign::enclave::Slot,
/// #     envelope: countersign::permitted::RewrappableEnvelope, soon: tokio::time::Instant) {
/// let unwrapped = kms.unwrap(envelope.dek(), slot, soon).await; // nor does it unwrap
/// # }
/// ```
/// ```
/// # async fn rewrap(kms: &dyn countersign::kms::Kms,
/// #     envelope: countersign::permitted::RewrappableEnvelope, soon: tokio::time::Instant) {
/// let rewrapped = kms.rewrap(vec![envelope.dek()], soon).await;
/// # }
/// ```
pub struct RewrapPermit(ShareDescription);

impl Rotator {
    /// The right to rewrap this share's DEK; none for a share of another environment or
    /// under another KEK.
    pub fn permit(&self, share: ShareDescription) -> Option<RewrapPermit> {
        let own = share.identity.environment == self.environment && share.kek == self.kek;
        own.then_some(RewrapPermit(share))
    }
}

impl RewrapPermit {
    /// The share.
    pub fn share(&self) -> &ShareDescription {
        &self.0
    }

    /// The right to fetch its envelope.
    pub fn opening(&self) -> Opening<'_> {
        Opening::of(&self.0)
    }
}
