//! Hardening at boot: before anything secret exists.
#![forbid(unsafe_code)]

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

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
