//! A confined process of this test binary, for what the server never does: it is
//! started anew with the name of a test that is otherwise ignored.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ExitStatus, Stdio},
};

use crate::support::child;

/// Which of its tasks a child has, and the directory that it works on.
const TASK: &str = "COUNTERSIGN_TEST_TASK";
const HOME: &str = "COUNTERSIGN_TEST_HOME";

/// A running child.
pub struct Confined(Child);

impl Confined {
    /// Starts `test`, which is ignored otherwise.
    pub fn start(test: &str, task: &str, home: &Path) -> Self {
        let child = child::command(test)
            .env(TASK, task)
            .env(HOME, home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Waits for a line of the child; then it goes on.
    pub fn reach(&mut self, line: &str, change: impl FnOnce()) {
        let mut output = BufReader::new(self.0.stdout.as_mut().unwrap());
        let mut found = String::new();
        while !found.contains(line) {
            found.clear();
            if output.read_line(&mut found).unwrap() == 0 {
                let mut errors = String::new();
                let stderr = self.0.stderr.as_mut().unwrap();
                stderr.read_to_string(&mut errors).unwrap();
                panic!("it ended before {line:?}: {errors}");
            }
        }
        change();
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// How it ended, and what it wrote to standard error.
    pub fn end(self) -> (ExitStatus, String) {
        let output = self.0.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status, errors)
    }
}

/// The child's task; none when somebody runs ignored tests by hand.
pub fn task() -> Option<String> {
    env::var(TASK).ok()
}

/// The child's directory.
pub fn home() -> std::path::PathBuf {
    env::var_os(HOME).unwrap().into()
}

/// Lets the parent do something.
pub fn pause(line: &str) {
    println!("{line}");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
