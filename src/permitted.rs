//! A permit and the one envelope that it fits.
#![forbid(unsafe_code)]

use crate::{
    envelope::{Envelope, EnvelopeError, Header, Identity, KekContext, KekRef, WrappedDek},
    kms::BoundDek,
    policy::{Opens, Permit, ReencryptShare, RewrapPermit},
    record::{ShareDescription, ShareRecord},
};

/// An envelope and the permit that it fits: its header says what the permit's
/// share says, field by field. The only value that a KMS unwraps for, and the
/// only one that the enclave opens.
pub struct PermittedEnvelope<A: Opens> {
    permit: Permit<A>,
    envelope: Envelope,
}

/// A wrapped DEK that may be unwrapped, borrowed from a [`PermittedEnvelope`].
#[derive(Clone, Copy)]
pub struct PermittedDek<'a>(&'a Envelope);

/// An envelope whose wrapped DEK may be replaced by another wrapping of it, and nothing
/// else: no KMS unwraps for it, and the enclave does not open it.
pub struct RewrappableEnvelope {
    share: ShareDescription,
    envelope: Envelope,
}

/// Why a fetched record is not the one that was permitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The row was written between its description and its fetching.
    #[error("the record changed while it was read")]
    Changed,
    /// The row holds no envelope.
    #[error("the record holds no envelope that this version can read: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The envelope is for something else than the row says: it was moved,
    /// swapped or taken from another environment.
    #[error("the envelope and its row disagree about the {0}")]
    Mismatch(&'static str),
}

impl<A: Opens> PermittedEnvelope<A> {
    /// Decodes the fetched record and holds it against the permit.
    ///
    /// # Errors
    /// See [`RecordError`]; the permit is spent either way.
    pub fn new(permit: Permit<A>, record: ShareRecord) -> Result<Self, RecordError> {
        let envelope = decode(permit.share(), &record)?;
        Ok(Self { permit, envelope })
    }

    /// The permit.
    pub fn permit(&self) -> &Permit<A> {
        &self.permit
    }

    /// The envelope.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// What the KMS needs in order to unwrap the DEK.
    pub fn dek(&self) -> PermittedDek<'_> {
        PermittedDek(&self.envelope)
    }

    /// Gives the permit on when the envelope is open.
    pub fn into_permit(self) -> Permit<A> {
        self.permit
    }
}

impl PermittedEnvelope<ReencryptShare> {
    /// What the share is sealed as now, for who makes sure that it opens.
    ///
    /// # Errors
    /// `Mismatch`: it is for something else than the next version of this record.
    pub fn resealed(self, envelope: &Envelope) -> Result<Self, RecordError> {
        let Header { identity, kek, .. } = envelope.header();
        if self.permit.share().identity.version.next() != Some(identity.version) {
            return Err(RecordError::Mismatch("record version"));
        }
        let permit = self.permit.resealed(identity.version, kek.clone());
        let description = permit.share().clone();
        Self::new(permit, ShareRecord { description, envelope: envelope.encode() })
    }
}

impl RewrappableEnvelope {
    /// Decodes the fetched record and holds it against the permit.
    ///
    /// # Errors
    /// See [`RecordError`]; the permit is spent either way.
    pub fn new(permit: RewrapPermit, record: ShareRecord) -> Result<Self, RecordError> {
        let envelope = decode(permit.share(), &record)?;
        Ok(Self { share: record.description, envelope })
    }

    /// The row as it was fetched.
    pub fn share(&self) -> &ShareDescription {
        &self.share
    }

    /// The version of the KEK that wraps the DEK, where it says so.
    pub fn kek_version(&self) -> Option<u32> {
        self.envelope.wrapped_dek().kek_version()
    }

    /// What a KMS needs in order to rewrap the DEK.
    pub fn dek(&self) -> BoundDek {
        BoundDek {
            context: KekContext::of(&self.envelope.header().identity),
            wrapped: self.envelope.wrapped_dek().clone(),
        }
    }

    /// The record with another wrapped DEK, and the same in all else.
    pub fn with(&self, wrapped: WrappedDek) -> ShareRecord {
        let Self { share, envelope } = self;
        let envelope = Envelope::new(envelope.header().clone(), wrapped, envelope.sealed().clone());
        ShareRecord { description: share.clone(), envelope: envelope.encode() }
    }

    /// Whether all that a rewrapping must not touch is the same in both.
    pub fn is_same_but_for_its_wrapping(&self, other: &Self) -> bool {
        let (a, b) = (&self.share, &other.share);
        self.envelope.header() == other.envelope.header()
            && self.envelope.sealed() == other.envelope.sealed()
            && (&a.identity, &a.public_key, &a.kek, a.created_at)
                == (&b.identity, &b.public_key, &b.kek, b.created_at)
    }
}

/// Decodes a record that was fetched for what was permitted, and holds it against that.
/// Its revision may be another: a rewrapping in between has changed nothing that was
/// decided on, and must not fail what is under way.
fn decode(permitted: &ShareDescription, record: &ShareRecord) -> Result<Envelope, RecordError> {
    let ShareDescription { revision, .. } = record.description;
    if record.description != (ShareDescription { revision, ..permitted.clone() }) {
        return Err(RecordError::Changed);
    }
    let envelope = Envelope::decode(&record.envelope)?;
    let Identity { environment, wallet, share, version, address, algorithm, binding } =
        &envelope.header().identity;
    let expected = &permitted.identity;
    for (name, same) in [
        ("environment", *environment == expected.environment),
        ("wallet id", *wallet == expected.wallet),
        ("share id", *share == expected.share),
        ("record version", *version == expected.version),
        ("account address", *address == expected.address),
        ("algorithm", *algorithm == expected.algorithm),
        ("binding", *binding == expected.binding),
        ("public key's algorithm", permitted.public_key.algorithm() == expected.algorithm),
        ("KEK", envelope.header().kek == permitted.kek),
    ] {
        if !same {
            return Err(RecordError::Mismatch(name));
        }
    }
    Ok(envelope)
}

impl PermittedDek<'_> {
    /// The KEK that wraps it.
    pub fn kek(&self) -> &KekRef {
        &self.0.header().kek
    }

    /// The context under which it is wrapped.
    pub fn context(&self) -> KekContext {
        KekContext::of(&self.0.header().identity)
    }

    /// The wrapped DEK.
    pub fn wrapped(&self) -> &WrappedDek {
        self.0.wrapped_dek()
    }
}
