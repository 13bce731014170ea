//! The global allocator: it wipes whatever is freed, and serves a thread that is
//! in a room from that room's heap.
//!
//! A heap never borrows from ordinary memory: when it is full, the process aborts. A
//! block goes back by its address: it may outlive the section, or move to a thread.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr::NonNull,
    sync::{Mutex, MutexGuard, PoisonError},
};

use talc::{DefaultBinning, base::Talc, source::Manual};

use super::room;

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

struct Wiping;

/// The heap of one room.
pub(super) struct Heap(Mutex<Talc<Manual, DefaultBinning>>);

impl Heap {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Talc::new(Manual)))
    }

    /// Makes `length` bytes at `start` this heap's.
    ///
    /// # Safety
    /// They are writable, never unmapped, and nobody else uses them.
    pub(super) unsafe fn claim(&self, start: *mut u8, length: usize) {
        // SAFETY: the caller's promise.
        let claimed = unsafe { self.talc().claim(start, length) };
        assert!(claimed.is_some(), "a heap is longer than talc's own table");
    }

    /// Blocks that are allocated and not freed.
    pub(super) fn live(&self) -> usize {
        self.talc().counters().allocation_count
    }

    fn talc(&self) -> MutexGuard<'_, Talc<Manual, DefaultBinning>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: a block comes from the system's allocator or from a heap that talc keeps,
// and goes back to where it came from: a heap's addresses are its own for the life
// of the process. The default `realloc` allocates, copies and frees, so that a
// block which moves leaves nothing behind.
unsafe impl GlobalAlloc for Wiping {
    // SAFETY: as the trait asks; the layout is not empty.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(heap) = room::current() else {
            // SAFETY: the caller's promise, passed on.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: as above.
        unsafe { heap.talc().allocate(layout) }.map_or_else(|| full(), NonNull::as_ptr)
    }

    // SAFETY: as the trait asks; the block has so many bytes and is nobody's any more.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        super::wipe(unsafe { std::slice::from_raw_parts_mut(block, layout.size()) });
        match room::heap_of(block) {
            // SAFETY: by its address the block is this heap's.
            Some(heap) => unsafe { heap.talc().deallocate(block, layout) },
            // SAFETY: a block outside of every heap is the system allocator's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }
}

#[cold]
fn full() -> ! {
    let line = b"countersign: a secret heap is full and ended the process: please report this\n";
    let _ = rustix::io::write(rustix::stdio::stderr(), line);
    // SAFETY: ends the process and returns to nobody.
    unsafe { libc::abort() }
}

#[cfg(test)]
mod tests;
