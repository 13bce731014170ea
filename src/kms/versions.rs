//! The versions of a KEK.

use std::time::{Duration, SystemTime};

/// The age from which the newest version of a KEK is overdue: 90 days, and one for a
/// rotation that comes on the 90th.
pub const OVERDUE: Duration = Duration::from_secs(91 * 24 * 3600);

/// The versions of a KEK that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekVersions {
    /// The lowest version that still unwraps.
    pub floor: u32,
    /// The lowest version that the KMS has still, to which the floor can be lowered.
    pub kept: u32,
    /// Every version, ascending; the last is the newest.
    pub versions: Vec<KekVersion>,
}

/// A version of a KEK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KekVersion {
    /// Its number, from 1.
    pub number: u32,
    /// When it was made, where the KMS says so.
    pub created: Option<SystemTime>,
}

impl KekVersions {
    /// The version that wraps; none where there is no version.
    pub fn newest(&self) -> Option<KekVersion> {
        self.versions.last().copied()
    }
}

impl KekVersion {
    /// How old it is at `now`, where that is known.
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        // A clock that is behind the KMS's sees a version of the future, which is new.
        self.created.map(|created| now.duration_since(created).unwrap_or_default())
    }

    /// Whether it should have been replaced at `now`; none where its age is unknown.
    pub fn is_overdue(&self, now: SystemTime) -> Option<bool> {
        self.age(now).map(|age| age >= OVERDUE)
    }
}
