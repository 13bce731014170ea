//! Processes of this binary's own, which do what the shipped binary has no way to
//! do. Each is a test that is ignored and does nothing unless its parent started
//! it.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use rustix::process::Pid;

use crate::support::child;
pub use crate::support::child::is_one;

const READY: &str = "READY ";

/// A child. Killed with the value.
pub struct Running {
    child: Child,
    /// Held open: its end is what ends the child.
    _lifeline: ChildStdin,
    /// What it said when it was ready.
    pub said: String,
}

/// Starts the child `test` of this module in `directory`, tells it `line`, and
/// waits until it is ready.
pub fn start(test: &str, directory: &Path, line: &str) -> Running {
    let log = directory.join("stderr");
    let mut child = command(test)
        .stderr(fs::File::create(&log).unwrap())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{line}").unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    let said = loop {
        let from = text.len();
        if out.read_line(&mut text).unwrap() == 0 {
            panic!("it ended: {text}{}", fs::read_to_string(log).unwrap());
        }
        // The harness does not end its own line before a test's first.
        if let Some((_, said)) = text[from..].split_once(READY) {
            break said.trim().to_owned();
        }
    };
    thread::spawn(move || io::copy(&mut out, &mut io::sink()));
    Running { child, _lifeline: stdin, said }
}

/// The command that becomes the child `test`.
fn command(test: &str) -> Command {
    child::command(&format!("residue::children::{test}"))
}

/// In the child: the parent's line.
pub fn told() -> String {
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// In the child: it is ready, and says so.
pub fn ready(said: &str) {
    println!("{READY}{said}");
    io::stdout().flush().unwrap();
}

/// In the child: waits for the parent's end, or for its word.
pub fn wait() {
    let _ = io::stdin().read_line(&mut String::new());
}

impl Running {
    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
