//! Slots: secrets that outlive a section lie here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    pages::{PAGE, Reservation},
    wipe,
};
use crate::{enclave::EnclaveError, envelope::SHARE_MAX, memory::SecretMemoryError};

/// Bytes of a slot: a DEK, or a share of at most so many.
pub const SLOT_LEN: usize = PAGE;
/// Bytes of a large slot: the longest share that there is.
pub const LARGE_SLOT_LEN: usize = SHARE_MAX;

/// A fixed number of slots. Cheap to clone; clones share the slots.
#[derive(Clone)]
pub struct SecretPool(Arc<Slots>);

/// A place for one secret, empty or filled. Wiped on drop.
pub struct Slot {
    slots: Arc<Slots>,
    /// Where it begins and how long it is: of no other slot.
    place: (usize, usize),
    filled: usize,
}

struct Slots {
    pages: Reservation,
    /// The places of free slots: small, large.
    free: Mutex<[Vec<(usize, usize)>; 2]>,
}

impl SecretPool {
    /// Maps `small` slots and `large` ones, with a guard page on either side of each,
    /// so that running past an end faults. `needed_kib` is the process's need in all.
    pub fn map(small: usize, large: usize, needed_kib: usize) -> Result<Self, SecretMemoryError> {
        let mut end = PAGE;
        let mut lay = |length| {
            let start = end;
            end += length + PAGE;
            (start, length)
        };
        let small: Vec<_> = (0..small).map(|_| lay(SLOT_LEN)).collect();
        let large: Vec<_> = (0..large).map(|_| lay(LARGE_SLOT_LEN)).collect();
        let pages = Reservation::new(end).map_err(SecretMemoryError::Map)?;
        pages.back(&[&small[..], &large[..]].concat(), needed_kib)?;
        Ok(Self(Arc::new(Slots { pages, free: Mutex::new([small, large]) })))
    }

    /// Takes a free slot of at least `length` bytes, or [`EnclaveError::Exhausted`].
    pub fn take(&self, length: usize) -> Result<Slot, EnclaveError> {
        let [small, large] = &mut *self.0.free();
        let place = match length {
            _ if length <= SLOT_LEN => small.pop(),
            _ if length <= LARGE_SLOT_LEN => large.pop(),
            _ => None,
        };
        let place = place.ok_or(EnclaveError::Exhausted)?;
        Ok(Slot { slots: Arc::clone(&self.0), place, filled: 0 })
    }

    /// How many slots are free.
    pub fn free(&self) -> usize {
        self.0.free().iter().map(Vec::len).sum()
    }
}

impl Slot {
    /// The most bytes that it holds.
    pub(in crate::enclave) fn room(&self) -> usize {
        self.place.1
    }

    /// The door in: lets `write` fill the slot in place and say how many bytes of it
    /// count. When it fails, the slot is wiped and empty.
    pub(in crate::enclave) fn fill(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Result<usize, EnclaveError>,
    ) -> Result<(), EnclaveError> {
        assert!(super::is_inside(), "secrets are written on secret stacks only");
        let written = write(self.bytes()).inspect_err(|_| {
            self.filled = 0;
            wipe(self.bytes());
        });
        self.filled = written?.min(self.place.1);
        Ok(())
    }

    /// The door out: the one way to read a secret.
    pub(in crate::enclave) fn reveal<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        assert!(super::is_inside(), "secrets are read on secret stacks only");
        let start = self.slots.pages.at(self.place.0).cast_const();
        // SAFETY: this slot's own bytes, mapped for as long as `slots` lives, and
        // `filled` is no more than it has; who writes needs `&mut self`.
        read(unsafe { std::slice::from_raw_parts(start, self.filled) })
    }

    fn bytes(&mut self) -> &mut [u8] {
        let (offset, length) = self.place;
        // SAFETY: this slot's own bytes, mapped for as long as `slots` lives.
        unsafe { std::slice::from_raw_parts_mut(self.slots.pages.at(offset), length) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        wipe(self.bytes());
        let [small, large] = &mut *self.slots.free();
        if self.place.1 == SLOT_LEN { small.push(self.place) } else { large.push(self.place) }
    }
}

impl Slots {
    fn free(&self) -> MutexGuard<'_, [Vec<(usize, usize)>; 2]> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
