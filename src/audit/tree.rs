//! The Merkle tree of RFC 6962 §2.1 over the records of a log, SHA-256.
//!
//! A log keeps its [`Frontier`] alone, which is all that appending needs: 32 bytes for
//! each bit of its size. Where records are added together, [`Growth`] knows the
//! inclusion paths of those records in the tree that they make.

use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a record: the leaf.
pub fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree, as far as appending needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The roots of the complete subtrees that the tree consists of, the largest first:
    /// one for each bit of its size.
    roots: Vec<Hash>,
}

/// A tree and the leaves that were added to it.
pub struct Growth {
    size: u64,
    grown: Frontier,
    /// From the leaves up; with the place of the first hash in its level.
    levels: Vec<(u64, Vec<Hash>)>,
}

impl Frontier {
    /// The tree that these are the roots of; none if there is no such tree.
    pub fn new(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// The root of the tree; of none that of RFC 6962, the hash of nothing.
    pub fn root(&self) -> Hash {
        let from_right = self.roots.iter().rev().copied();
        from_right
            .reduce(|right, left| node(&left, &right))
            .unwrap_or_else(|| Sha256::digest([]).into())
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut complete = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                complete = node(&left, &complete);
            }
        }
        self.roots.push(complete);
        self.size += 1;
    }

    /// The tree with `leaves` added.
    pub fn grow(&self, leaves: &[Hash]) -> Growth {
        let mut grown = self.clone();
        leaves.iter().for_each(|leaf| grown.push(*leaf));
        let mut roots = self.roots.iter().rev();
        let (mut first, mut hashes, mut levels) = (self.size, leaves.to_vec(), Vec::new());
        loop {
            // What is complete on this level and not part of a larger one is the left
            // sibling of what was added.
            if first & 1 == 1 {
                hashes.splice(0..0, roots.next().copied());
                first -= 1;
            }
            let next = hashes.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                // Without a sibling it stands for itself one level up.
                alone => alone.first().copied().unwrap_or_default(),
            });
            let next: Vec<_> = next.collect();
            let top = first == 0 && hashes.len() <= 1;
            levels.push((first, hashes));
            if top {
                return Growth { size: self.size, grown, levels };
            }
            (first, hashes) = (first / 2, next);
        }
    }
}

impl Growth {
    /// How many leaves there were before.
    pub fn before(&self) -> u64 {
        self.size
    }

    /// The tree with the leaves.
    pub fn frontier(&self) -> &Frontier {
        &self.grown
    }

    /// The inclusion path (RFC 6962 §2.1.1) of an added leaf, the first of which is 0.
    pub fn path(&self, added: usize) -> Vec<Hash> {
        let mut place = self.size + added as u64;
        let mut path = Vec::new();
        for (first, hashes) in &self.levels {
            let sibling = (place ^ 1)
                .checked_sub(*first)
                .and_then(|index| hashes.get(usize::try_from(index).ok()?));
            path.extend(sibling);
            place /= 2;
        }
        path
    }
}

/// The root of the tree of `size` leaves in which a leaf has this inclusion path, as RFC
/// 9162 §2.1.3.2 computes it; none if no path of that length belongs to that place.
pub fn root_by(path: &[Hash], leaf: Hash, place: u64, size: u64) -> Option<Hash> {
    let (mut place, mut last) = (place, size.checked_sub(1)?);
    if place > last {
        return None;
    }
    let mut root = leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            root = node(sibling, &root);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            root = node(&root, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}
