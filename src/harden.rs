//! Hardening at boot. Each step takes away what no later step needs:
//!
//! ```text
//!  harden     no core dumps, not dumpable, no new privileges, private files
//!     ▼       … the configuration is read, secret memory is mapped and tried …
//!  confine    landlock: the configured directories and ports, nothing else
//!     ▼       … the first other thread starts, stores open, listeners bind …
//!  filter     seccomp: the reviewed system calls, nothing else
//!     ▼       … the first request …
//! ```
//! Landlock holds for the thread that asks and for those that it starts later,
//! which is why there is no other one yet. A kernel that lacks landlock or
//! seccomp is reported; no setting turns either off.
#![forbid(unsafe_code)]

mod calls;
mod landlock;
mod reach;
mod seccomp;

use std::{fmt, fs, io, thread};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

pub use self::landlock::{Landlock, confine_thread};
pub use reach::Reach;
pub use seccomp::{filter, filter_thread};

/// How much of what was asked for the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// All of it.
    Full,
    /// What an older kernel knows of it.
    Partial,
    /// Nothing: the kernel lacks it, or it is switched off.
    None,
}

/// Why a step of hardening failed, which is none of those that a kernel lacks.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Landlock would not hold for threads that run already.
    #[error(
        "landlock: {0} threads run before it is in force, where there must be one: start without \
         what is loaded into the process (LD_PRELOAD), or report this"
    )]
    Threads(usize),
    /// The kernel has landlock and refuses the rules.
    #[error("landlock: {0}: please report this with the output of `uname -r`")]
    Landlock(#[from] ::landlock::RulesetError),
    /// The kernel has seccomp and refuses the filter.
    #[error("seccomp: {0}: please report this with the output of `uname -r`")]
    Seccomp(String),
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        })
    }
}

/// Core dumps off, `/proc/PID/mem` closed to the same user, no privileges to be
/// gained by `execve`, new files and sockets for the same user only.
///
/// # Errors
/// The kernel refuses one of them; the process must not go on.
pub fn harden() -> io::Result<()> {
    // A limit of 0 is ignored where the core pattern is a pipe (core(5)); the
    // dumpable flag and MADV_DONTDUMP on secret memory are what holds there.
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, no_core)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    // What this process makes is its own until it says otherwise.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    Ok(())
}

/// Takes everything but `reach` away from this process, which must not have
/// started a thread yet.
///
/// # Errors
/// `Threads` and `Landlock`.
pub fn confine(reach: &Reach) -> Result<Landlock, SandboxError> {
    // Without /proc there is no telling, and no reason to fail.
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(SandboxError::Threads(threads));
    }
    confine_thread(reach)
}

/// What [`confine`] and [`filter`] would give: tried on a thread that ends.
///
/// # Errors
/// As those, but `Threads`.
pub fn rehearse(reach: &Reach) -> Result<(Landlock, Enforcement), SandboxError> {
    thread::scope(|scope| {
        let trial = scope.spawn(|| Ok((confine_thread(reach)?, filter_thread()?)));
        trial.join().expect("neither step panics")
    })
}
