//! The secure section.
#![forbid(unsafe_code)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{Builder, JoinHandle},
};

use super::{EnclaveError, SecretMemoryError};

/// Runs `work` to its end: synchronous, on this thread, nothing awaited. A panic
/// is caught here, after unwinding has wiped what the section held, so that it
/// neither escapes with a secret nor takes the worker down.
pub(super) fn secure<R>(work: impl FnOnce() -> Result<R, EnclaveError>) -> Result<R, EnclaveError> {
    // Everything that `work` owns is dropped by the unwinding; nothing shared is
    // left half-changed, because slots are only read here or owned by `work`.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(EnclaveError::Panicked))
}

/// Starts a thread for the client of a KMS, whose buffers hold DEKs and tokens.
///
/// # Errors
/// There is no memory for it.
pub fn secret_thread(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, SecretMemoryError> {
    Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|_| SecretMemoryError::Map { needed_kib: 0, error: rustix::io::Errno::AGAIN })
}
