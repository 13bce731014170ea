//! The tool as a program: what it says, and that it lets the target go.

use std::{
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{child, children::BEAT, rights::may_look};

/// The example, built like this binary. `cargo test` has built it already; with
/// `--test` it has not.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        let profile = own.parent().unwrap().parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--example", "residue", "--target-dir"])
            .arg(profile.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        // What cargo tells this binary about itself. A build script that watches it
        // would be run again, now and at the next build from outside.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let about = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "OUT_DIR"];
            if about.iter().any(|about| name.starts_with(about)) {
                cargo.env_remove(&*name);
            }
        }
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let program = profile.join("examples/residue");
        match cargo.output() {
            Ok(built) => {
                assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            }
            // Whoever may not run cargo has had it built.
            Err(error) => assert!(program.is_file(), "no cargo: {error}"),
        }
        program
    })
}

fn start(pid: Pid, arguments: &[&str], needles: &str) -> Child {
    let mut tool = Command::new(program())
        .args(["--pid", &pid.as_raw_pid().to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = tool.stdin.take().unwrap();
    stdin.write_all(needles.as_bytes()).unwrap();
    tool
}

fn run(pid: Pid, arguments: &[&str], needles: &str) -> Output {
    start(pid, arguments, needles).wait_with_output().unwrap()
}

fn random() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    hex::encode(bytes)
}

#[track_caller]
fn assert_blind(output: &Output, says: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(says), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn its_exit_code_says_what_it_found() {
    if !may_look(module_path!(), "its_exit_code_says_what_it_found") {
        return;
    }
    let planted = random();
    let here = tempfile::tempdir().unwrap();
    let child = child::start("plants", here.path(), &planted);
    let found = run(child.pid(), &["--samples", "2"], &format!("key bytes {planted}"));
    let text = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(1), "{text}");
    assert!(text.contains("2 samples, 2 with a find"), "{text}");
    let found = run(child.pid(), &["--samples", "2", "--json"], &format!("key dek {planted}"));
    let report: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(report["samples_with_a_find"], 2);
    assert_eq!(report["finds"][0]["needle"], "key");

    let other = random();
    let nothing = run(child.pid(), &["--samples", "2"], &format!("key bytes {other}"));
    let text = String::from_utf8_lossy(&nothing.stdout);
    assert_eq!(nothing.status.code(), Some(0), "{text}");
    assert!(text.contains("2 samples, 0 with a find"), "{text}");
    for output in [found, nothing] {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains(&planted) && !said.contains(&other));
    }
}

#[test]
fn it_says_why_it_could_not_look() {
    if !may_look(module_path!(), "it_says_why_it_could_not_look") {
        return;
    }
    let needle = format!("key bytes {}", random());
    let here = tempfile::tempdir().unwrap();
    let child = child::start("plants", here.path(), &random());
    assert_blind(&run(child.pid(), &[], ""), "nothing to search for");
    assert_blind(&run(child.pid(), &[], "key dek 00"), "have 32 bytes");
    let zeros = format!("key bytes {}", "00".repeat(16));
    assert_blind(&run(child.pid(), &[], &zeros), "too plain");
    let nobody = Pid::from_raw(i32::MAX).unwrap();
    assert_blind(&run(nobody, &[], &needle), "there is no process");
    kill_process(child.pid(), Signal::STOP).unwrap();
    stopped(child.pid(), true);
    assert_blind(&run(child.pid(), &[], &needle), "is stopped or traced already");
    stopped(child.pid(), true);
    kill_process(child.pid(), Signal::CONT).unwrap();
}

/// Neither its end by a signal nor by SIGKILL leaves the target stopped.
#[test]
fn whatever_ends_it_lets_the_target_go() {
    if !may_look(module_path!(), "whatever_ends_it_lets_the_target_go") {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let child = child::start("plants", here.path(), &random());
    let needle = format!("key bytes {}", random());
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut tool = start(child.pid(), &["--samples", "1000000", "--pause", "0"], &needle);
        stopped(child.pid(), true);
        let id = Pid::from_child(&tool);
        kill_process(id, signal).unwrap();
        assert!(!tool.wait().unwrap().success());
        stopped(child.pid(), false);
    }
}

/// Waits until the process is stopped, or until it runs and goes on running.
#[track_caller]
fn stopped(pid: Pid, expected: bool) {
    let give_up = Instant::now() + Duration::from_secs(10);
    let mut same = 0;
    while same < if expected { 1 } else { 10 } {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap();
        let found = stat.rsplit(") ").next().unwrap().starts_with('T');
        same = if found == expected { same + 1 } else { 0 };
        assert!(Instant::now() < give_up, "stopped: {found}");
        if !expected {
            std::thread::sleep(BEAT);
        }
    }
}
