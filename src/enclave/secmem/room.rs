//! Rooms: a secret stack with a secret heap beside it. A section enters one for
//! its duration, a secret thread for its life. What was mapped is never unmapped:
//! a block that was allocated in a room may live on.
//! ```text
//! cell │guard│ ◀── stack│guard│heap │guard …   CELLS of CELL bytes each
//! ```

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
    wipe,
};
use crate::memory::{SecretMemoryError, hush_panics};

/// What a room is for: the bytes of its stack and heap.
#[derive(Clone, Copy, PartialEq)]
pub struct Kind {
    stack: usize,
    heap: usize,
}

/// A section: k256 takes 72 KiB of stack once and 39 KiB later, the rest less than
/// 14 KiB; the heap holds associated data and little else.
pub const SECTION: Kind = Kind { stack: 128 * 1024, heap: 16 * 1024 };
/// A secret thread, which runs the client of a KMS.
pub const THREAD: Kind = Kind { stack: 192 * 1024, heap: 1280 * 1024 };

/// What a section uses of its stack and so is wiped after each. Below, the stack is
/// zero, and wiped where it is not any more.
const SHALLOW: usize = 64 * 1024;
/// Where frames begin, so that few addresses agree with a slot's in their low 12 bits,
/// by which the processor compares first: some percent of a signature.
const STAGGER: usize = 1088;

const CELL: usize = 2 * 1024 * 1024;
const CELLS: usize = 128;
static HEAPS: [Heap; CELLS] = [const { Heap::new() }; CELLS];
/// Where the cells begin; at first an address that no block can follow.
static START: AtomicUsize = AtomicUsize::new(usize::MAX / 2);
static ROOMS: Mutex<Rooms> = Mutex::new(Rooms { made: Vec::new(), free: Vec::new() });
/// How many sections have ended with something left on their heap.
pub static LEAKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The heap of the room that this thread is in. No destructor and nothing made
    /// at first use: the allocator reads it.
    static CURRENT: Cell<Option<&'static Heap>> = const { Cell::new(None) };
}

/// A room that is its owner's until it was entered and left.
pub struct Room {
    kind: Kind,
    stack: usize,
    heap: &'static Heap,
}

struct Rooms {
    made: Vec<Kind>,
    free: Vec<Room>,
}

/// Whether this thread is in a room, and secrets may be touched.
pub fn is_inside() -> bool {
    current().is_some()
}

pub(super) fn current() -> Option<&'static Heap> {
    CURRENT.get()
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
    /// Maps rooms until there are `count` of a kind.
    pub fn prepare(kind: Kind, count: usize, needed_kib: usize) -> Result<(), SecretMemoryError> {
        while rooms().made.iter().filter(|made| **made == kind).count() < count {
            let room = Self::furnish(kind, needed_kib)?;
            rooms().free.push(room);
        }
        Ok(())
    }

    /// A room for a section. There is one for each worker, and the audit log's thread
    /// shares them: it is rare to wait here, and never for longer than a signature takes.
    pub fn for_section() -> Self {
        loop {
            match Self::left(SECTION) {
                Some(room) => return room,
                None => thread::yield_now(),
            }
        }
    }

    /// A room for a secret thread: one that an earlier thread left, or a new one.
    pub fn for_thread() -> Result<Self, SecretMemoryError> {
        Self::left(THREAD).map_or_else(|| Self::furnish(THREAD, THREAD.length() / 1024), Ok)
    }

    /// Runs `work`, which must not unwind, on the room's stack and heap, and leaves
    /// the stack wiped.
    pub fn enter<R>(self, work: impl FnOnce() -> R) -> R {
        let (start, length) = (self.stack as *mut u8, self.kind.stack);
        let live = self.heap.live();
        CURRENT.set(Some(self.heap));
        #[cfg(not(miri))]
        // SAFETY: this owner's stack is mapped, aligned to a page and so long; if
        // `work` unwinds all the same, the process aborts.
        let result = unsafe { psm::on_stack(start, length - STAGGER, work) };
        #[cfg(miri)] // It has no other stacks.
        let result = work();
        CURRENT.set(None);
        // SAFETY: nobody runs on this stack any more.
        let stack = unsafe { std::slice::from_raw_parts_mut(start, length) };
        let (deep, shallow) = stack.split_at_mut(length - SHALLOW);
        wipe(shallow);
        if deep.chunks(256).any(|bytes| bytes != [0; 256]) {
            wipe(deep);
        }
        if self.kind == SECTION && self.heap.live() > live {
            LEAKS.fetch_add(1, Relaxed);
        }
        rooms().free.push(self);
        result
    }

    fn left(kind: Kind) -> Option<Self> {
        let mut rooms = rooms();
        let place = rooms.free.iter().position(|room| room.kind == kind)?;
        Some(rooms.free.swap_remove(place))
    }

    /// Maps the stack and the heap of the next cell.
    fn furnish(kind: Kind, needed_kib: usize) -> Result<Self, SecretMemoryError> {
        hush_panics();
        static ADDRESSES: OnceLock<Result<Reservation, Errno>> = OnceLock::new();
        let addresses = ADDRESSES.get_or_init(|| Reservation::new(CELLS * CELL));
        let addresses = addresses.as_ref().map_err(|error| SecretMemoryError::Map(*error))?;
        START.store(addresses.at(0) as usize, Relaxed);
        let mut rooms = rooms();
        let cell = rooms.made.len();
        let heap = HEAPS.get(cell).ok_or(SecretMemoryError::Map(Errno::NOMEM))?;
        let stack_at = cell * CELL + PAGE;
        let heap_at = stack_at + kind.stack + PAGE;
        addresses.back(&[(stack_at, kind.stack), (heap_at, kind.heap)], needed_kib)?;
        rooms.made.push(kind);
        // SAFETY: backed just now, for good, and known to nobody else.
        unsafe { heap.claim(addresses.at(heap_at), kind.heap) };
        Ok(Self { kind, stack: addresses.at(stack_at) as usize, heap })
    }
}

fn rooms() -> MutexGuard<'static, Rooms> {
    ROOMS.lock().unwrap_or_else(PoisonError::into_inner)
}
