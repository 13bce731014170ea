//! The state of a log: all that its next record depends on.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    chain,
    record::{Event, Hex, Record, Segment},
    tree::{self, Frontier, Hash},
};

/// Where a log stands: all that the next record depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    link: Hash,
    tree: Frontier,
    /// Requests without an outcome.
    open: BTreeSet<u64>,
    instance: Option<Uuid>,
}

impl State {
    /// What a file begins with here; none at the beginning of the log.
    pub(super) fn head(&self) -> Option<Segment> {
        Some(Segment {
            instance: self.instance?,
            after: self.link.into(),
            tree: self.tree.roots().iter().map(|root| (*root).into()).collect(),
            open: self.open.iter().copied().collect(),
        })
    }

    /// The tree before a record.
    pub(super) fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// The state before a file whose first record this is; none if that cannot be.
    pub(super) fn at(first: &[u8]) -> Option<Self> {
        let Record { seq, event: Event::Segment(head), .. } = serde_json::from_slice(first).ok()?
        else {
            return None;
        };
        let roots = head.tree.iter().map(Hex::hash).collect::<Option<Vec<_>>>()?;
        Some(Self {
            link: head.after.hash()?,
            tree: Frontier::new(seq, roots)?,
            open: head.open.iter().copied().collect(),
            instance: Some(head.instance),
        })
    }

    /// Goes on to the next record; none where it is not the next.
    pub(super) fn read(&mut self, line: &[u8]) -> Option<Record> {
        let (link, bytes) = chain::read(line)?;
        let record: Record = serde_json::from_slice(bytes).ok()?;
        if record.seq != self.tree.size() || link != chain::link(&self.link, bytes) {
            return None;
        }
        self.follow(record.seq, &record.event, link, tree::leaf(bytes));
        Some(record)
    }

    /// The link of the last record.
    pub(super) fn link(&self) -> Hash {
        self.link
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Whether a request has no outcome.
    pub(super) fn is_open(&self, request: u64) -> bool {
        self.open.contains(&request)
    }

    /// The requests that have no outcome.
    pub(super) fn unended(&self) -> impl Iterator<Item = u64> {
        self.open.iter().copied()
    }

    /// How many requests have no outcome.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// The name of the log.
    pub(super) fn instance(&self) -> Option<Uuid> {
        self.instance
    }

    /// Goes on to a record that follows.
    pub(super) fn follow(&mut self, seq: u64, event: &Event, link: Hash, leaf: Hash) {
        self.link = link;
        self.tree.push(leaf);
        match event {
            Event::Created { instance } => self.instance = Some(*instance),
            Event::Request(request) if request.ended.is_none() => {
                self.open.insert(seq);
            }
            Event::Outcome { of, .. } => {
                self.open.remove(of);
            }
            _ => {}
        }
    }
}
