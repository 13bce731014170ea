//! What a refusal must look like to a caller.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Asserts the code and the reason, and what every refusal has: the domain, a
/// request id, and no detail beyond the four named types.
#[track_caller]
pub fn assert_refused(status: &Status, code: Code, reason: &str) {
    let details = status.get_error_details();
    let info = details.error_info().expect("every refusal has an ErrorInfo");
    assert_eq!((status.code(), &*info.reason), (code, reason), "{status:?}");
    assert_eq!(info.domain, "countersign");
    assert!(details.request_info().is_some_and(|info| !info.request_id.is_empty()));
    let four = [
        "google.rpc.ErrorInfo",
        "google.rpc.RequestInfo",
        "google.rpc.RetryInfo",
        "google.rpc.BadRequest",
    ];
    for url in detail_types(status) {
        assert!(four.iter().any(|name| url.ends_with(name)), "{url}");
    }
}

/// Asserts a refusal for bad input, of this field.
#[track_caller]
pub fn assert_invalid(status: &Status, field: &str) {
    assert_bad(status, field, "INVALID_REQUEST");
}

/// Asserts a refusal for input that does not go with the share's algorithm.
#[track_caller]
pub fn assert_unfit(status: &Status, field: &str) {
    assert_bad(status, field, "PAYLOAD_UNFIT");
}

#[track_caller]
fn assert_bad(status: &Status, field: &str, reason: &str) {
    assert_refused(status, Code::InvalidArgument, reason);
    let details = status.get_error_details();
    let bad = details.bad_request().expect("bad input has a BadRequest");
    assert_eq!(bad.field_violations.len(), 1);
    assert_eq!(bad.field_violations[0].field, field, "{status:?}");
    assert!(!bad.field_violations[0].description.is_empty());
    assert!(details.retry_info().is_none(), "a retry cannot help");
}

fn detail_types(status: &Status) -> Vec<String> {
    use prost::Message;

    /// `google.rpc.Status`, as far as its details.
    #[derive(Clone, PartialEq, Message)]
    struct Rich {
        #[prost(message, repeated, tag = "3")]
        details: Vec<prost_types::Any>,
    }
    let rich = Rich::decode(status.details()).unwrap();
    rich.details.into_iter().map(|any| any.type_url).collect()
}
