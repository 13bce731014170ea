//! The one mapping from refusals to what the caller sees, and the only way for
//! an error to leave.
//!
//! The caller gets a code, a constant text, and details of four types at most:
//! ErrorInfo (always), RequestInfo (always), BadRequest (for bad input) and
//! RetryInfo (exactly where a retry of the same call can help).

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::codec;
use crate::{
    key::RequestId,
    refusal::{Reason, Refusal},
};

/// The domain of every ErrorInfo.
pub const DOMAIN: &str = "countersign";

/// What the caller is told for a reason.
pub struct Told {
    /// The gRPC code.
    pub code: Code,
    /// The text; for bad input the field and its rule stand in its place.
    pub text: &'static str,
    /// When to retry, where a retry can help.
    pub retry: Option<Duration>,
}

/// What the caller is told.
pub fn told(reason: Reason) -> Told {
    use Code::{
        Aborted, AlreadyExists, DataLoss, DeadlineExceeded, FailedPrecondition, Internal,
        InvalidArgument, PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable,
        Unimplemented,
    };
    let never = |code, text| (code, text, None);
    let after = |code, text, millis| (code, text, Some(Duration::from_millis(millis)));
    let (code, text, retry) = match reason {
        Reason::InvalidRequest => never(InvalidArgument, "the request is malformed"),
        Reason::PayloadUnfit => never(InvalidArgument, "the payload does not fit the algorithm"),
        Reason::Unsupported => never(
            Unimplemented,
            "there is no such call, or its messages have an encoding that is not offered",
        ),
        Reason::StreamNotOpened => never(InvalidArgument, "the first frame must be `open`"),
        Reason::StreamOpenedTwice => never(InvalidArgument, "a stream has one `open` only"),
        Reason::CallerUnknown => never(Unauthenticated, "the peer is no known caller"),
        Reason::PolicyDenied => {
            never(PermissionDenied, "policy does not permit this, or there is no such share")
        }
        Reason::PolicyFailed => never(PermissionDenied, "a policy could not be evaluated"),
        Reason::ShareDisabled => never(FailedPrecondition, "the share is disabled"),
        Reason::ShareOpaque => never(
            FailedPrecondition,
            "the share is one party's of a key that signs with others: it needs their signing \
             ceremony, which this version does not have",
        ),
        Reason::ShareEnabled => never(FailedPrecondition, "the share is enabled: disable it first"),
        Reason::DestructionNotDue => never(
            FailedPrecondition,
            "the share may not be destroyed yet: its destruction was not asked for, or it still waits",
        ),
        Reason::AddressMismatch => {
            never(FailedPrecondition, "the share is bound to another account address than expected")
        }
        Reason::RecordVersionTooOld => {
            never(FailedPrecondition, "the record has a lower version than the request accepts")
        }
        Reason::ShareExists => never(AlreadyExists, "this share exists already"),
        Reason::ShareIdTaken => never(AlreadyExists, "another share has this id"),
        Reason::ImportKeyUnusable => never(
            FailedPrecondition,
            "this instance has no such key for an import, or no longer: get another and seal anew",
        ),
        Reason::ImportUnopened => never(
            InvalidArgument,
            "the sealed share does not open: it was altered, or sealed for something else",
        ),
        Reason::ImportInvalid => never(
            InvalidArgument,
            "what was sealed is no key of the algorithm, or none that is safe to use",
        ),
        Reason::ImportMismatch => {
            never(InvalidArgument, "what was sealed belongs to another public key or address")
        }
        Reason::ShareChanged => after(Aborted, "the share changed meanwhile: read it again", 50),
        Reason::RevisionMismatch => {
            never(Aborted, "the share is not at the expected revision: read it and decide anew")
        }
        Reason::EnvelopeInvalid => never(DataLoss, "the record holds no readable envelope"),
        Reason::EnvelopeMismatch => never(DataLoss, "the envelope belongs to another record"),
        Reason::EnvelopeUnopened => never(DataLoss, "the envelope does not open"),
        Reason::StoreUnavailable => after(Unavailable, "the store cannot be reached", 1000),
        Reason::StoreTls => never(FailedPrecondition, "the store's TLS is not acceptable"),
        Reason::StoreDenied => never(FailedPrecondition, "the store denies access"),
        Reason::StoreSchema => never(FailedPrecondition, "the store's schema does not fit"),
        Reason::StoreCorrupt => never(DataLoss, "the record is not readable"),
        Reason::StoreLacks => never(FailedPrecondition, "the store cannot do this"),
        Reason::StoreFailed => never(Internal, "the store failed"),
        Reason::KmsUnavailable => after(Unavailable, "the KMS cannot be reached", 1000),
        Reason::KmsTimeout => after(Unavailable, "the KMS did not answer in time", 1000),
        Reason::KmsTls => never(FailedPrecondition, "the KMS's TLS is not acceptable"),
        Reason::KmsRedirected => never(FailedPrecondition, "the KMS redirects elsewhere"),
        Reason::KmsSealed => after(Unavailable, "the KMS is sealed", 5000),
        Reason::KmsRateLimited => after(ResourceExhausted, "the KMS limits the rate", 1000),
        Reason::KmsDenied => never(FailedPrecondition, "the KMS denies the operation"),
        Reason::KmsLogin => after(Unavailable, "the KMS does not accept the login", 5000),
        Reason::KmsNoLogin => {
            never(FailedPrecondition, "this enclave has no login at the KMS for the operation")
        }
        Reason::KmsKeyMissing => never(FailedPrecondition, "the KMS has no such key"),
        Reason::KmsKeyVersion => never(
            FailedPrecondition,
            "the KMS no longer accepts the key version that wrapped this share",
        ),
        Reason::KmsRejected => never(DataLoss, "the KMS cannot unwrap this record"),
        Reason::KmsOtherKek => never(FailedPrecondition, "another KEK wraps this record"),
        Reason::KmsProtocol => never(FailedPrecondition, "the KMS's answer makes no sense"),
        Reason::AuditFailed => {
            after(Internal, "the request cannot be recorded: nothing was released", 1000)
        }
        Reason::Overloaded => after(ResourceExhausted, "too many requests are in flight", 100),
        Reason::CallerRate => after(ResourceExhausted, "the caller's rate is exceeded", 1),
        Reason::ShareRate => after(ResourceExhausted, "the share's rate is exceeded", 1),
        Reason::DeadlineExceeded => never(DeadlineExceeded, "the deadline passed"),
        Reason::ShuttingDown => after(Unavailable, "the enclave is shutting down", 1000),
        Reason::StreamIdle => never(DeadlineExceeded, "the stream was idle for too long"),
        Reason::StreamLifetime => never(DeadlineExceeded, "the stream's lifetime is over"),
        Reason::StreamOperations => {
            never(ResourceExhausted, "the stream's operations are used: open a new one")
        }
        Reason::Internal => never(Internal, "a fault of the enclave"),
    };
    Told { code, text, retry }
}

