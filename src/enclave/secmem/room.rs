//! Rooms: a secret stack with a secret heap beside it. A section enters one for
//! its duration, a secret thread for its life.
//!
//! ```text
//! cell │guard│   stack│guard│heap     │guard …       one of CELLS, CELL bytes each,
//!             ◀── grows      talc                    at addresses reserved for good
//! ```
//! A room that was mapped is never unmapped: what was allocated in it may live on.

use std::{
    cell::Cell,
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use rustix::io::Errno;

use super::{
    heap::Heap,
    pages::{PAGE, Reservation},
};
use crate::memory::SecretMemoryError;

/// Bytes of a section's stack. k256 takes 72 KiB once and 39 KiB later, the rest
/// less than 14 KiB.
pub const STACK_LEN: usize = 128 * 1024;
/// Bytes of a section's heap, where associated data and little else is made.
pub const HEAP_LEN: usize = 16 * 1024;
/// Bytes of a section's room.
pub const ROOM_LEN: usize = STACK_LEN + HEAP_LEN;
/// Bytes of the room of a secret thread, which runs the client of a KMS.
pub const THREAD_ROOM_LEN: usize = THREAD_STACK_LEN + THREAD_HEAP_LEN;
const THREAD_STACK_LEN: usize = 192 * 1024;
const THREAD_HEAP_LEN: usize = 1280 * 1024;

/// What a section uses of its stack and so is wiped after each; whether one went
/// deeper is told by words that it would have changed.
const SHALLOW: usize = 64 * 1024;
const CANARY_EVERY: usize = 512;

const CELL: usize = 2 * 1024 * 1024;
const CELLS: usize = 128;
const OUTSIDE: usize = usize::MAX;

static HEAPS: [Heap; CELLS] = [const { Heap::new() }; CELLS];
/// Where the cells begin; at first an address that no block can follow.
static START: AtomicUsize = AtomicUsize::new(usize::MAX / 2);
static USED: AtomicUsize = AtomicUsize::new(0);
static LEAKS: AtomicU64 = AtomicU64::new(0);
static SECTIONS: Free = Free::new();
static THREADS: Free = Free::new();

thread_local! {
    /// The cell that this thread is in. No destructor and no first use: the
    /// allocator reads it.
    static CURRENT: Cell<usize> = const { Cell::new(OUTSIDE) };
}

/// A room that is this owner's until it is dropped.
pub struct Room {
    cell: usize,
    stack: usize,
    free: &'static Free,
}

struct Free {
    cells: Mutex<Vec<usize>>,
    returned: Condvar,
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

/// Sees to it that there are rooms for `sections` at once.
///
/// # Errors
/// They cannot be mapped or locked.
pub fn reserve(sections: usize, needed_kib: usize) -> Result<(), SecretMemoryError> {
    static MADE: Mutex<usize> = Mutex::new(0);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    while *made < sections {
        SECTIONS.put(furnish(STACK_LEN, HEAP_LEN, needed_kib)?);
        *made += 1;
    }
    Ok(())
}

// === impl Room ===

impl Room {
    /// A room for a section; waits while others are in all of them, which is
    /// never for longer than a signature takes. None before any was reserved.
    pub fn for_section() -> Self {
        Self {
            cell: SECTIONS.take(),
            stack: STACK_LEN,
            free: &SECTIONS,
        }
    }

    /// A room for a secret thread.
    ///
    /// # Errors
    /// There is none left over and none can be mapped.
    pub fn for_thread() -> Result<Self, SecretMemoryError> {
        let left = THREADS.cells().pop();
        let cell = match left {
            Some(cell) => cell,
            None => furnish(THREAD_STACK_LEN, THREAD_HEAP_LEN, THREAD_ROOM_LEN / 1024)?,
        };
        Ok(Self {
            cell,
            stack: THREAD_STACK_LEN,
            free: &THREADS,
        })
    }

    /// Runs `work` on the room's stack and heap. It must not unwind.
    pub fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let stack = cell_at(self.cell) + PAGE;
        CURRENT.set(self.cell);
        // SAFETY: this room owns its stack, which is mapped, aligned to a page and
        // so long; `work` does not unwind, or the process aborts.
        let result = unsafe { psm::on_stack(stack as *mut u8, self.stack, work) };
        CURRENT.set(OUTSIDE);
        result
    }

    fn wipe(&mut self) {
        let stack = cell_at(self.cell) + PAGE;
        // SAFETY: nobody runs on this room's stack any more, and it is so long.
        let stack = unsafe { std::slice::from_raw_parts_mut(stack as *mut u8, self.stack) };
        let (deep, shallow) = stack.split_at_mut(self.stack - SHALLOW);
        // SAFETY: a slice of our own.
        unsafe { memsec::memzero(shallow.as_mut_ptr(), shallow.len()) };
        if deep
            .chunks(8)
            .step_by(CANARY_EVERY / 8)
            .any(|word| word != [0; 8])
        {
            // SAFETY: as above.
            unsafe { memsec::memzero(deep.as_mut_ptr(), deep.len()) };
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.wipe();
        if HEAPS.get(self.cell).is_some_and(|heap| heap.live() > 0) {
            LEAKS.fetch_add(1, Relaxed);
        }
        self.free.put(self.cell);
    }
}

// === impl Free ===

impl Free {
    const fn new() -> Self {
        Self {
            cells: Mutex::new(Vec::new()),
            returned: Condvar::new(),
        }
    }

    fn cells(&self) -> MutexGuard<'_, Vec<usize>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, cell: usize) {
        self.cells().push(cell);
        self.returned.notify_one();
    }

    fn take(&self) -> usize {
        let mut cells = self.cells();
        loop {
            match cells.pop() {
                Some(cell) => return cell,
                None => {
                    cells = self
                        .returned
                        .wait(cells)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }
}

fn cell_at(cell: usize) -> usize {
    START.load(Acquire) + cell * CELL
}

/// Maps the stack and the heap of the next cell.
fn furnish(stack: usize, heap: usize, needed_kib: usize) -> Result<usize, SecretMemoryError> {
    static CELLS_RESERVED: OnceLock<Result<Reservation, Errno>> = OnceLock::new();
    let reserved = CELLS_RESERVED.get_or_init(|| {
        let reserved = Reservation::new(CELLS * CELL)?;
        START.store(reserved.at(0) as usize, Release);
        Ok(reserved)
    });
    let reserved = reserved
        .as_ref()
        .map_err(|error| SecretMemoryError::Map(*error))?;
    let cell = USED.fetch_add(1, Relaxed);
    let room = HEAPS
        .get(cell)
        .ok_or(SecretMemoryError::Map(Errno::NOMEM))?;
    let (stack_at, heap_at) = (cell * CELL + PAGE, cell * CELL + stack + 2 * PAGE);
    reserved.back(&[(stack_at, stack), (heap_at, heap)], needed_kib)?;
    // SAFETY: backed just now, for good, and known to nobody else.
    unsafe { room.claim(reserved.at(heap_at), heap) };
    Ok(cell)
}
