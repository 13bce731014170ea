//! Processes of this test binary's own, which do what the shipped program has no
//! way to do. Each is a test that is ignored and does nothing unless its parent
//! started it.

use std::{env, process::Command};

const CHILD: &str = "COUNTERSIGN_TEST_CHILD";

/// The command that becomes the child: the ignored test of that full name.
pub fn command(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(CHILD, "1")
        // A panic says as much as it can.
        .env("RUST_BACKTRACE", "full");
    command
}

/// In the child: whether a parent started it.
pub fn is_one() -> bool {
    env::var_os(CHILD).is_some()
}
