//! Kernels that lack something.

use std::{collections::BTreeMap, io::Write, thread};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// Runs `start` on a thread, and with it the processes that it starts, for whom
/// these calls do not exist.
pub fn without<T: Send>(calls: &[i64], start: impl FnOnce() -> T + Send) -> T {
    let rules: BTreeMap<_, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let lacking = SeccompAction::Errno(libc::ENOSYS as u32);
    let target = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, lacking, target);
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(&program).unwrap();
            start()
        });
        thread.join().unwrap()
    })
}

/// Says loudly what is not there; in CI it has to be.
pub fn lacking(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}");
    // Not captured, unlike what the print macros write.
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: {what} ***\n");
}
