//! A process that starts while the one before still ends: it waits for the audit log, which
//! one process writes.

use std::{fs, path::Path, process::Command, time::Duration};

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::support::{
    served::{Home, Served},
    supervisor::Server,
};

const WAITS: &str = "waiting for its end";

/// Who has the same log, store and KEK as `served`, and a socket of its own, as the next pod
/// has.
fn heir(served: &Served) -> Home {
    let heir = Home::embedded();
    let [own, others] = [&heir, &served.home].map(|home| home.path("run").display().to_string());
    let document = fs::read_to_string(served.home.config()).unwrap();
    let port = |home: &Home| format!("\"127.0.0.1:{}\"", home.metrics);
    let document = document.replace(&others, &own).replace(&port(&served.home), &port(&heir));
    fs::write(heir.config(), document).unwrap();
    heir
}

async fn until_it_says(what: &str, log: &Path) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string(log).unwrap_or_default().contains(what) {
        assert!(Instant::now() < give_up, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_waits_for_the_log() {
    let home = Home::embedded();
    let serve = home.serve();
    let served = home.start(serve).await;
    let share = served.generate().await;
    let heir = heir(&served);
    let (log, serve) = (heir.path("log"), heir.serve());
    let heir = tokio::spawn(heir.start(serve));
    until_it_says(WAITS, &log).await;
    served.sign(&share).await.unwrap();
    let home = served.stop_keeping();
    let heir = heir.await.unwrap();
    heir.sign(&share).await.unwrap();
    heir.stop();
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_log_ends_when_told() {
    let home = Home::embedded();
    let serve = home.serve();
    let served = home.start(serve).await;
    let heir = heir(&served);
    let log = heir.path("log");
    let waiting = Server::start(&mut heir.serve(), &log);
    until_it_says(WAITS, &log).await;
    waiting.stop(Signal::TERM);
    until_it_says("Stopped before it was ready", &log).await;
    assert!(!heir.path("run/enclave.sock").exists());
    served.stop();
}

/// A mistake, and no succession: it is said after a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stays_another_process_s_is_refused() {
    let home = Home::embedded();
    let serve = home.serve();
    let served = home.start(serve).await;
    let heir = heir(&served);
    let mut command: Command = heir.serve();
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let why = "another process writes this log: give every process its own directory";
    assert!(said.contains(why), "{said}");
    assert!(!heir.path("run/enclave.sock").exists());
    served.stop();
}
