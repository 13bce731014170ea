//! Refusals: the one error that the stories return.
//!
//! A refusal has two audiences. The caller gets a stable [`Reason`] and a
//! constant text, made in `grpc/status.rs`; the log gets `Display`, which says
//! what happened. Neither has a way to the other.
#![forbid(unsafe_code)]

use crate::{
    enclave::EnclaveError,
    key::{AccountAddress, Malformed, PublicKey, RecordVersion, Revision},
    kms::{KmsError, KmsErrorKind},
    payload::Unfit,
    policy::{Denied, DeniedReason},
    record::RecordError,
    store::{StoreError, StoreErrorKind},
};

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
    #[error("uid {uid:?} is no known caller")]
    CallerUnknown {
        /// The peer's uid, where the kernel gave one.
        uid: Option<u32>,
    },
    /// Policy refuses, or there is no such share.
    #[error("denied ({:?}) by {:?}", .0.reason, .0.policies)]
    Denied(Denied),
    /// The share is disabled.
    #[error("the share is disabled")]
    ShareDisabled,
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
    /// Too many requests are in flight, in all or for this caller.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline,
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

/// The stable name of a refusal: what programs compare, in ErrorInfo.reason.
/// `docs/errors.md` says what the app and the operator do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "docs/errors.md documents each, and a test compares"
)]
pub enum Reason {
    InvalidRequest,
    PayloadUnfit,
    Unsupported,
    StreamNotOpened,
    StreamOpenedTwice,
    CallerUnknown,
    PolicyDenied,
    PolicyFailed,
    ShareDisabled,
    AddressMismatch,
    RecordVersionTooOld,
    ShareExists,
    ShareIdTaken,
    ShareChanged,
    RevisionMismatch,
    EnvelopeInvalid,
    EnvelopeMismatch,
    EnvelopeUnopened,
    StoreUnavailable,
    StoreTls,
    StoreDenied,
    StoreSchema,
    StoreCorrupt,
    StoreFailed,
    KmsUnavailable,
    KmsTimeout,
    KmsTls,
    KmsRedirected,
    KmsSealed,
    KmsRateLimited,
    KmsDenied,
    KmsLogin,
    KmsNoLogin,
    KmsKeyMissing,
    KmsKeyVersion,
    KmsRejected,
    KmsOtherKek,
    KmsProtocol,
    Overloaded,
    DeadlineExceeded,
    ShuttingDown,
    StreamIdle,
    StreamLifetime,
    StreamOperations,
    Internal,
}

impl Refusal {
    /// A field that breaks a rule.
    pub fn invalid(field: &'static str, rule: &'static str) -> Self {
        Self::Invalid { field, rule }
    }

    /// The same refusal, of a frame in a stream.
    #[must_use]
    pub fn in_frame(self, id: u64) -> Self {
        Self::Frame {
            id,
            refusal: Box::new(self),
        }
    }

