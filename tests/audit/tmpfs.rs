//! A file system that is full, in a real process: a small one in memory, which the
//! environment of tests permits, and which the server alone sees.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::Path,
};

use super::serving::{Load, Serving};
use crate::support::{namespace::unshare, served::Home};

/// It is mounted and loaded before the server starts. Half a MiB, of which a log that is
/// not compressed has 320 KiB at first.
const MOUNT: &str = r#"
    mount -t tmpfs -o size=512k,mode=0700 tmpfs "$1" || exit
    for ballast in first second; do
        head -c 98304 /dev/zero > "$1/$ballast" || exit
    done
    shift
    exec "$@"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_is_full() {
    let Some(mut command) = unshare() else { return };
    let home = Home::embedded();
    let audit = home.path("audit");
    fs::create_dir(&audit).unwrap();
    command.args(["sh", "-c", MOUNT, "sh"]).arg(&audit);
    let serve = home.serve();
    command.arg(serve.get_program()).args(serve.get_args());
    let served = home.start(command).await;
    let root = format!("/proc/{}/root", served.pid().as_raw_pid());
    // Open, it is there when the server is not any more.
    let open = File::open(Path::new(&root).join(audit.strip_prefix("/").unwrap())).unwrap();
    let seen = format!("/proc/self/fd/{}", open.as_raw_fd());
    let seen = Path::new(&seen);
    assert!(fs::read_dir(&audit).unwrap().next().is_none(), "it is written elsewhere");

    let load = Load { calls: 4, streams: 1 };
    let mut serving = Serving::start(served, seen.to_owned(), load).await;
    for ballast in ["first", "second"] {
        serving.clients.rest(false);
        // What is cut off can leave room for a little more, and for another gap.
        let mut held = None;
        while held != Some(serving.clients.held()) {
            held = Some(serving.clients.held());
            serving.each_is_refused(100).await;
        }
        serving.releases_nothing().await;
        // They would have filled it again before anybody saw it.
        serving.clients.rest(true);
        fs::remove_file(seen.join(ballast)).unwrap();
        serving.recovers().await;
        serving.signs().await;
    }
    let (_home, log) = serving.end().await;
    let gaps = log.gaps();
    assert!(gaps.len() >= 2, "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap == "No space left on device (os error 28)"), "{gaps:?}");
    assert!(log.refused("AUDIT_FAILED") > 0);
}