/// The status of a refusal. Its `Display` goes into the request's span, for the
/// log; nothing of it into the status.
pub fn refuse(refusal: &Refusal, request_id: &RequestId) -> Status {
    let reason = refusal.reason();
    let span = tracing::Span::current();
    span.record("reason", reason.as_str());
    span.record("detail", tracing::field::display(refusal));
    status(refusal, request_id)
}

fn status(refusal: &Refusal, request_id: &RequestId) -> Status {
    let reason = refusal.reason();
    let Told { code, text, retry } = told(reason);
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str(), DOMAIN, metadata(refusal));
    details.set_request_info(request_id.as_str(), "");
    let (frame, refusal) = match refusal {
        Refusal::Frame { id, refusal } => (Some(id), &**refusal),
        refusal => (None, refusal),
    };
    let retry = match refusal {
        Refusal::Kms(error) => error.retry_after.filter(|_| retry.is_some()).or(retry),
        Refusal::TooFast(too_fast) => Some(too_fast.wait),
        _ => retry,
    };
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    let mut message = frame.map_or_else(String::new, |id| format!("frame {id}: "));
    if let Refusal::Invalid { field, rule } | Refusal::Unfit { field, rule } = refusal {
        details.add_bad_request_violation(*field, *rule);
        message.extend([field, ": ", rule]);
    } else {
        message.push_str(text);
    }
    Status::with_error_details(code, message, details)
}

fn metadata(refusal: &Refusal) -> HashMap<String, String> {
    let entry = match refusal {
        Refusal::ShareExists { public_key } => {
            Some(("public_key", hex::encode(public_key.as_bytes())))
        }
        Refusal::DestructionNotDue(Some(after)) => {
            Some(("destroy_after", humantime::format_rfc3339_seconds(*after).to_string()))
        }
        _ => None,
    };
    entry.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The name of a code as the gRPC documents write it: in logs, metrics and on the
/// command line.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Gives a status that the gRPC library made of an undecodable or oversize
/// message the form of ours: such input is malformed, and nothing was done.
pub fn adopt(foreign: &Status, request_id: &RequestId) -> Status {
    let refusal = match foreign.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            Refusal::invalid("message", "is longer than this service accepts (128 KiB)")
        }
        Code::Unimplemented => Refusal::Unsupported,
        codec::UNKNOWN_FIELD => {
            Refusal::invalid("message", "has a field that this version does not know")
        }
        Code::Internal | Code::InvalidArgument => {
            Refusal::invalid("message", "is not a protobuf message of the expected type")
        }
        _ => Refusal::Panicked,
    };
    refuse(&refusal, request_id)
}
