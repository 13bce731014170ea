//! The floor: the lowest version of the KEK that still unwraps. It rises only when
//! nothing below it wraps anything.

use std::path::PathBuf;

use super::Census;
use crate::{
    identity::Wrapping,
    kms::{KekVersion, KekVersions},
};

/// Why the floor stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FloorRefused {
    /// There is no such version.
    #[error("the KEK has no version {asked}: its newest is {newest}")]
    Unknown {
        /// What was asked for.
        asked: u32,
        /// The newest.
        newest: u32,
    },
    /// It would fall.
    #[error("the floor is {0}, and is not lowered here")]
    Lower(u32),
    /// Records would not open any more.
    #[error(
        "{count} records are wrapped by a version below {asked}, the oldest by {oldest}: run \
         `countersign share rewrap` first"
    )]
    Records {
        /// What was asked for.
        asked: u32,
        /// How many.
        count: u64,
        /// The lowest version that wraps one.
        oldest: u32,
    },
    /// It is not known what wraps them.
    #[error(
        "{0} records cannot be read, so that it is not known which version wraps them: `countersign \
         rotation status` says which"
    )]
    Unreadable(usize),
    /// An instance could not open the key that signs its audit log.
    #[error(
        "the key of the instance in {directory} is wrapped by version {version}: run `countersign \
         share rewrap --instance {directory}` first"
    )]
    Instance {
        /// The directory of its audit log.
        directory: PathBuf,
        /// The version, 0 where it is not known.
        version: u32,
    },
}

/// Whether the floor may rise to `asked`.
///
/// # Errors
/// [`FloorRefused`].
pub fn may_rise(
    asked: u32,
    versions: &KekVersions,
    census: &Census,
    instances: &[(PathBuf, Wrapping)],
) -> Result<(), FloorRefused> {
    let newest = versions.newest().map_or(0, |KekVersion { number, .. }| number);
    if asked > newest || !versions.versions.iter().any(|version| version.number == asked) {
        return Err(FloorRefused::Unknown { asked, newest });
    }
    if asked < versions.floor {
        return Err(FloorRefused::Lower(versions.floor));
    }
    let count = census.before(asked);
    if let (1.., Some(oldest)) = (count, census.versions.keys().next()) {
        return Err(FloorRefused::Records { asked, count, oldest: *oldest });
    }
    if !census.unreadable.is_empty() {
        return Err(FloorRefused::Unreadable(census.unreadable.len()));
    }
    for (directory, wrapping) in instances {
        let version = wrapping.kek_version().unwrap_or(0);
        if version < asked {
            return Err(FloorRefused::Instance { directory: directory.clone(), version });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ShareId;

    #[test]
    fn it_rises_over_nothing_that_needs_it() {
        let version = |number| KekVersion { number, created: None };
        let versions =
            KekVersions { floor: 2, kept: 1, versions: vec![version(2), version(3), version(4)] };
        let census = |counts: &[(u32, u64)]| Census {
            versions: counts.iter().copied().collect(),
            ..Census::default()
        };
        let rises = |asked, census| may_rise(asked, &versions, &census, &[]);
        assert_eq!(rises(3, census(&[(3, 5), (4, 1)])), Ok(()));
        assert_eq!(rises(4, census(&[])), Ok(()));
        assert_eq!(
            rises(4, census(&[(2, 1), (3, 5), (4, 1)])),
            Err(FloorRefused::Records { asked: 4, count: 6, oldest: 2 })
        );
        assert_eq!(rises(5, census(&[])), Err(FloorRefused::Unknown { asked: 5, newest: 4 }));
        assert_eq!(rises(1, census(&[])), Err(FloorRefused::Unknown { asked: 1, newest: 4 }));
        let lower = KekVersions { floor: 3, ..versions.clone() };
        assert_eq!(may_rise(2, &lower, &census(&[]), &[]), Err(FloorRefused::Lower(3)));
        let unreadable =
            Census { unreadable: vec![(ShareId::random(), String::new())], ..census(&[(4, 1)]) };
        assert_eq!(rises(4, unreadable), Err(FloorRefused::Unreadable(1)));
    }
}
