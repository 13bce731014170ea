use std::fs;

use super::*;
use crate::enclave::{EnclaveError, section::secure};

const PATTERN: [u8; 32] = [0xa5; 32];

fn pool(small: usize, large: usize) -> SecretPool {
    super::super::Room::prepare(super::super::SECTION, 1, 0).unwrap();
    SecretPool::map(small, large, 0).unwrap()
}

fn fill(slot: &mut Slot) {
    let pattern = |place: &mut [u8]| {
        place.fill(0xa5);
        Ok::<_, EnclaveError>(PATTERN.len())
    };
    secure(|| slot.fill(pattern)).unwrap();
}

fn assert_zero(slot: &mut Slot) {
    assert!(slot.bytes().iter().all(|byte| *byte == 0));
}

#[test]
fn a_slot_comes_back_wiped() {
    let pool = pool(1, 1);
    for length in [SLOT_LEN, LARGE_SLOT_LEN] {
        let mut slot = pool.take(length).unwrap();
        fill(&mut slot);
        drop(slot);
        assert_zero(&mut pool.take(length).unwrap());
    }
}

#[test]
fn a_failed_fill_leaves_an_empty_wiped_slot() {
    let pool = pool(1, 0);
    let mut slot = pool.take(1).unwrap();
    fill(&mut slot);
    let failed = |place: &mut [u8]| {
        place.fill(0x5a);
        Err(EnclaveError::Tag)
    };
    assert_eq!(secure(|| slot.fill(failed)), Err(EnclaveError::Tag));
    assert_eq!(slot.filled, 0);
    assert_zero(&mut slot);
}

#[test]
fn slots_are_distinct_and_finite() {
    let pool = pool(2, 1);
    let (mut one, mut two) = (pool.take(1).unwrap(), pool.take(SLOT_LEN).unwrap());
    assert!(pool.take(1).is_err(), "a DEK does not take a large slot");
    fill(&mut one);
    assert_zero(&mut two);
    let large = pool.take(SLOT_LEN + 1).unwrap();
    assert!(pool.take(LARGE_SLOT_LEN).is_err());
    assert_eq!(pool.free(), 0);
    drop((one, two, large));
    assert_eq!(pool.free(), 3);
    assert!(pool.take(LARGE_SLOT_LEN + 1).is_err(), "nothing is so long");
}

#[test]
fn secrets_are_read_in_rooms_only() {
    let pool = pool(1, 0);
    let mut slot = pool.take(1).unwrap();
    fill(&mut slot);
    let mut is_there = false;
    let mut compare = |bytes: &[u8]| is_there = bytes == PATTERN;
    secure(|| {
        slot.reveal(&mut compare);
        Ok(())
    })
    .unwrap();
    assert!(is_there);
    let mut slot = std::panic::AssertUnwindSafe(slot);
    let read = std::panic::catch_unwind(|| slot.reveal(<[u8]>::len));
    assert!(read.is_err());
    let write = || slot.fill(|_| Ok::<_, EnclaveError>(0));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(write)).is_err());
}

/// What the kernel says: each slot is a mapping of its own, so that guards are on
/// either side; locked, left out of dumps, and not a fork's.
#[test]
fn the_kernel_agrees() {
    let pool = pool(2, 1);
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut taken = Vec::new();
    for length in [SLOT_LEN, SLOT_LEN, LARGE_SLOT_LEN] {
        let mut slot = pool.take(length).unwrap();
        let start = slot.bytes().as_ptr() as usize;
        let head = format!("{start:x}-{:x} rw-", start + length);
        let (_, entry) = smaps.split_once(&head).expect("a mapping of its own");
        let (_, flags) = entry.split_once("VmFlags:").unwrap();
        let flags: Vec<_> = flags.lines().next().unwrap().split_whitespace().collect();
        let on_fork = match super::super::level().0 {
            crate::memory::Level::MemfdSecret => "dc",
            crate::memory::Level::Mlock => "wf",
        };
        for flag in ["lo", "dd", on_fork] {
            assert!(flags.contains(&flag), "{flag} is missing in {flags:?}");
        }
        taken.push(slot);
    }
}
