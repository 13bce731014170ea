//! The global allocator: it wipes whatever is freed, and serves a thread that is
//! in a room from that room's heap.
//!
//! A heap never borrows from ordinary memory: one that is full gives a null
//! pointer, on which the process aborts. Where a block is freed to is decided by
//! its address, since it may outlive the section or be freed by another thread.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr::null_mut,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use talc::{DefaultBinning, base::Talc, source::Manual};

use super::room;

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

struct Wiping;

/// The heap of one room.
pub(super) struct Heap {
    talc: Mutex<Talc<Manual, DefaultBinning>>,
    /// Blocks that are allocated and not freed.
    live: AtomicUsize,
}

impl Heap {
    pub(super) const fn new() -> Self {
        Self {
            talc: Mutex::new(Talc::new(Manual)),
            live: AtomicUsize::new(0),
        }
    }

    /// Makes `length` bytes at `start` this heap's.
    ///
    /// # Safety
    /// They are writable, never unmapped, and nobody else uses them.
    pub(super) unsafe fn claim(&self, start: *mut u8, length: usize) {
        // SAFETY: the caller's promise.
        let claimed = unsafe { self.talc().claim(start, length) };
        assert!(
            claimed.is_some(),
            "a heap is longer than the allocator's own table"
        );
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Relaxed)
    }

    fn talc(&self) -> MutexGuard<'_, Talc<Manual, DefaultBinning>> {
        // Nothing panics while it is locked.
        self.talc.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: blocks come from the system's allocator or from a heap that talc keeps,
// and go back to where they came from: a heap's addresses are its own for the
// life of the process. The default `realloc` allocates, copies and frees, so that
// a block which moves leaves nothing behind.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(heap) = room::current() else {
            // SAFETY: the caller's promise, passed on.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: the caller gives no empty layout.
        let block = unsafe { heap.talc().allocate(layout) };
        heap.live.fetch_add(usize::from(block.is_some()), Relaxed);
        block.map_or(null_mut(), |block| block.as_ptr())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has so many bytes and is nobody's any more.
        unsafe { memsec::memzero(block, layout.size()) };
        let Some(heap) = room::heap_of(block) else {
            // SAFETY: a block outside of every heap is the system allocator's.
            return unsafe { System.dealloc(block, layout) };
        };
        heap.live.fetch_sub(1, Relaxed);
        // SAFETY: by its address the block is this heap's.
        unsafe { heap.talc().deallocate(block, layout) };
    }
}