    /// The stable name.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid { .. } => Reason::InvalidRequest,
            Self::Unfit { .. } => Reason::PayloadUnfit,
            Self::Frame { refusal, .. } => refusal.reason(),
            Self::Unsupported => Reason::Unsupported,
            Self::RevisionMismatch { .. } => Reason::RevisionMismatch,
            Self::CallerUnknown { .. } => Reason::CallerUnknown,
            Self::Denied(denied) => match denied.reason {
                DeniedReason::NotPermitted => Reason::PolicyDenied,
                DeniedReason::Evaluation => Reason::PolicyFailed,
            },
            Self::ShareDisabled => Reason::ShareDisabled,
            Self::AddressMismatch { .. } => Reason::AddressMismatch,
            Self::RecordVersionTooOld { .. } => Reason::RecordVersionTooOld,
            Self::ShareExists { .. } => Reason::ShareExists,
            Self::ShareIdTaken => Reason::ShareIdTaken,
            Self::ShareChanged(_) | Self::Record(RecordError::Changed) => Reason::ShareChanged,
            Self::Record(RecordError::Envelope(_)) => Reason::EnvelopeInvalid,
            Self::Record(RecordError::Mismatch(_)) => Reason::EnvelopeMismatch,
            Self::Store(error) => store_reason(error.kind),
            Self::Kms(error) => kms_reason(error.kind),
            Self::Enclave(error) => enclave_reason(*error),
            Self::Overloaded(_) => Reason::Overloaded,
            Self::Deadline => Reason::DeadlineExceeded,
            Self::ShuttingDown => Reason::ShuttingDown,
            Self::Stream(StreamEnd::Idle) => Reason::StreamIdle,
            Self::Stream(StreamEnd::Lifetime) => Reason::StreamLifetime,
            Self::Stream(StreamEnd::Operations) => Reason::StreamOperations,
            Self::Stream(StreamEnd::NotOpened) => Reason::StreamNotOpened,
            Self::Stream(StreamEnd::SecondOpen) => Reason::StreamOpenedTwice,
            Self::Panicked => Reason::Internal,
        }
    }
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 45] = [
        Self::InvalidRequest,
        Self::PayloadUnfit,
        Self::Unsupported,
        Self::StreamNotOpened,
        Self::StreamOpenedTwice,
        Self::CallerUnknown,
        Self::PolicyDenied,
        Self::PolicyFailed,
        Self::ShareDisabled,
        Self::AddressMismatch,
        Self::RecordVersionTooOld,
        Self::ShareExists,
        Self::ShareIdTaken,
        Self::ShareChanged,
        Self::RevisionMismatch,
        Self::EnvelopeInvalid,
        Self::EnvelopeMismatch,
        Self::EnvelopeUnopened,
        Self::StoreUnavailable,
        Self::StoreTls,
        Self::StoreDenied,
        Self::StoreSchema,
        Self::StoreCorrupt,
        Self::StoreFailed,
        Self::KmsUnavailable,
        Self::KmsTimeout,
        Self::KmsTls,
        Self::KmsRedirected,
        Self::KmsSealed,
        Self::KmsRateLimited,
        Self::KmsDenied,
        Self::KmsLogin,
        Self::KmsNoLogin,
        Self::KmsKeyMissing,
        Self::KmsKeyVersion,
        Self::KmsRejected,
        Self::KmsOtherKek,
        Self::KmsProtocol,
        Self::Overloaded,
        Self::DeadlineExceeded,
        Self::ShuttingDown,
        Self::StreamIdle,
        Self::StreamLifetime,
        Self::StreamOperations,
        Self::Internal,
    ];

    /// The name on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::PayloadUnfit => "PAYLOAD_UNFIT",
            Self::Unsupported => "UNSUPPORTED",
            Self::StreamNotOpened => "STREAM_NOT_OPENED",
            Self::StreamOpenedTwice => "STREAM_OPENED_TWICE",
            Self::CallerUnknown => "CALLER_UNKNOWN",
            Self::PolicyDenied => "POLICY_DENIED",
            Self::PolicyFailed => "POLICY_FAILED",
            Self::ShareDisabled => "SHARE_DISABLED",
            Self::AddressMismatch => "ADDRESS_MISMATCH",
            Self::RecordVersionTooOld => "RECORD_VERSION_TOO_OLD",
            Self::ShareExists => "SHARE_EXISTS",
            Self::ShareIdTaken => "SHARE_ID_TAKEN",
            Self::ShareChanged => "SHARE_CHANGED",
            Self::RevisionMismatch => "REVISION_MISMATCH",
            Self::EnvelopeInvalid => "ENVELOPE_INVALID",
            Self::EnvelopeMismatch => "ENVELOPE_MISMATCH",
            Self::EnvelopeUnopened => "ENVELOPE_UNOPENED",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::StoreTls => "STORE_TLS",
            Self::StoreDenied => "STORE_DENIED",
            Self::StoreSchema => "STORE_SCHEMA",
            Self::StoreCorrupt => "STORE_CORRUPT",
            Self::StoreFailed => "STORE_FAILED",
            Self::KmsUnavailable => "KMS_UNAVAILABLE",
            Self::KmsTimeout => "KMS_TIMEOUT",
            Self::KmsTls => "KMS_TLS",
            Self::KmsRedirected => "KMS_REDIRECTED",
            Self::KmsSealed => "KMS_SEALED",
            Self::KmsRateLimited => "KMS_RATE_LIMITED",
            Self::KmsDenied => "KMS_DENIED",
            Self::KmsLogin => "KMS_LOGIN",
            Self::KmsNoLogin => "KMS_NO_LOGIN",
            Self::KmsKeyMissing => "KMS_KEY_MISSING",
            Self::KmsKeyVersion => "KMS_KEY_VERSION",
            Self::KmsRejected => "KMS_REJECTED",
            Self::KmsOtherKek => "KMS_OTHER_KEK",
            Self::KmsProtocol => "KMS_PROTOCOL",
            Self::Overloaded => "OVERLOADED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::StreamIdle => "STREAM_IDLE",
            Self::StreamLifetime => "STREAM_LIFETIME",
            Self::StreamOperations => "STREAM_OPERATIONS",
            Self::Internal => "INTERNAL",
        }
    }
}

