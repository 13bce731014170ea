//! Mutations of seeds: small, stacked, and of the kind that length-prefixed
//! formats trip over.

/// Bytes at the edge of something.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'/', b'\n'];

/// An endless, repeatable sequence of inputs.
pub struct Mutator<'a> {
    random: Random,
    seeds: &'a [Vec<u8>],
    input: Vec<u8>,
}

impl<'a> Mutator<'a> {
    pub fn new(seed: u64, seeds: &'a [Vec<u8>]) -> Self {
        assert!(!seeds.is_empty(), "nothing to mutate");
        Self { random: Random(seed), seeds, input: Vec::new() }
    }

    /// The next input: a seed with one to four mutations.
    pub fn next(&mut self) -> &[u8] {
        let seed = self.random.below(self.seeds.len());
        self.input.clone_from(&self.seeds[seed]);
        for _ in 0..=self.random.below(4) {
            self.mutate();
        }
        &self.input
    }

    fn mutate(&mut self) {
        let length = self.input.len();
        if length == 0 {
            self.input.push(self.random.byte());
            return;
        }
        let at = self.random.below(length);
        match self.random.below(9) {
            0 => self.input[at] ^= 1 << self.random.below(8),
            1 => self.input[at] = self.random.byte(),
            2 => self.input[at] = EDGES[self.random.below(EDGES.len())],
            // A length one more or one less.
            3 => self.input[at] = self.input[at].wrapping_add(1),
            4 => self.input[at] = self.input[at].wrapping_sub(1),
            5 => self.input.truncate(at),
            6 => self.input.insert(at, self.random.byte()),
            7 => {
                self.input.remove(at);
            }
            _ => self.splice(at),
        }
    }

    /// Goes on from `at` with the rest of another seed.
    fn splice(&mut self, at: usize) {
        let other = &self.seeds[self.random.below(self.seeds.len())];
        let from = self.random.below(other.len() + 1);
        self.input.truncate(at);
        self.input.extend_from_slice(&other[from..]);
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): repeatable, and good enough here.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.word() as u8
    }
}
