//! Records as events of OCSF, the Open Cybersecurity Schema Framework (schema.ocsf.io):
//! API Activity and Application Lifecycle of its category Application Activity.

use std::time::SystemTime;

use serde::Serialize;

use crate::audit::record::{Ended, Event, Outcome, Record, Refused, Request};

/// The version of the schema.
const VERSION: &str = "1.3.0";
const CATEGORY: u32 = 6;
/// API Activity: every request.
const API_ACTIVITY: u32 = 6003;
/// Application Lifecycle: starts and stops.
const LIFECYCLE: u32 = 6002;
/// An activity that has no number.
const OTHER: u32 = 99;

/// An event; the names are the schema's.
#[derive(Serialize)]
pub struct Ocsf<'r> {
    category_uid: u32,
    class_uid: u32,
    activity_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity_name: Option<&'static str>,
    type_uid: u32,
    severity_id: u32,
    /// Milliseconds since 1970.
    time: u64,
    metadata: Metadata<'r>,
    #[serde(flatten)]
    what: What<'r>,
    /// The record, whole.
    unmapped: &'r Record,
}

#[derive(Serialize)]
struct Metadata<'r> {
    version: &'static str,
    product: Product,
    log_name: &'static str,
    sequence: u64,
    uid: String,
    original_time: &'r str,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// What the classes have of their own.
#[derive(Serialize)]
#[serde(untagged)]
enum What<'r> {
    Api(Box<Api<'r>>),
    Lifecycle { app: Product },
}

#[derive(Serialize)]
struct Api<'r> {
    actor: Actor<'r>,
    api: Operation<'r>,
    src_endpoint: Named<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<[Resource<'r>; 1]>,
    status_id: u32,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<&'r str>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

#[derive(Serialize)]
struct Actor<'r> {
    user: Named<'r>,
}

#[derive(Serialize)]
struct Named<'r> {
    name: &'r str,
}

#[derive(Serialize)]
struct Operation<'r> {
    operation: &'r str,
    service: Named<'static>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Uid<'r>>,
}

#[derive(Serialize)]
struct Uid<'r> {
    uid: &'r str,
}

#[derive(Serialize)]
struct Resource<'r> {
    uid: &'r str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Uid<'r>>,
}

/// A record as an event; none where the schema has no class for it.
pub fn event(record: &Record) -> Option<Ocsf<'_>> {
    let (class_uid, activity_id, activity_name, what) = match &record.event {
        Event::Request(request) => {
            let (activity, name) = activity(&request.action);
            (API_ACTIVITY, activity, name, What::Api(Box::new(of_request(request))))
        }
        Event::Refused(refused) => {
            (API_ACTIVITY, OTHER, Some("Refuse"), What::Api(Box::new(of_refused(refused))))
        }
        Event::Started(start) => {
            let app = countersign(Some(start.version.clone()));
            (LIFECYCLE, 3, Some("Start"), What::Lifecycle { app })
        }
        Event::Stopped => (LIFECYCLE, 4, Some("Stop"), What::Lifecycle { app: countersign(None) }),
        _ => return None,
    };
    let time = record.time.moment().unwrap_or(SystemTime::UNIX_EPOCH);
    let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    Some(Ocsf {
        category_uid: CATEGORY,
        class_uid,
        activity_id,
        activity_name,
        type_uid: class_uid * 100 + activity_id,
        severity_id: 1,
        time: u64::try_from(time).unwrap_or(u64::MAX),
        metadata: Metadata {
            version: VERSION,
            product: countersign(None),
            log_name: "audit",
            sequence: record.seq,
            uid: format!("{}-{}", record.boot, record.seq),
            original_time: record.time.as_str(),
        },
        what,
        unmapped: record,
    })
}

fn countersign(version: Option<String>) -> Product {
    Product { name: "countersign", vendor_name: "countersign", version }
}

/// Create, Read, Update, or one that has no number: a use.
fn activity(action: &str) -> (u32, Option<&'static str>) {
    match action {
        "GenerateShare" | "GetImportKey" | "ImportShare" => (1, None),
        "GetPublicKey" | "ListShares" | "GetShare" => (2, None),
        "DisableShare"
        | "EnableShare"
        | "ScheduleDestruction"
        | "ReencryptShare"
        | "RewrapShare" => (3, None),
        "DestroyShare" | "ShredShare" => (4, None),
        _ => (OTHER, Some("Use")),
    }
}

fn of_request(request: &Request) -> Api<'_> {
    let ended = request.ended.as_ref();
    let (status_id, status) = match ended.map(|ended| ended.outcome) {
        Some(Outcome::Signed | Outcome::Done) => (1, "Success"),
        Some(Outcome::Denied | Outcome::Failed | Outcome::Cancelled) => (2, "Failure"),
        Some(Outcome::Indeterminate) | None => (0, "Unknown"),
    };
    let detail = |ended: &'_ Ended| ended.outcome.as_str();
    let reason = ended.and_then(|ended| ended.reason.as_deref());
    let share = request.share.as_deref();
    Api {
        status_id,
        status,
        status_detail: reason.or(ended.map(detail)),
        duration: ended.and_then(|ended| ended.duration_us).map(|micros| micros / 1000),
        resources: share.map(|uid| {
            let group = request.wallet.as_deref().map(|uid| Uid { uid });
            [Resource { uid, r#type: "key share", group }]
        }),
        ..api(&request.caller, &request.action, Some(&request.request_id))
    }
}

fn of_refused(refused: &Refused) -> Api<'_> {
    let caller = refused.caller.as_deref().unwrap_or("unknown");
    Api {
        status_detail: Some(&refused.reason),
        count: Some(refused.count),
        ..api(caller, "refused before policy", None)
    }
}

fn api<'r>(caller: &'r str, operation: &'r str, request: Option<&'r str>) -> Api<'r> {
    let request = request.map(|uid| Uid { uid });
    Api {
        actor: Actor { user: Named { name: caller } },
        api: Operation { operation, service: Named { name: "countersign.v1" }, request },
        src_endpoint: Named { name: caller },
        resources: None,
        status_id: 2,
        status: "Failure",
        status_detail: None,
        duration: None,
        count: None,
    }
}
