use proptest::prelude::*;

use super::*;

const LENGTH: usize = 32 * 1024;

fn heap() -> Heap {
    let memory = Box::leak(vec![0u8; LENGTH].into_boxed_slice());
    let heap = Heap::new();
    // SAFETY: leaked just now, for this heap alone.
    unsafe { heap.claim(memory.as_mut_ptr(), LENGTH) };
    heap
}

proptest! {
    // A handful is enough under Miri, which looks closer than a test can.
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Blocks do not overlap, keep what is written to them until they are freed,
    /// and the heap is as it was when all of them are.
    #[test]
    fn blocks_are_ones_own(sizes in prop::collection::vec((1..600usize, 0..6u32), 1..24)) {
        let heap = heap();
        let mut blocks = Vec::new();
        for (number, (size, shift)) in sizes.into_iter().enumerate() {
            let layout = Layout::from_size_align(size, 1 << shift).unwrap();
            // SAFETY: the layout is not empty.
            let block = unsafe { heap.talc().allocate(layout) }.unwrap().as_ptr();
            prop_assert!((block as usize).is_multiple_of(layout.align()));
            // SAFETY: allocated just now, with so many bytes.
            unsafe { block.write_bytes(number as u8, size) };
            blocks.push((block, layout, number as u8));
        }
        prop_assert_eq!(heap.live(), blocks.len());
        for (block, layout, mark) in blocks {
            // SAFETY: allocated above, written, and not freed yet.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            prop_assert!(bytes.iter().all(|byte| *byte == mark));
            // SAFETY: as above, and not used any more.
            unsafe { heap.talc().deallocate(block, layout) };
        }
        prop_assert_eq!(heap.live(), 0);
    }
}

#[test]
fn a_full_heap_gives_nothing() {
    let heap = heap();
    let layout = Layout::from_size_align(LENGTH, 8).unwrap();
    // SAFETY: the layout is not empty.
    assert!(unsafe { heap.talc().allocate(layout) }.is_none());
    assert_eq!(heap.live(), 0);
}
