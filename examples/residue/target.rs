//! The process that is looked into: stopped, copied, and let go again.

use std::{
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{
    map::{self, Map, Place},
    snapshot::{Pages, Snapshot},
};

/// How long the threads may take to stop. One in an uninterruptible call stops
/// when that returns.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process.
pub struct Target {
    pid: Pid,
    process: PathBuf,
    memory: File,
}

/// Why it could not be looked into; a scan that could not look has found nothing
/// out.
#[derive(Debug)]
pub enum Blind {
    /// It is not there.
    Gone(i32),
    /// The kernel does not let this process look.
    Refused(i32, io::Error),
    /// It is stopped or traced by somebody else, whom letting it go would disturb.
    Stopped(i32),
    /// Its threads do not stop.
    Running(i32),
    /// What proc(5) says of it cannot be read.
    Unread(i32, io::Error),
}

impl fmt::Display for Blind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(pid) => write!(out, "there is no process {pid}"),
            Self::Refused(pid, error) => write!(
                out,
                "the memory of process {pid} may not be read: {error}. Run this as root with \
                 CAP_SYS_PTRACE, or start both it and the process in one user namespace \
                 (unshare --user --map-root-user). The process is not dumpable, so that its own \
                 user is not enough"
            ),
            Self::Stopped(pid) => write!(
                out,
                "process {pid} is stopped or traced already; let it go first (kill -CONT {pid})"
            ),
            Self::Running(pid) => write!(
                out,
                "the threads of process {pid} did not stop within {} s",
                PATIENCE.as_secs()
            ),
            Self::Unread(pid, error) => write!(out, "process {pid} cannot be looked into: {error}"),
        }
    }
}

/// Lets the process go on when dropped.
struct Frozen<'a>(&'a Target);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // It may have been killed in the meantime.
        let _ = kill_process(self.0.pid, Signal::CONT);
    }
}

impl Target {
    /// Makes sure that the process can be looked into, without touching it.
    ///
    /// # Errors
    /// [`Blind`].
    pub fn open(pid: i32) -> Result<Self, Blind> {
        let id = Pid::from_raw(pid).filter(|id| id.as_raw_pid() > 0);
        let id = id.ok_or(Blind::Gone(pid))?;
        let process = PathBuf::from(format!("/proc/{pid}"));
        if !process.exists() {
            return Err(Blind::Gone(pid));
        }
        let refused = |error| Blind::Refused(pid, error);
        test_kill_process(id).map_err(|error| refused(error.into()))?;
        let memory = File::open(process.join("mem")).map_err(refused)?;
        let target = Self { pid: id, process, memory };
        if map::maps(&target.process).map_err(refused)?.is_empty() {
            return Err(Blind::Gone(pid));
        }
        if target.states()?.iter().any(|state| b"Tt".contains(state)) {
            return Err(Blind::Stopped(pid));
        }
        Ok(target)
    }

    /// Stops all threads, copies what can be read, and lets them go. With
    /// `changed_only`, pages of privately mapped files that are still the file's
    /// own are left out: one sample has to have them, no other needs them.
    ///
    /// # Errors
    /// [`Blind`].
    pub fn snapshot(&self, changed_only: bool) -> Result<Snapshot, Blind> {
        let began = Instant::now();
        let frozen = self.freeze()?;
        let maps = map::maps(&self.process).map_err(|error| self.unread(error))?;
        if maps.is_empty() {
            return Err(Blind::Gone(self.pid()));
        }
        let stacks = self.stack_pointers();
        let pages = Pages::open(&self.process);
        let mut snapshot = Snapshot::default();
        for map in &maps {
            self.copy(map, map.place(&stacks), &pages, changed_only, &mut snapshot);
        }
        drop(frozen);
        snapshot.frozen = began.elapsed();
        Ok(snapshot)
    }

    fn copy(
        &self,
        map: &Map,
        place: Place,
        pages: &Pages,
        changed_only: bool,
        snapshot: &mut Snapshot,
    ) {
        for run in pages.held(map, changed_only) {
            let mut bytes = vec![0; (run.end - run.start) as usize];
            match self.memory.read_exact_at(&mut bytes, run.start) {
                Ok(()) => snapshot.add(place, bytes),
                Err(_) => self.copy_pages(map, place, run, snapshot),
            }
        }
    }

    /// Page by page, where not all of a run can be read.
    fn copy_pages(
        &self,
        map: &Map,
        place: Place,
        run: std::ops::Range<u64>,
        snapshot: &mut Snapshot,
    ) {
        let mut readable = Vec::new();
        for at in run.step_by(Pages::SIZE as usize) {
            let mut page = vec![0; Pages::SIZE as usize];
            if self.memory.read_exact_at(&mut page, at).is_ok() {
                readable.append(&mut page);
            } else {
                snapshot.refuse(map, Pages::SIZE);
                snapshot.add(place, std::mem::take(&mut readable));
            }
        }
        snapshot.add(place, readable);
    }

    fn freeze(&self) -> Result<Frozen<'_>, Blind> {
        kill_process(self.pid, Signal::STOP).map_err(|_| Blind::Gone(self.pid()))?;
        let frozen = Frozen(self);
        let give_up = Instant::now() + PATIENCE;
        loop {
            let states = self.states()?;
            if states.iter().any(|state| b"ZX".contains(state)) {
                return Err(Blind::Gone(self.pid()));
            }
            if states.iter().all(|state| b"Tt".contains(state)) {
                return Ok(frozen);
            }
            if Instant::now() > give_up {
                return Err(Blind::Running(self.pid()));
            }
            thread::sleep(Duration::from_micros(50));
        }
    }

    /// The state of each thread: the letter after the name in parentheses, which
    /// may itself hold any of them.
    fn states(&self) -> Result<Vec<u8>, Blind> {
        let tasks = fs::read_dir(self.process.join("task"));
        let tasks = tasks.map_err(|_| Blind::Gone(self.pid()))?;
        // A thread that ended since it was listed has no state.
        let stats =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
        let states = stats.filter_map(|stat| stat.rsplit(") ").next()?.bytes().next());
        Ok(states.collect())
    }

    /// Where the threads' stacks are, as far as the kernel says: the last but one
    /// field of `syscall`. Only to name the maps.
    fn stack_pointers(&self) -> Vec<u64> {
        let tasks = fs::read_dir(self.process.join("task")).into_iter().flatten();
        let calls =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("syscall")).ok());
        let pointers = calls.filter_map(|call| {
            let text = call.split_whitespace().rev().nth(1)?.to_owned();
            u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
        });
        pointers.collect()
    }

    fn pid(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    fn unread(&self, error: io::Error) -> Blind {
        Blind::Unread(self.pid(), error)
    }
}
