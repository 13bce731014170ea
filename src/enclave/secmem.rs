//! What secret memory is made of: the one module with `unsafe`.
//! Its pages are `memfd_secret(2)`'s: no other process reads them, not by root's
//! `/proc/PID/mem`, `process_vm_readv` or `ptrace`. Where the kernel has none they
//! are locked, left out of dumps and wiped on fork, but readable to a tracer. The
//! file's descriptor is closed at once: `pidfd_getfd` would be a door to it.

mod heap;
mod pages;
mod pool;
mod registers;
mod room;
mod trap;

pub use pages::level;
pub use pool::{LARGE_SLOT_LEN, SLOT_LEN, SecretPool, Slot};
pub use registers::clear as clear_registers;
pub(super) use room::Room;
pub use room::{LEAKS, SECTION, THREAD, is_inside};
pub use trap::end_at_trapped_calls;

/// Zeroes bytes that the compiler believes nobody reads again.
fn wipe(bytes: &mut [u8]) {
    // SAFETY: a slice of the caller's.
    unsafe { memsec::memzero(bytes.as_mut_ptr(), bytes.len()) };
}
