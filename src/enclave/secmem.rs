//! Secret memory: what it is made of. The one module with `unsafe`.
//!
//! ```text
//! pool, one per enclave          │guard│slot│guard│slot│guard│ …        4 KiB or 64 KiB each
//! rooms, one per section or      │guard│        stack│guard│heap│guard│ …
//! secret thread at a time               ◀── grows     talc
//! ```
//! - Pages are `memfd_secret(2)`: no other process reads them, root's
//!   `/proc/PID/mem`, `process_vm_readv` and `ptrace` included, and neither does
//!   most of the kernel. Where the kernel has none they are locked, left out of
//!   dumps and wiped on fork, but readable to a tracer.
//! - Everything is mapped, locked and touched at start: mapping, and first
//!   touching such a page, costs some 20 µs each.
//! - The mapping's file descriptor is closed at once: `pidfd_getfd` would be a
//!   door to it.

mod heap;
mod pages;
mod pool;
mod registers;
mod room;

pub use pages::level;
pub use pool::{LARGE_SLOT_LEN, SLOT_LEN, SecretPool, Slot};
pub(super) use registers::clear as clear_registers;
pub(super) use room::Room;
pub use room::{SECTION, THREAD, is_inside, leaks};

/// Zeroes bytes that the compiler believes nobody reads again.
fn wipe(bytes: &mut [u8]) {
    // SAFETY: a slice of the caller's.
    unsafe { memsec::memzero(bytes.as_mut_ptr(), bytes.len()) };
}
