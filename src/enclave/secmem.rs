//! Secret memory: pages that are locked, guarded, left out of dumps and forks,
//! and wiped.
//!
//! One mapping, made at start and never grown:
//! ```text
//! │guard│slot 0│guard│slot 1│guard│ … │slot n-1│guard│
//!  NONE   RW     NONE   RW     NONE      RW       NONE     4 KiB each
//! ```
//! A slot is at a page of its own, so that running past either end faults. The
//! pool is the only owner of the mapping; a [`Slot`] is the only owner of its
//! page until it is dropped, which wipes the page before anybody else gets it.
//!
//! This is the one module with `unsafe`. Its invariants:
//! - `Mapping::base` is page-aligned and maps `(2n + 1)` pages for as long as
//!   the pool lives, and each slot keeps the pool alive;
//! - an index is either in the free list or owned by exactly one `Slot`.

use std::{
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    io::Errno,
    mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap},
    process::{Resource, getrlimit},
};

/// Bytes of a slot: one page.
pub const SLOT_LEN: usize = 4096;

/// The process cannot have the secret memory that it needs and must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretMemoryError {
    /// The pages cannot be locked.
    #[error(
        "cannot lock {needed_kib} KiB of secret memory: RLIMIT_MEMLOCK allows {} KiB. Raise it to at \
         least {needed_kib} KiB (`ulimit -l`, `LimitMEMLOCK=` of the service or of containerd), or \
         lower limits.in_flight and limits.streams",
        allowed_kib.map_or_else(|| "unlimited".to_owned(), |kib| kib.to_string())
    )]
    Lock {
        /// What the configured limits need.
        needed_kib: usize,
        /// The soft limit, none when unlimited.
        allowed_kib: Option<u64>,
    },
    /// The pages cannot be mapped or protected.
    #[error("cannot map {needed_kib} KiB of secret memory: {error}")]
    Map {
        /// What the configured limits need.
        needed_kib: usize,
        /// What the kernel said.
        error: Errno,
    },
}

/// A fixed number of slots. Cheap to clone; clones share the slots.
#[derive(Clone)]
pub struct SecretPool(Arc<Mapping>);

/// One page of secret memory, empty or filled. Wiped on drop.
pub struct Slot {
    mapping: Arc<Mapping>,
    index: usize,
    filled: usize,
}

struct Mapping {
    base: NonNull<u8>,
    slots: usize,
    free: Mutex<Vec<usize>>,
}

// SAFETY: the mapping belongs to the process, not to a thread; the free list is
// behind a mutex and each page has one owner at a time.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared access to a page is through `&Slot` and only reads.
unsafe impl Sync for Mapping {}

// === impl SecretPool ===

impl SecretPool {
    /// Kibibytes that `slots` slots count against RLIMIT_MEMLOCK.
    pub fn budget_kib(slots: usize) -> usize {
        slots * SLOT_LEN / 1024
    }

    /// Maps, locks and shields `slots` pages.
    ///
    /// # Errors
    /// See [`SecretMemoryError`]; nothing stays mapped.
    pub fn map(slots: usize) -> Result<Self, SecretMemoryError> {
        let needed_kib = Self::budget_kib(slots);
        let failed = |error| SecretMemoryError::Map { needed_kib, error };
        let length = (2 * slots + 1) * SLOT_LEN;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice
        // aliases nothing.
        let base = unsafe {
            mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::empty(), MapFlags::PRIVATE)
        }
        .map_err(failed)?;
        let base = NonNull::new(base.cast()).ok_or(failed(Errno::NOMEM))?;
        let mapping = Mapping { base, slots, free: Mutex::new((0..slots).rev().collect()) };
        for index in 0..slots {
            let page = mapping.page(index);
            // SAFETY: `page` is one whole page inside the mapping made above.
            unsafe { mprotect(page.cast(), SLOT_LEN, MprotectFlags::READ | MprotectFlags::WRITE) }
                .map_err(failed)?;
            // SAFETY: as above. Children of a fork must not inherit a secret.
            unsafe { madvise(page.cast(), SLOT_LEN, Advice::LinuxWipeOnFork) }.map_err(failed)?;
            // SAFETY: as above. memsec also sets MADV_DONTDUMP. Its allocator
            // ignores a failed lock, which is why it is not used and why the
            // result is checked here.
            if !unsafe { memsec::mlock(page, SLOT_LEN) } {
                return Err(SecretMemoryError::Lock {
                    needed_kib,
                    allowed_kib: getrlimit(Resource::Memlock).current.map(|bytes| bytes / 1024),
                });
            }
        }
        Ok(Self(Arc::new(mapping)))
    }

    /// Takes a free slot, or none when all are in use.
    pub fn take(&self) -> Option<Slot> {
        let index = self.0.free_list().pop()?;
        Some(Slot { mapping: Arc::clone(&self.0), index, filled: 0 })
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.0.slots
    }

    /// How many slots are free.
    pub fn free(&self) -> usize {
        self.0.free_list().len()
    }
}

