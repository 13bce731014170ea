//! The secure section, and the secret thread.
#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use super::{
    EnclaveError,
    secmem::{Room, clear_registers, is_inside},
    self_test::self_test,
};
use crate::memory::SecretMemoryError;

// A panic in a section is caught there: it wipes what the section held.
const _: () = assert!(cfg!(panic = "unwind"));

/// Runs `work` to its end in a room of secret memory: on this thread, nothing
/// awaited, and no plaintext in any register, stack or heap afterwards.
///
/// `work` gives back nothing that it allocated: what is left on the room's heap
/// is counted as a leak. Within a section or on a secret thread it just runs.
pub(super) fn secure<R, E: From<EnclaveError>>(
    work: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    // Everything that `work` owns is dropped by the unwinding; nothing shared is
    // left half-changed, because slots are only read here or owned by `work`. The
    // panic's message is dropped in here as well.
    let caught =
        || catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(EnclaveError::Panicked.into()));
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

/// Goes through the self-test once on this thread, outside of secret memory: the
/// tables and thread-locals that libraries make at first use would otherwise lie
/// on a section's heap for ever.
pub fn warm_up() {
    thread_local!(static WARM: Cell<bool> = const { Cell::new(false) });
    if !WARM.replace(true) {
        // What fails here fails again where it is looked at: in the section.
        let _ = self_test();
    }
}

/// Starts a thread whose stack and heap are secret memory for as long as `run`
/// takes: for the client of a KMS, whose buffers hold DEKs and tokens.
///
/// # Errors
/// There is no secret memory for it.
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
    thread.spawn(run).map_err(|_| SecretMemoryError::Thread)
}
