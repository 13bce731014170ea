//! What leaves the process in a span, by OpenTelemetry's names where it has some: a list of
//! what may, so that a field which is added for the log does not.

use opentelemetry::{
    Key, KeyValue, Value,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::trace::SpanData;
use tonic::Code;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Fields of a request's span, and what they are called outside. Never a payload, a digest,
/// a signature, nor the detail of a refusal, which is for this host's log.
const FIELDS: [(&str, &str); 6] = [
    ("request_id", "countersign.request_id"),
    ("caller", "countersign.caller"),
    ("share", "countersign.share"),
    ("payload_kind", "countersign.payload_kind"),
    ("kms_request_id", "countersign.kms_request_id"),
    ("reason", "error.type"),
];
const METHOD: &str = "method";
const SERVICE: &str = "rpc.service";
const STAGE: &str = "stage";
const CODE: &str = "rpc.grpc.status_code";

/// Notes whose method a request calls.
pub fn note_service(span: &Span, name: &'static str) {
    span.set_attribute(SERVICE, name);
}

/// Notes how a request ended.
pub fn note_code(span: &Span, code: Code) {
    span.set_attribute(CODE, i64::from(i32::from(code)));
}

/// The same span with what may leave.
pub(super) fn outward(mut span: SpanData) -> SpanData {
    let fields = std::mem::take(&mut span.attributes);
    let find = |name: &str| fields.iter().find(|field| field.key.as_str() == name);
    if let Some(stage) = find(STAGE) {
        span.name = stage.value.as_str().into_owned().into();
        return span;
    }
    span.span_kind = SpanKind::Server;
    if let (Some(service), Some(method)) = (find(SERVICE), find(METHOD)) {
        span.name = format!("{}/{}", service.value.as_str(), method.value.as_str()).into();
        span.attributes = vec![
            KeyValue::new("rpc.system", "grpc"),
            service.clone(),
            KeyValue::new("rpc.method", method.value.clone()),
        ];
    }
    span.attributes.extend(FIELDS.iter().filter_map(|(field, name)| {
        let found = find(field)?;
        Some(KeyValue::new(Key::from_static_str(name), found.value.clone()))
    }));
    span.status = Status::Unset;
    if let Some(code) = find(CODE) {
        span.attributes.push(code.clone());
        if is_fault(&code.value) {
            span.status = Status::error(String::new());
        }
    }
    span
}

/// Whether a server's span is one of an error (OpenTelemetry's conventions for gRPC): what
/// the caller did wrong is none.
fn is_fault(code: &Value) -> bool {
    let Value::I64(code) = code else { return false };
    let code = i32::try_from(*code).map_or(Code::Unknown, Code::from_i32);
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
