//! `countersign health`, as a probe and as somebody who watches.

use std::{
    io::{BufRead, BufReader},
    os::unix::net::UnixListener,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::served::{Home, binary};

/// What connects and is never answered: the probe ends by itself.
#[test]
fn a_probe_does_not_wait_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("mute.sock");
    let _mute = UnixListener::bind(&socket).unwrap();
    let mut probe = Command::new(binary());
    let ended = probe.args(["health", "--socket"]).arg(&socket).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("readiness: no answer in 2 s"), "{said}");
}

/// Through an end and a new start.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_printed() {
    let home = Home::embedded();
    let mut command = Command::new(binary());
    command.args(["health", "--watch", "--socket"]).arg(home.path("run/enclave.sock"));
    let mut watching = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(watching.0.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "readiness: nobody answers");
    let serve = home.serve();
    let served = home.start(serve).await;
    // The first look at store and KMS may be under way.
    let mut line = next();
    if line == "readiness: not serving" {
        line = next();
    }
    assert_eq!(line, "readiness: serving");
    let home = served.stop_keeping();
    assert_eq!(next(), "readiness: not serving");
    assert_eq!(next(), "readiness: nobody answers");
    std::fs::remove_file(home.path("log")).unwrap();
    let serve = home.serve();
    let served = home.start(serve).await;
    while next() != "readiness: serving" {}
    kill_process(Pid::from_child(&watching.0), Signal::TERM).unwrap();
    assert!(watching.0.wait().unwrap().success());
    served.stop();
}

/// Ends with the test, also where that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
