//! Processes with a view of their own of what is mounted where.

use std::process::Command;

use rustix::process::getuid;

use super::kernel::lacking;

/// Runs the command that is added to it, which may mount; none, said loudly, where nobody
/// may.
pub fn unshare() -> Option<Command> {
    let possible = command().arg("true").status().is_ok_and(|status| status.success());
    if !possible {
        lacking("a mount namespace (unshare of util-linux, as root or with user namespaces)");
    }
    possible.then(command)
}

fn command() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !getuid().is_root() {
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    command
}
