//! Slots: secrets that outlive a section lie here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pages::{PAGE, Reservation};
use crate::memory::SecretMemoryError;

/// Bytes of a slot: a DEK, or a share of at most so many bytes.
pub const SLOT_LEN: usize = PAGE;
/// Bytes of a large slot: the longest share that an envelope holds.
pub const LARGE_SLOT_LEN: usize = crate::envelope::SHARE_MAX;

/// A fixed number of slots. Cheap to clone; clones share the slots.
#[derive(Clone)]
pub struct SecretPool(Arc<Slots>);

/// A place for one secret, empty or filled. Wiped on drop.
pub struct Slot {
    slots: Arc<Slots>,
    index: usize,
    filled: usize,
}

struct Slots {
    pages: Reservation,
    /// Where each slot begins and how long it is: small ones first.
    places: Box<[(usize, usize)]>,
    small: usize,
    /// Indices of free slots: small, large. Each index is in here, or owned by
    /// exactly one [`Slot`].
    free: Mutex<[Vec<usize>; 2]>,
}

// === impl SecretPool ===

impl SecretPool {
    /// Maps `small` slots and `large` ones, with a guard page on either side of
    /// each, so that running past an end faults. `needed_kib` is what the process
    /// needs in all, for the error.
    ///
    /// # Errors
    /// See [`SecretMemoryError`]; nothing stays mapped.
    pub fn map(small: usize, large: usize, needed_kib: usize) -> Result<Self, SecretMemoryError> {
        let lengths = (0..small)
            .map(|_| SLOT_LEN)
            .chain((0..large).map(|_| LARGE_SLOT_LEN));
        let mut end = PAGE;
        let places: Box<[_]> = lengths
            .map(|length| {
                let place = (end, length);
                end += length + PAGE;
                place
            })
            .collect();
        let pages = Reservation::new(end).map_err(SecretMemoryError::Map)?;
        pages.back(&places, needed_kib)?;
        let free = [(0..small).rev().collect(), (small..small + large).collect()];
        Ok(Self(Arc::new(Slots {
            pages,
            places,
            small,
            free: Mutex::new(free),
        })))
    }

    /// Takes a free slot of at least `length` bytes, none when all such are in
    /// use or there are no such.
    pub fn take(&self, length: usize) -> Option<Slot> {
        let class = match length {
            0..=SLOT_LEN => 0,
            ..=LARGE_SLOT_LEN => 1,
            _ => return None,
        };
        let index = self.0.free().get_mut(class)?.pop()?;
        Some(Slot {
            slots: Arc::clone(&self.0),
            index,
            filled: 0,
        })
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.0.places.len()
    }

    /// How many slots are free.
    pub fn free(&self) -> usize {
        self.0.free().iter().map(Vec::len).sum()
    }
}

// === impl Slot ===

impl Slot {
    /// The door in: lets `write` fill the slot in place and say how many bytes of
    /// it count. What it leaves beyond them is wiped with the slot.
    ///
    /// # Errors
    /// Those of `write`; the slot is wiped and empty then.
    pub(in crate::enclave) fn fill<E>(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let (start, length) = self.place();
        // SAFETY: this slot owns these bytes exclusively; they are writable and
        // live as long as the reservation, which `self` keeps alive.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start, length) };
        let written = write(bytes);
        match written {
            Ok(filled) => self.filled = filled.min(length),
            Err(_) => self.wipe(),
        }
        written.map(drop)
    }

    /// The door out: the one way to read a secret.
    pub(in crate::enclave) fn reveal<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        debug_assert!(super::is_inside(), "a secret is read in secret memory only");
        let (start, _) = self.place();
        // SAFETY: the bytes are readable and live as long as the reservation;
        // `filled` is at most the slot's length; writers need `&mut self`.
        read(unsafe { std::slice::from_raw_parts(start.cast_const(), self.filled) })
    }

    /// Bytes that count.
    pub(in crate::enclave) fn filled(&self) -> usize {
        self.filled
    }

    fn wipe(&mut self) {
        let (start, length) = self.place();
        // SAFETY: this slot owns these bytes exclusively.
        unsafe { memsec::memzero(start, length) };
        self.filled = 0;
    }

    fn place(&self) -> (*mut u8, usize) {
        // An index comes from the free list, which holds those of `places` only.
        let (offset, length) = self
            .slots
            .places
            .get(self.index)
            .copied()
            .unwrap_or_default();
        (self.slots.pages.at(offset), length)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.wipe();
        let class = usize::from(self.index >= self.slots.small);
        if let Some(free) = self.slots.free().get_mut(class) {
            free.push(self.index);
        }
    }
}

impl Slots {
    fn free(&self) -> MutexGuard<'_, [Vec<usize>; 2]> {
        // Pushing and popping cannot leave a list half-changed.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
