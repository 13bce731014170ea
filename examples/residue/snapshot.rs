//! What was read of a process at one moment.

use std::{
    collections::BTreeMap, fs::File, ops::Range, os::unix::fs::FileExt, path::Path, time::Duration,
};

use super::map::{Map, Place};

/// Copies of a process's memory.
#[derive(Default)]
pub struct Snapshot {
    /// What was read, each piece beginning at a page.
    pub pieces: Vec<(Place, Vec<u8>)>,
    /// Bytes that the kernel did not give, by the name of their map.
    pub refused: BTreeMap<String, u64>,
    /// For how long the process stood still.
    pub frozen: Duration,
}

/// Which pages of a map there are: `/proc/PID/pagemap`. What was never touched is
/// not read, since reading it would make the kernel give the target a page of
/// zeros for it.
pub struct Pages(Option<File>);

/// Bits of an entry: kernel documentation, admin-guide/mm/pagemap.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const FILE_OR_SHARED: u64 = 1 << 61;

/// What refused pages of `memfd_secret` are called.
pub const SECRET: &str = "memfd_secret";

/// As much of a map that the process itself may not read as is looked at where
/// the kernel does not say which pages there are.
const NO_ACCESS_MAX: u64 = 1 << 20;

impl Snapshot {
    /// Adds a piece.
    pub fn add(&mut self, place: Place, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.pieces.push((place, bytes));
        }
    }

    /// Adds what was refused.
    pub fn refuse(&mut self, map: &Map, bytes: u64) {
        let name = match map.name.as_str() {
            _ if map.is_secret() => SECRET,
            // [vsyscall], among others, may be run and not read.
            name if name.starts_with("[v") => name,
            _ if !map.readable => "maps without access",
            "" => "anonymous",
            name => name,
        };
        *self.refused.entry(name.to_owned()).or_default() += bytes;
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

impl Pages {
    /// Bytes of an entry's page.
    pub const SIZE: u64 = 4096;

    /// The pages of the process under `/proc/PID`; all of them where the kernel
    /// does not say.
    pub fn open(process: &Path) -> Self {
        // A kernel with larger pages counts in those.
        let known = rustix::param::page_size() as u64 == Self::SIZE;
        Self(File::open(process.join("pagemap")).ok().filter(|_| known))
    }

    /// The runs of pages that hold something.
    pub fn held(&self, map: &Map, changed_only: bool) -> Vec<Range<u64>> {
        let Some(entries) = self.entries(map) else {
            let small = map.range.end - map.range.start <= NO_ACCESS_MAX;
            let read = map.readable || small;
            return read.then(|| map.range.clone()).into_iter().collect();
        };
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (at, entry) in (map.range.start..).step_by(Self::SIZE as usize).zip(entries) {
            // A shared map's page may be in the file's cache and not mapped now.
            let held = entry & (PRESENT | SWAPPED) != 0 || map.readable && !map.private;
            let same = map.private && entry & FILE_OR_SHARED != 0;
            if !held || changed_only && same {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == at => run.end += Self::SIZE,
                _ => runs.push(at..at + Self::SIZE),
            }
        }
        runs
    }

    fn entries(&self, map: &Map) -> Option<Vec<u64>> {
        let count = (map.range.end - map.range.start) / Self::SIZE;
        let mut bytes = vec![0; usize::try_from(count).ok()? * 8];
        // Not there for what lies above the process's own part: [vsyscall].
        let offset = map.range.start / Self::SIZE * 8;
        self.0.as_ref()?.read_exact_at(&mut bytes, offset).ok()?;
        let entries = bytes.as_chunks().0.iter();
        Some(entries.map(|entry| u64::from_le_bytes(*entry)).collect())
    }
}
