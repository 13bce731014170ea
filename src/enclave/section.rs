//! The secure section.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::EnclaveError;

/// Runs `work` to its end: synchronous, on this thread, nothing awaited. A panic
/// is caught here, after unwinding has wiped what the section held, so that it
/// neither escapes with a secret nor takes the worker down.
pub(super) fn secure<R>(work: impl FnOnce() -> Result<R, EnclaveError>) -> Result<R, EnclaveError> {
    // Everything that `work` owns is dropped by the unwinding; nothing shared is
    // left half-changed, because slots are only read here or owned by `work`.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(EnclaveError::Panicked))
}
