//! Server processes that end with the test run, also when it is interrupted.
//!
//! Each server runs under a small shell that holds the reading end of a pipe.
//! The writing end belongs to this process and is closed by the kernel when it
//! ends, however it ends (PDEATHSIG would fire with the spawning *thread*); at
//! end of file the shell kills its whole process group, so that a server's own
//! children go too.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

const SUPERVISE: &str = r#"
    "$@" >&2 &
    echo "$!"
    exec >&2
    read -r _
    kill -TERM "$!" 2>/dev/null
    sleep 1
    kill -KILL 0
"#;

/// A running server. Dropping it kills the server and its children.
pub struct Server {
    supervisor: Child,
    /// Held open: its end of file is what ends the server.
    _lifeline: ChildStdin,
    pid: Pid,
}

impl Server {
    /// Starts `command` with its output appended to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        Self::start_as(None, command, log)
    }

    /// Starts `command` as another user and group, where they are given.
    pub fn start_as(user: Option<(u32, u32)>, command: &mut Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", SUPERVISE, "supervisor"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        if let Some((uid, gid)) = user {
            shell.uid(uid).gid(gid);
        }
        let mut supervisor = shell.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self {
            _lifeline: supervisor.stdin.take().unwrap(),
            supervisor,
            pid: Pid::from_raw(line.trim().parse().unwrap()).unwrap(),
        }
    }

    /// The server's process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether the server still runs. One that ended stays a zombie for as long
    /// as its shell waits for the end of file.
    pub fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_pid()));
        stat.is_ok_and(|stat| {
            let state = stat.rsplit(") ").next().unwrap();
            !state.starts_with(['Z', 'X'])
        })
    }

    /// Asks the server to stop and waits until it has.
    pub fn stop(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
        let give_up = Instant::now() + Duration::from_secs(20);
        while self.is_running() {
            assert!(Instant::now() < give_up, "{:?} does not stop", self.pid);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.supervisor);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.supervisor.wait();
    }
}
