//! Refusals: the one error that the stories return.
//!
//! A refusal has two audiences. The caller gets a stable [`Reason`] and a
//! constant text, made in `grpc/status.rs`; the log gets `Display`, which says
//! what happened. Neither has a way to the other.
#![forbid(unsafe_code)]

mod enclave_error;
mod identity_error;
mod import_error;
mod reason;

use std::time::SystemTime;

use crate::{
    audit::NotRecorded,
    caller::Peer,
    key::{AccountAddress, Malformed, PublicKey, RecordVersion, Revision},
    kms::KmsError,
    payload::Unfit,
    permitted::RecordError,
    policy::Denied,
    rate::TooFast,
    store::StoreError,
};

pub use enclave_error::EnclaveError;
pub use identity_error::IdentityError;
pub use import_error::ImportError;
pub use reason::Reason;

/// Why a request is not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// A field breaks its rule. For the caller, as it is.
    #[error("{field}: {rule}")]
    Invalid {
        /// The path of the field in the request message.
        field: &'static str,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The payload, or the encoding of the signature, does not go with the share's
    /// algorithm. For the caller, as it is.
    #[error("{field}: {rule}")]
    Unfit {
        /// `payload` or `encoding`.
        field: &'static str,
        /// What would fit.
        rule: &'static str,
    },
    /// One frame of a stream is refused, and the stream with it.
    #[error("frame {id}: {refusal}")]
    Frame {
        /// The frame's id.
        id: u64,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// There is no such call, or a message has an encoding that is not offered.
    #[error("no such call or encoding")]
    Unsupported,
    /// The peer is nobody whom the configuration names.
    #[error("{0} is no known caller")]
    CallerUnknown(Peer),
    /// Policy refuses, or there is no such share.
    #[error("{0}")]
    Denied(Denied),
    /// The share is disabled.
    #[error("the share is disabled")]
    ShareDisabled,
    /// The share is opaque: one party's, of no use alone.
    #[error("the share is one party's of a key that signs with others")]
    ShareOpaque,
    /// The share is enabled, and would have to be disabled.
    #[error("the share is enabled")]
    ShareEnabled,
    /// The share may not be destroyed yet: from when on it may be, where that was asked for.
    #[error("the share may not be destroyed yet: {0:?}")]
    DestructionNotDue(Option<SystemTime>),
    /// The record is bound to another address than the caller expects.
    #[error("the record is bound to {recorded:?}")]
    AddressMismatch {
        /// The address that it is bound to.
        recorded: Option<AccountAddress>,
    },
    /// The record is older than the caller accepts.
    #[error("the record has version {}", recorded.get())]
    RecordVersionTooOld {
        /// Its version.
        recorded: RecordVersion,
    },
    /// The same share was made before.
    #[error("the share exists already")]
    ShareExists {
        /// Its public key.
        public_key: PublicKey,
    },
    /// Another share has this id.
    #[error("the share id is taken")]
    ShareIdTaken,
    /// A share is not imported.
    #[error("import: {0}")]
    Import(ImportError),
    /// The share was written meanwhile.
    #[error("the share changed: {0}")]
    ShareChanged(&'static str),
    /// The share is not at the revision that the request expects.
    #[error("the share is at revision {}", recorded.get())]
    RevisionMismatch {
        /// Its revision.
        recorded: Revision,
    },
    /// The fetched record is not the one that was permitted.
    #[error(transparent)]
    Record(RecordError),
    /// The store failed.
    #[error("store: {0}")]
    Store(StoreError),
    /// The KMS failed.
    #[error("kms: {0}")]
    Kms(KmsError),
    /// The enclave failed.
    #[error("enclave: {0}")]
    Enclave(EnclaveError),
    /// The request could not be recorded.
    #[error("audit: {0}")]
    Audit(NotRecorded),
    /// The key that signs the audit log is not this instance's.
    #[error("audit: {0}")]
    Identity(IdentityError),
    /// Too many requests are in flight, in all or for this caller.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
    /// A caller calls, or a share is to sign, faster than its rate.
    #[error(transparent)]
    TooFast(TooFast),
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// The client went away: nobody reads this.
    #[error("the client went away")]
    Gone,
    /// The enclave is shutting down.
    #[error("shutting down")]
    ShuttingDown,
    /// A stream came to one of its ends.
    #[error("stream ended: {0:?}")]
    Stream(StreamEnd),
    /// The handler panicked.
    #[error("the handler panicked")]
    Panicked,
}

/// The ends of a stream that are neither success nor a failed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// No frame arrived for the idle timeout.
    Idle,
    /// The stream lived its lifetime.
    Lifetime,
    /// All operations are used.
    Operations,
    /// The first frame is not `open`, or there is none.
    NotOpened,
    /// A second `open` arrived.
    SecondOpen,
}

impl Refusal {
    /// A field that breaks a rule.
    pub fn invalid(field: &'static str, rule: &'static str) -> Self {
        Self::Invalid { field, rule }
    }

    /// The same refusal, of a frame in a stream.
    #[must_use]
    pub fn in_frame(self, id: u64) -> Self {
        Self::Frame { id, refusal: Box::new(self) }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KmsError> for Refusal {
    fn from(error: KmsError) -> Self {
        Self::Kms(error)
    }
}

impl From<EnclaveError> for Refusal {
    fn from(error: EnclaveError) -> Self {
        Self::Enclave(error)
    }
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

impl From<NotRecorded> for Refusal {
    fn from(error: NotRecorded) -> Self {
        Self::Audit(error)
    }
}

impl From<IdentityError> for Refusal {
    fn from(error: IdentityError) -> Self {
        match error {
            // What is wrong with the KMS is wrong for the share, too.
            IdentityError::Kms(error) if !error.is_of_the_record() => Self::Kms(error),
            IdentityError::Enclave(error @ EnclaveError::Exhausted) => Self::Enclave(error),
            error => Self::Identity(error),
        }
    }
}

impl From<TooFast> for Refusal {
    fn from(too_fast: TooFast) -> Self {
        Self::TooFast(too_fast)
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit { field: "payload", rule: unfit.0 }
    }
}

impl Refusal {
    /// Maps a malformed name to the field that holds it.
    pub fn malformed(field: &'static str) -> impl FnOnce(Malformed) -> Self {
        move |malformed| Self::invalid(field, malformed.0)
    }
}
