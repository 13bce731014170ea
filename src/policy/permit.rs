//! Permits: proof that policy allowed one action by one caller on one subject.

use std::sync::Arc;

use super::{Action, Decided, Opens, ReencryptShare, ShareSubject};
use crate::{
    caller::Caller,
    envelope::KekRef,
    key::{PublicKey, RecordVersion, ShareId},
    record::ShareDescription,
};

/// Policy's word that `caller` may do `action` to the subject, once.
///
/// Only [`super::Policy`] makes one; it has no `Clone`, and whoever acts on it
/// takes it by value and takes caller, share and payload from it alone.
///
/// ```compile_fail,E0451
/// # fn forge(caller: std::sync::Arc<countersign::caller::Caller>,
/// #     subject: countersign::policy::ShareSubject) {
/// use countersign::policy::{GetPublicKey, Permit};
/// let policies = std::sync::Arc::new([]);
/// let forged = Permit { caller, subject, action: GetPublicKey, policies }; // private fields
/// # }
/// ```
/// ```compile_fail,E0624
/// # fn forge(caller: std::sync::Arc<countersign::caller::Caller>,
/// #     subject: countersign::policy::ShareSubject) {
/// use countersign::policy::{GetPublicKey, Permit};
/// let policies = std::sync::Arc::new([]);
/// let forged = Permit::new(caller, subject, GetPublicKey, policies); // a private constructor
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn twice(permit: countersign::policy::Permit<countersign::policy::Sign>) {
/// let second = permit.clone(); // a permit is for one use
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn bypass(permit: countersign::policy::Permit<countersign::policy::GetPublicKey>) {
/// let envelope = permit.opening(); // this permit opens nothing
/// # }
/// ```
/// The same with a permit that does open, which shows that the four above fail
/// for the reason that they give:
/// ```
/// # fn allowed(permit: countersign::policy::Permit<countersign::policy::Sign>) {
/// let envelope = permit.opening();
/// # }
/// ```
pub struct Permit<A: Action> {
    caller: Arc<Caller>,
    subject: A::Subject,
    action: A,
    policies: Decided,
}

/// The right to fetch one share's envelope: borrowed from a permit that opens, or from a
/// [`super::RewrapPermit`], which lets nothing be opened.
#[derive(Clone, Copy)]
pub struct Opening<'a>(&'a ShareDescription);

impl<A: Action> Permit<A> {
    pub(super) fn new(
        caller: Arc<Caller>,
        subject: A::Subject,
        action: A,
        policies: Decided,
    ) -> Self {
        Self { caller, subject, action, policies }
    }

    /// The ids of the policies that permitted it.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// Who was permitted.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// What it was permitted for.
    pub fn subject(&self) -> &A::Subject {
        &self.subject
    }

    /// What was permitted.
    pub fn action(&self) -> &A {
        &self.action
    }

    /// Gives the subject back when the action is done.
    pub fn into_subject(self) -> A::Subject {
        self.subject
    }
}

impl<A: Action<Subject = ShareSubject>> Permit<A> {
    /// The share that it was permitted for.
    pub fn share(&self) -> &ShareDescription {
        &self.subject
    }
}

impl Permit<ReencryptShare> {
    /// The right to what the share is sealed as now: another version of its record, under
    /// whichever KEK. It is the same share of the same wallet.
    pub fn resealed(self, version: RecordVersion, kek: KekRef) -> Self {
        let mut share = ShareDescription::clone(&self.subject);
        share.identity.version = version;
        share.kek = kek;
        Self { subject: Arc::new(share), ..self }
    }
}

impl<A: Opens> Permit<A> {
    /// The right to fetch this share's envelope.
    pub fn opening(&self) -> Opening<'_> {
        Opening(&self.subject)
    }
}

impl<'a> Opening<'a> {
    /// For [`crate::transfer`] alone, whose processes have neither a KMS nor an enclave to
    /// open with what they fetch.
    pub(crate) fn to_move(share: &'a ShareDescription) -> Self {
        Self(share)
    }

    pub(super) fn of(share: &'a ShareDescription) -> Self {
        Self(share)
    }

    /// The one share that may be fetched.
    pub fn share(&self) -> ShareId {
        self.0.identity.share
    }

    /// Its public key as it was described, which need not be parsed again.
    pub fn public_key(&self) -> PublicKey {
        self.0.public_key
    }
}
