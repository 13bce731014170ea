//! Rooms: a secret stack with a secret heap beside it. A section enters one for
//! its duration, a secret thread for its life.
//!
//! ```text
//! cell │guard│   stack│guard│heap     │guard …       CELLS of them, CELL bytes each,
//!             ◀── grows      talc                    at addresses reserved for good
//! ```
//! A room that was mapped is never unmapped: what was allocated in it may live on.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use rustix::io::Errno;

use super::{
    heap::Heap,
    pages::{PAGE, Reservation},
};
use crate::memory::SecretMemoryError;

/// What a room is for: the lengths of its stack and heap, in bytes.
#[derive(Clone, Copy, PartialEq)]
pub struct Kind {
    stack: usize,
    heap: usize,
}

/// A section: k256 takes 72 KiB of stack once and 39 KiB later, the rest less than
/// 14 KiB; the heap holds associated data and little else.
pub const SECTION: Kind = Kind {
    stack: 128 * 1024,
    heap: 16 * 1024,
};
/// A secret thread, which runs the client of a KMS.
pub const THREAD: Kind = Kind {
    stack: 192 * 1024,
    heap: 1280 * 1024,
};

/// What a section uses of its stack and so is wiped after each. Whether one went
/// deeper is told by words that it would have changed.
const SHALLOW: usize = 64 * 1024;
const CANARY_EVERY: usize = 512;

const CELL: usize = 2 * 1024 * 1024;
const CELLS: usize = 128;
const OUTSIDE: usize = usize::MAX;

static HEAPS: [Heap; CELLS] = [const { Heap::new() }; CELLS];
/// Where the cells begin; at first an address that no block can follow.
static START: AtomicUsize = AtomicUsize::new(usize::MAX / 2);
static LEAKS: AtomicU64 = AtomicU64::new(0);
static ROOMS: Mutex<Rooms> = Mutex::new(Rooms {
    made: 0,
    for_sections: 0,
    free: Vec::new(),
});

thread_local! {
    /// The cell that this thread is in. No destructor and nothing made at first
    /// use: the allocator reads it.
    static CURRENT: Cell<usize> = const { Cell::new(OUTSIDE) };
}

/// A room that is this owner's until it is dropped.
pub struct Room {
    cell: usize,
    kind: Kind,
}

struct Rooms {
    made: usize,
    for_sections: usize,
    /// Cells that nobody is in.
    free: Vec<(Kind, usize)>,
}

/// Whether this thread is in a room, and secrets may be touched.
pub fn is_inside() -> bool {
    CURRENT.get() != OUTSIDE
}

/// How many sections have ended with something left on their heap.
pub fn leaks() -> u64 {
    LEAKS.load(Relaxed)
}

pub(super) fn current() -> Option<&'static Heap> {
    HEAPS.get(CURRENT.get())
}

pub(super) fn heap_of(block: *mut u8) -> Option<&'static Heap> {
    HEAPS.get((block as usize).wrapping_sub(START.load(Relaxed)) / CELL)
}

impl Kind {
    /// Bytes that are locked.
    pub const fn length(self) -> usize {
        self.stack + self.heap
    }
}

impl Room {
    /// Maps rooms until there are `count` for sections. `needed_kib` is what the
    /// process needs in all, for the error.
    ///
    /// # Errors
    /// They cannot be mapped or locked.
    pub fn prepare(count: usize, needed_kib: usize) -> Result<(), SecretMemoryError> {
        while rooms().for_sections < count {
            drop(Self::furnish(SECTION, needed_kib)?);
            rooms().for_sections += 1;
        }
        Ok(())
    }

    /// A room for a section. Others may be in all of them, for as long as a
    /// signature takes; there is one for each worker, which makes that rare.
    pub fn for_section() -> Self {
        loop {
            match rooms().take(SECTION) {
                Some(room) => return room,
                None => thread::yield_now(),
            }
        }
    }

    /// A room for a secret thread: one that an earlier thread left, or a new one.
    ///
    /// # Errors
    /// It cannot be mapped or locked.
    pub fn for_thread() -> Result<Self, SecretMemoryError> {
        let left = rooms().take(THREAD);
        left.map_or_else(|| Self::furnish(THREAD, THREAD.length() / 1024), Ok)
    }

    /// Runs `work` on the room's stack and heap. It must not unwind.
    pub fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        CURRENT.set(self.cell);
        // SAFETY: this owner's stack is mapped, aligned to a page and so long; if
        // `work` unwinds all the same, the process aborts.
        let result = unsafe { psm::on_stack(self.stack(), self.kind.stack, work) };
        CURRENT.set(OUTSIDE);
        result
    }

    fn stack(&self) -> *mut u8 {
        (START.load(Relaxed) + self.cell * CELL + PAGE) as *mut u8
    }

    /// Maps the stack and the heap of the next cell.
    fn furnish(kind: Kind, needed_kib: usize) -> Result<Self, SecretMemoryError> {
        static ADDRESSES: OnceLock<Result<Reservation, Errno>> = OnceLock::new();
        let addresses = ADDRESSES.get_or_init(|| Reservation::new(CELLS * CELL));
        let addresses = addresses
            .as_ref()
            .map_err(|error| SecretMemoryError::Map(*error))?;
        START.store(addresses.at(0) as usize, Relaxed);
        let mut rooms = rooms();
        let cell = rooms.made;
        let heap = HEAPS
            .get(cell)
            .ok_or(SecretMemoryError::Map(Errno::NOMEM))?;
        let stack_at = cell * CELL + PAGE;
        let heap_at = stack_at + kind.stack + PAGE;
        addresses.back(&[(stack_at, kind.stack), (heap_at, kind.heap)], needed_kib)?;
        rooms.made += 1;
        // SAFETY: backed just now, for good, and known to nobody else.
        unsafe { heap.claim(addresses.at(heap_at), kind.heap) };
        Ok(Self { cell, kind })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: nobody runs on this room's stack any more, and it is so long.
        let stack = unsafe { std::slice::from_raw_parts_mut(self.stack(), self.kind.stack) };
        let (deep, shallow) = stack.split_at_mut(self.kind.stack - SHALLOW);
        super::wipe(shallow);
        if deep
            .chunks(8)
            .step_by(CANARY_EVERY / 8)
            .any(|word| word != [0; 8])
        {
            super::wipe(deep);
        }
        if self.kind == SECTION {
            let leaked = HEAPS.get(self.cell).is_some_and(|heap| heap.live() > 0);
            LEAKS.fetch_add(leaked.into(), Relaxed);
        }
        rooms().free.push((self.kind, self.cell));
    }
}

impl Rooms {
    fn take(&mut self, kind: Kind) -> Option<Room> {
        let place = self.free.iter().position(|(free, _)| *free == kind)?;
        let (kind, cell) = self.free.swap_remove(place);
        Some(Room { cell, kind })
    }
}

fn rooms() -> MutexGuard<'static, Rooms> {
    // Pushing and popping cannot leave a list half-changed.
    ROOMS.lock().unwrap_or_else(PoisonError::into_inner)
}
