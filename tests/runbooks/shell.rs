//! One shell, in which a runbook's commands are given one after the other.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// What stands before an exit status.
const ENDED: &str = "--- ended with ";

/// A running shell. It ends with the value.
pub struct Shell {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Shell {
    /// Starts bash by this command, which ends with its words or begins with another
    /// program's.
    pub fn start(mut command: Command) -> Self {
        command.args(["bash", "--noprofile", "--norc"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (line, lines) = channel();
        thread::spawn(move || {
            for text in output.lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    return;
                }
            }
        });
        writeln!(input, "set -u -o pipefail").unwrap();
        Self { process, input: Some(input), lines }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Gives a command; what it prints on both outputs, and how it exits.
    pub fn run(&mut self, command: &str) -> (String, i32) {
        let input = self.input.as_mut().unwrap();
        // An answer without a newline at its end gets one.
        let end = format!("printf '\\n{ENDED}%s\\n' $?");
        writeln!(input, "{{ {command}\n}} </dev/null 2>&1; {end}").unwrap();
        input.flush().unwrap();
        let mut printed = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no end of `{command}`: {printed}"));
            if let Some(status) = line.strip_prefix(ENDED) {
                // The newline before it was not the command's.
                let printed = printed.strip_suffix('\n').unwrap_or(&printed);
                return (printed.to_owned(), status.parse().unwrap());
            }
            printed.push_str(&line);
            printed.push('\n');
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // At the end of its input it ends.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
