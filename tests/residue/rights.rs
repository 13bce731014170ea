//! The right to look into another process: root's, or that of a user namespace.

use std::process::Command;

use rustix::process::getuid;

/// Whether the test that asks may go on. Where this process is not root, the test
/// is run once more as root of a user namespace, both it and what it starts; its
/// failure there is one here.
///
/// `module` is `module_path!()` of the test.
///
/// # Panics
/// There: the test fails; or, with `CI=true`, there are no user namespaces.
pub fn may_look(module: &str, test: &str) -> bool {
    if getuid().is_root() {
        return true;
    }
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]).args(arguments);
        command
    };
    let possible = unshare(&["true"]).output();
    if !possible.is_ok_and(|tried| tried.status.success()) {
        let lacking = "memory of another process is root's to read: run the tests as root, or \
                       allow user namespaces (unshare --user --map-root-user)";
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "{lacking}");
        eprintln!("\n*** SKIPPED, NOT TESTED: {module}::{test}: {lacking} ***\n");
        return false;
    }
    let (_, path) = module.split_once("::").unwrap();
    let own = std::env::current_exe().unwrap();
    let test = format!("{path}::{test}");
    let ran = unshare(&[own.to_str().unwrap(), "--exact", &test, "--nocapture"]).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}{errors}");
    if errors.contains("SKIPPED") {
        eprintln!("{errors}");
    }
    false
}
