//! The policies in force, and their successors: a directory that is looked at again
//! while the process runs.
//!
//! A new set takes the place of the old one whole, or not at all. One that has
//! problems leaves the old one in force.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::{ArcSwap, Guard};

use super::{Facts, Policy, PolicyProblem, load::Sources};

/// The policies in force.
pub struct Policies {
    current: ArcSwap<Policy>,
    facts: Facts,
    directory: PathBuf,
    seen: Mutex<Seen>,
}

/// What the directory held when it was looked at, by fingerprint.
struct Seen {
    in_force: [u8; 32],
    refused: Option<[u8; 32]>,
    /// Seen once: it may be half-written yet.
    new: Option<[u8; 32]>,
}

/// What a look at the directory led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Nothing new.
    Unchanged,
    /// A new set is in force.
    Loaded,
    /// What the directory holds has problems; the old set stays in force.
    Refused(Vec<PolicyProblem>),
    /// The directory holds again what is in force.
    Restored,
}

impl Policies {
    /// Loads a directory.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn load(directory: &Path, facts: Facts) -> Result<Self, Vec<PolicyProblem>> {
        let sources = Sources::read(directory);
        let in_force = sources.fingerprint();
        let policy = sources.parse()?.with(facts.clone());
        Ok(Self {
            current: ArcSwap::from_pointee(policy),
            facts,
            directory: directory.to_owned(),
            seen: Mutex::new(Seen { in_force, refused: None, new: None }),
        })
    }

    /// The set in force. A decision takes it once.
    pub fn current(&self) -> Guard<Arc<Policy>> {
        self.current.load()
    }

    /// Looks at the directory, and announces a new set, by its number and its fingerprint,
    /// before it is in force. Something new is loaded when a second look finds the
    /// same: files that are written one after the other are no set.
    pub fn refresh(&self, announce: impl FnOnce(usize, [u8; 32])) -> Reload {
        self.look(false, announce)
    }

    /// Looks at the directory and loads at once what is new there.
    pub fn reload(&self, announce: impl FnOnce(usize, [u8; 32])) -> Reload {
        self.look(true, announce)
    }

    /// SHA-256 over the names and texts of the set in force.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.seen().in_force
    }

    fn look(&self, at_once: bool, announce: impl FnOnce(usize, [u8; 32])) -> Reload {
        // Held throughout: of two that look, the later one does not undo the other.
        let mut seen = self.seen();
        let sources = Sources::read(&self.directory);
        let found = sources.fingerprint();
        if found == seen.in_force {
            seen.new = None;
            return match seen.refused.take() {
                Some(_) => Reload::Restored,
                None => Reload::Unchanged,
            };
        }
        if seen.refused == Some(found) {
            return Reload::Unchanged;
        }
        if !at_once && seen.new != Some(found) {
            seen.new = Some(found);
            return Reload::Unchanged;
        }
        seen.new = None;
        match sources.parse() {
            Ok(policy) => {
                let policy = policy.with(self.facts.clone());
                announce(policy.count(), found);
                self.current.store(Arc::new(policy));
                seen.in_force = found;
                seen.refused = None;
                Reload::Loaded
            }
            Err(problems) => {
                seen.refused = Some(found);
                Reload::Refused(problems)
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Each change leaves it whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
