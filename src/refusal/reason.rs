//! Reasons: the stable names of refusals, and which refusal has which.

use super::{ImportError, Refusal, StreamEnd};
use crate::{
    enclave::EnclaveError, kms::KmsErrorKind, permitted::RecordError, policy::DeniedReason,
    rate::Limit, store::StoreErrorKind,
};

/// The stable name of a refusal: what programs compare, in ErrorInfo.reason.
/// `docs/errors.md` says what the app and the operator do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "docs/errors.md documents each, and a test compares")]
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
    ShareOpaque,
    ShareEnabled,
    DestructionNotDue,
    AddressMismatch,
    RecordVersionTooOld,
    ShareExists,
    ShareIdTaken,
    ImportKeyUnusable,
    ImportUnopened,
    ImportInvalid,
    ImportMismatch,
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
    StoreLacks,
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
    AuditFailed,
    Overloaded,
    CallerRate,
    ShareRate,
    DeadlineExceeded,
    ShuttingDown,
    StreamIdle,
    StreamLifetime,
    StreamOperations,
    Internal,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 56] = [
        Self::InvalidRequest,
        Self::PayloadUnfit,
        Self::Unsupported,
        Self::StreamNotOpened,
        Self::StreamOpenedTwice,
        Self::CallerUnknown,
        Self::PolicyDenied,
        Self::PolicyFailed,
        Self::ShareDisabled,
        Self::ShareOpaque,
        Self::ShareEnabled,
        Self::DestructionNotDue,
        Self::AddressMismatch,
        Self::RecordVersionTooOld,
        Self::ShareExists,
        Self::ShareIdTaken,
        Self::ImportKeyUnusable,
        Self::ImportUnopened,
        Self::ImportInvalid,
        Self::ImportMismatch,
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
        Self::StoreLacks,
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
        Self::AuditFailed,
        Self::Overloaded,
        Self::CallerRate,
        Self::ShareRate,
        Self::DeadlineExceeded,
        Self::ShuttingDown,
        Self::StreamIdle,
        Self::StreamLifetime,
        Self::StreamOperations,
        Self::Internal,
    ];

    /// The reason with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

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
            Self::ShareOpaque => "SHARE_OPAQUE",
            Self::ShareEnabled => "SHARE_ENABLED",
            Self::DestructionNotDue => "DESTRUCTION_NOT_DUE",
            Self::AddressMismatch => "ADDRESS_MISMATCH",
            Self::RecordVersionTooOld => "RECORD_VERSION_TOO_OLD",
            Self::ShareExists => "SHARE_EXISTS",
            Self::ShareIdTaken => "SHARE_ID_TAKEN",
            Self::ImportKeyUnusable => "IMPORT_KEY_UNUSABLE",
            Self::ImportUnopened => "IMPORT_UNOPENED",
            Self::ImportInvalid => "IMPORT_INVALID",
            Self::ImportMismatch => "IMPORT_MISMATCH",
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
            Self::StoreLacks => "STORE_LACKS",
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
            Self::AuditFailed => "AUDIT_FAILED",
            Self::Overloaded => "OVERLOADED",
            Self::CallerRate => "CALLER_RATE",
            Self::ShareRate => "SHARE_RATE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::StreamIdle => "STREAM_IDLE",
            Self::StreamLifetime => "STREAM_LIFETIME",
            Self::StreamOperations => "STREAM_OPERATIONS",
            Self::Internal => "INTERNAL",
        }
    }
}

impl Refusal {
    /// The stable name.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid { .. } => Reason::InvalidRequest,
            Self::Unfit { .. } => Reason::PayloadUnfit,
            Self::Frame { refusal, .. } => refusal.reason(),
            Self::Unsupported => Reason::Unsupported,
            Self::RevisionMismatch { .. } => Reason::RevisionMismatch,
            Self::CallerUnknown(_) => Reason::CallerUnknown,
            Self::Denied(denied) => match denied.reason {
                DeniedReason::NotPermitted => Reason::PolicyDenied,
                DeniedReason::Evaluation => Reason::PolicyFailed,
            },
            Self::ShareDisabled => Reason::ShareDisabled,
            Self::ShareOpaque => Reason::ShareOpaque,
            Self::ShareEnabled => Reason::ShareEnabled,
            Self::DestructionNotDue(_) => Reason::DestructionNotDue,
            Self::AddressMismatch { .. } => Reason::AddressMismatch,
            Self::RecordVersionTooOld { .. } => Reason::RecordVersionTooOld,
            Self::ShareExists { .. } => Reason::ShareExists,
            Self::ShareIdTaken => Reason::ShareIdTaken,
            Self::Import(ImportError::Key) => Reason::ImportKeyUnusable,
            Self::Import(ImportError::Unopened) => Reason::ImportUnopened,
            Self::Import(ImportError::NoKey) => Reason::ImportInvalid,
            Self::Import(ImportError::OtherKey) => Reason::ImportMismatch,
            Self::ShareChanged(_) | Self::Record(RecordError::Changed) => Reason::ShareChanged,
            Self::Record(RecordError::Envelope(_)) => Reason::EnvelopeInvalid,
            Self::Record(RecordError::Mismatch(_)) => Reason::EnvelopeMismatch,
            Self::Store(error) => store_reason(error.kind),
            Self::Kms(error) => kms_reason(error.kind),
            Self::Enclave(error) => enclave_reason(*error),
            Self::Audit(_) | Self::Identity(_) => Reason::AuditFailed,
            Self::Overloaded(_) => Reason::Overloaded,
            Self::TooFast(too_fast) => match too_fast.limit {
                Limit::Caller => Reason::CallerRate,
                Limit::Share => Reason::ShareRate,
            },
            Self::Deadline | Self::Gone => Reason::DeadlineExceeded,
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

fn store_reason(kind: StoreErrorKind) -> Reason {
    match kind {
        StoreErrorKind::Unreachable | StoreErrorKind::Timeout => Reason::StoreUnavailable,
        StoreErrorKind::Tls => Reason::StoreTls,
        StoreErrorKind::Denied => Reason::StoreDenied,
        StoreErrorKind::Schema => Reason::StoreSchema,
        StoreErrorKind::Exists => Reason::ShareIdTaken,
        StoreErrorKind::Conflict => Reason::ShareChanged,
        StoreErrorKind::Corrupt => Reason::StoreCorrupt,
        StoreErrorKind::Lacking => Reason::StoreLacks,
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
        KmsErrorKind::Enclave(error) => enclave_reason(error),
    }
}

fn enclave_reason(error: EnclaveError) -> Reason {
    match error {
        EnclaveError::Exhausted => Reason::Overloaded,
        EnclaveError::Commitment
        | EnclaveError::Tag
        | EnclaveError::PublicKey
        | EnclaveError::Share
        | EnclaveError::Import
        | EnclaveError::TooLong => Reason::EnvelopeUnopened,
        EnclaveError::Payload => Reason::PayloadUnfit,
        EnclaveError::Permit
        | EnclaveError::Unverified
        | EnclaveError::Randomness
        | EnclaveError::Panicked => Reason::Internal,
    }
}
