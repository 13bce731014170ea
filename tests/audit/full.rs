//! No room for the log, in a real process: nothing is signed, readiness is off, and it
//! recovers by itself. The room is RLIMIT_FSIZE, which cuts a write short and refuses the
//! next, as a full file system does.

use std::process::Command;

use countersign::audit::record::Outcome;
use rustix::process::{Resource, Rlimit, prlimit};
use tonic::Code;

use super::Log;
use crate::support::{
    refused::assert_refused,
    served::{Home, Served},
};

/// Nothing is written behind so many bytes of a file, from now on.
fn limit(served: &Served, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(served.pid()), Resource::Fsize, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_nothing_is_signed_and_with_room_it_goes_on() {
    let home = Home::embedded();
    let serve = home.serve();
    // Whom the limit would end otherwise.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' XFSZ && exec \"$0\" \"$@\""]);
    command.arg(serve.get_program()).args(serve.get_args());
    let served = home.start(command).await;
    let share = served.generate().await;
    let audit = served.home.path("audit");
    let mut signed = 0;
    // Also the server's own log, which nobody can rely on either.
    for room in [0, 1, 100, 500] {
        served.sign(&share).await.unwrap();
        limit(&served, Some(room));
        assert_refused(&served.sign(&share).await.unwrap_err(), Code::Internal, "AUDIT_FAILED");
        served.until("readiness is off", |served| served.metric("ready") == Some(0)).await;
        assert_refused(&served.sign(&share).await.unwrap_err(), Code::Internal, "AUDIT_FAILED");
        assert_refused(&served.sign(&share).await.unwrap_err(), Code::Internal, "AUDIT_FAILED");
        limit(&served, None);
        served.until("readiness is back", |served| served.metric("ready") == Some(1)).await;
        served.sign(&share).await.unwrap();
        signed += 2;
    }
    let home = served.stop_keeping();
    let log = Log::read(&audit);
    let outcomes = log.requests.values().filter(|(_, ended)| ended.outcome == Outcome::Signed);
    assert_eq!(outcomes.count(), signed);
    // What was refused meanwhile is counted, by its caller.
    assert!(log.refused("AUDIT_FAILED") > 0);
    assert_eq!(log.gaps().len(), 4);
    drop(home);
}