fn store_reason(kind: StoreErrorKind) -> Reason {
    match kind {
        StoreErrorKind::Unreachable | StoreErrorKind::Timeout => Reason::StoreUnavailable,
        StoreErrorKind::Tls => Reason::StoreTls,
        StoreErrorKind::Denied => Reason::StoreDenied,
        StoreErrorKind::Schema => Reason::StoreSchema,
        StoreErrorKind::Exists => Reason::ShareIdTaken,
        StoreErrorKind::Conflict => Reason::ShareChanged,
        StoreErrorKind::Corrupt => Reason::StoreCorrupt,
        StoreErrorKind::Failed => Reason::StoreFailed,
    }
}

fn kms_reason(kind: KmsErrorKind) -> Reason {
    match kind {
        KmsErrorKind::Unreachable | KmsErrorKind::Unavailable => Reason::KmsUnavailable,
        KmsErrorKind::Timeout => Reason::KmsTimeout,
        KmsErrorKind::Tls => Reason::KmsTls,
        KmsErrorKind::Redirected => Reason::KmsRedirected,
        KmsErrorKind::Sealed => Reason::KmsSealed,
        KmsErrorKind::RateLimited => Reason::KmsRateLimited,
        KmsErrorKind::Denied => Reason::KmsDenied,
        KmsErrorKind::Login => Reason::KmsLogin,
        KmsErrorKind::NoLogin => Reason::KmsNoLogin,
        KmsErrorKind::KeyMissing => Reason::KmsKeyMissing,
        KmsErrorKind::KeyVersion => Reason::KmsKeyVersion,
        KmsErrorKind::Rejected => Reason::KmsRejected,
        KmsErrorKind::OtherKek => Reason::KmsOtherKek,
        KmsErrorKind::Protocol => Reason::KmsProtocol,
    }
}

fn enclave_reason(error: EnclaveError) -> Reason {
    match error {
        EnclaveError::Exhausted => Reason::Overloaded,
        EnclaveError::Commitment
        | EnclaveError::Tag
        | EnclaveError::PublicKey
        | EnclaveError::Share
        | EnclaveError::TooLong => Reason::EnvelopeUnopened,
        EnclaveError::Payload => Reason::PayloadUnfit,
        EnclaveError::Permit
        | EnclaveError::Unverified
        | EnclaveError::Randomness
        | EnclaveError::Panicked => Reason::Internal,
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

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit {
            field: "payload",
            rule: unfit.0,
        }
    }
}

impl Refusal {
    /// Maps a malformed name to the field that holds it.
    pub fn malformed(field: &'static str) -> impl FnOnce(Malformed) -> Self {
        move |malformed| Self::invalid(field, malformed.0)
    }
}
