//! The secure section, and the secret thread.
#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use rustix::io::Errno;

use super::{
    EnclaveError,
    secmem::{Room, clear_registers, is_inside},
    self_test::self_test,
};
use crate::memory::SecretMemoryError;

// A panic in a section is caught there: it wipes what the section held.
const _: () = assert!(cfg!(panic = "unwind"));

/// Runs `work` to its end in a room of secret memory, on this thread and without an
/// await; within a section or on a secret thread it just runs. What `work` allocates
/// it frees: anything left is counted as a leak. It gives back one byte and writes
/// what else there is, field by field, to where the caller has room: a value that
/// moves out takes along what lies in its padding and the unused part of an enum.
pub(super) fn secure(work: impl FnOnce() -> Result<(), EnclaveError>) -> Result<(), EnclaveError> {
    // Unwinding drops what `work` owns and finds nothing shared half-changed: slots
    // are read, or owned. The panic's message is dropped in here as well.
    let caught = || catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(EnclaveError::Panicked));
    if is_inside() {
        return caught();
    }
    warm_up();
    Room::for_section().enter(|| {
        let result = caught();
        clear_registers();
        result
    })
}

/// Goes through the self-test once on this thread, outside of secret memory: what
/// libraries make at first use would otherwise lie on a section's heap for ever.
pub fn warm_up() {
    thread_local!(static WARM: Cell<bool> = const { Cell::new(false) });
    if !WARM.replace(true) {
        // What fails here fails again where it is looked at: in the section.
        let _ = self_test();
    }
}

/// Starts a thread whose stack and heap are secret memory for as long as `run`
/// takes: for the client of a KMS, whose buffers hold DEKs and tokens.
pub fn secret_thread(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, SecretMemoryError> {
    let room = Room::for_thread()?;
    let thread = thread::Builder::new().name(name.to_owned());
    let run = move || {
        room.enter(|| {
            // The hook has reported a panic; those who wait for the thread see it gone.
            let _ = catch_unwind(AssertUnwindSafe(run));
            clear_registers();
        });
    };
    let failed = |error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN);
    thread.spawn(run).map_err(|error| SecretMemoryError::Thread(failed(error)))
}