// === impl Slot ===

impl Slot {
    /// The door in: lets `write` fill the page in place and say how many bytes
    /// of it count. What it leaves beyond them is wiped with the slot.
    ///
    /// # Errors
    /// Those of `write`; the slot is wiped and empty then.
    pub fn fill<E>(
        &mut self,
        write: impl FnOnce(&mut [u8; SLOT_LEN]) -> Result<usize, E>,
    ) -> Result<(), E> {
        // SAFETY: this slot owns its page exclusively, the page is writable and
        // lives as long as the mapping, which `self` keeps alive.
        let page = unsafe { &mut *self.mapping.page(self.index).cast::<[u8; SLOT_LEN]>() };
        match write(page) {
            Ok(filled) => {
                self.filled = filled.min(SLOT_LEN);
                Ok(())
            }
            Err(error) => {
                self.wipe();
                Err(error)
            }
        }
    }

    /// The door out: the one way to read a secret.
    pub fn reveal<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        // SAFETY: the page is readable and lives as long as the mapping;
        // `filled` is at most its length; writers need `&mut self`.
        let bytes = unsafe {
            std::slice::from_raw_parts(self.mapping.page(self.index).cast_const(), self.filled)
        };
        read(bytes)
    }

    fn wipe(&mut self) {
        // SAFETY: this slot owns its page exclusively.
        unsafe { memsec::memzero(self.mapping.page(self.index), SLOT_LEN) };
        self.filled = 0;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.wipe();
        self.mapping.free_list().push(self.index);
    }
}

// === impl Mapping ===

impl Mapping {
    fn page(&self, index: usize) -> *mut u8 {
        debug_assert!(index < self.slots);
        // SAFETY: page 2i + 1 lies inside the mapping for every index below
        // `slots`, and indices come from the free list alone.
        unsafe { self.base.as_ptr().add((2 * index + 1) * SLOT_LEN) }
    }

    fn free_list(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        // Pushing and popping cannot leave the list half-changed.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the last slot is gone, wiped by its own drop, and with it the
        // last pointer into the mapping. A failure to unmap leaks zeroed pages.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), (2 * self.slots + 1) * SLOT_LEN) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pool: &SecretPool, byte: u8) -> Slot {
        let mut slot = pool.take().unwrap();
        slot.fill(|page| {
            page.fill(byte);
            Ok::<_, ()>(SLOT_LEN)
        })
        .unwrap();
        slot
    }

    #[test]
    fn a_slot_comes_back_wiped() {
        let pool = SecretPool::map(1).unwrap();
        drop(filled(&pool, 0xa5));
        let mut again = pool.take().unwrap();
        again
            .fill(|page| {
                assert!(page.iter().all(|byte| *byte == 0));
                Ok::<_, ()>(0)
            })
            .unwrap();
    }

    #[test]
    fn a_failed_fill_leaves_an_empty_wiped_slot() {
        let pool = SecretPool::map(1).unwrap();
        let mut slot = pool.take().unwrap();
        let failed = slot.fill(|page| {
            page.fill(0xa5);
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        slot.reveal(|bytes| assert!(bytes.is_empty()));
        slot.fill(|page| {
            assert!(page.iter().all(|byte| *byte == 0));
            Ok::<_, ()>(0)
        })
        .unwrap();
    }

    #[test]
    fn slots_are_distinct_and_finite() {
        let pool = SecretPool::map(2).unwrap();
        let (one, two) = (filled(&pool, 1), filled(&pool, 2));
        assert!(pool.take().is_none());
        one.reveal(|bytes| assert!(bytes.iter().all(|byte| *byte == 1)));
        two.reveal(|bytes| assert!(bytes.iter().all(|byte| *byte == 2)));
        drop((one, two));
        assert_eq!(pool.free(), 2);
    }

    /// What the kernel says of the mapping: locked, not dumped, wiped on fork,
    /// a guard on either side.
    #[test]
    fn the_kernel_agrees() {
        let pool = SecretPool::map(3).unwrap();
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        for index in 0..3 {
            let page = pool.0.page(index) as usize;
            let entry = smaps
                .split_inclusive("VmFlags:")
                .position(|part| part.contains(&format!("{page:x}-{:x} rw-p", page + SLOT_LEN)))
                .expect("the slot is a mapping of its own: guards on either side");
            let flags = smaps
                .split("VmFlags:")
                .nth(entry + 1)
                .and_then(|part| part.lines().next())
                .unwrap();
            for flag in ["lo", "dd", "wf"] {
                assert!(flags.contains(flag), "{flag} missing in {flags}");
            }
        }
    }
}
