//! Which version wraps how many records.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt, stream};

use super::{AT_ONCE, Looked, Records};
use crate::{
    key::ShareId,
    kms::{KekVersion, KekVersions},
    store::StoreError,
};

/// How long after a new version the older ones may still wrap records.
const REWRAPPED_WITHIN: Duration = Duration::from_secs(14 * 24 * 3600);

/// How many records each version wraps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// By version of the KEK.
    pub versions: BTreeMap<u32, u64>,
    /// How many another KEK wraps.
    pub other_kek: u64,
    /// Which cannot be read, and why.
    pub unreadable: Vec<(ShareId, String)>,
}

/// What should have been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// The newest version should have been replaced; none where its age is unknown.
    pub rotation: Option<bool>,
    /// Records should have been rewrapped; none where the age of the newest is unknown.
    pub rewrapping: Option<bool>,
}

impl Census {
    /// Looks at every record, and tells `progress` of how many it did.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn take(
        records: &Records,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, StoreError> {
        let mut census = Self::default();
        let (mut after, mut looked_at) = (None, 0);
        loop {
            let page = records.page(after).await?;
            let Some(last) = page.last() else { return Ok(census) };
            after = Some(last.identity.share);
            let mut reading = stream::iter(page).map(|share| records.read(share)).buffered(AT_ONCE);
            while let Some(looked) = reading.next().await {
                looked_at += 1;
                census.count(looked?);
            }
            progress(looked_at);
        }
    }

    fn count(&mut self, looked: Looked) {
        match looked {
            Looked::Wrapped { version, .. } => *self.versions.entry(version).or_default() += 1,
            Looked::OtherKek => self.other_kek += 1,
            Looked::Gone => {}
            Looked::Changing { share } => {
                let problem = "it changed each time that it was read".to_owned();
                self.unreadable.push((share, problem));
            }
            Looked::Unreadable { share, problem } | Looked::FormerStay { share, problem } => {
                self.unreadable.push((share, problem));
            }
        }
    }

    /// How many a version before `version` wraps.
    pub fn before(&self, version: u32) -> u64 {
        self.versions.range(..version).map(|(_, count)| count).sum()
    }

    /// What should have been done by `now`.
    pub fn behind(&self, versions: &KekVersions, now: SystemTime) -> Behind {
        let Some(newest) = versions.newest() else { return Behind::default() };
        let old = |newest: KekVersion| newest.age(now).map(|age| age >= REWRAPPED_WITHIN);
        Behind {
            rotation: newest.is_overdue(now),
            rewrapping: match self.before(newest.number) {
                0 => Some(false),
                _ => old(newest),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn behind(days: u32, counts: &[(u32, u64)]) -> Behind {
        let census = Census { versions: counts.iter().copied().collect(), ..Census::default() };
        let created = Some(UNIX_EPOCH + DAY * 1000);
        let versions = vec![
            KekVersion { number: 1, created: Some(UNIX_EPOCH) },
            KekVersion { number: 2, created },
        ];
        census
            .behind(&KekVersions { floor: 1, kept: 1, versions }, UNIX_EPOCH + DAY * (1000 + days))
    }

    #[test]
    fn what_is_overdue() {
        let told = |behind: Behind| (behind.rotation.unwrap(), behind.rewrapping.unwrap());
        assert_eq!(told(behind(0, &[(1, 5)])), (false, false));
        assert_eq!(told(behind(13, &[(1, 5)])), (false, false));
        assert_eq!(told(behind(14, &[(1, 1), (2, 9)])), (false, true));
        assert_eq!(told(behind(14, &[(2, 9)])), (false, false));
        assert_eq!(told(behind(90, &[(2, 9)])), (false, false));
        assert_eq!(told(behind(91, &[(2, 9)])), (true, false));
    }

    #[test]
    fn what_has_no_date_is_unknown() {
        let versions = vec![KekVersion { number: 2, created: None }];
        let versions = KekVersions { floor: 1, kept: 1, versions };
        let census = |version| Census { versions: [(version, 1)].into(), ..Census::default() };
        let now = SystemTime::now();
        assert_eq!(census(1).behind(&versions, now).rewrapping, None);
        assert_eq!(census(2).behind(&versions, now).rewrapping, Some(false));
        assert_eq!(census(2).behind(&versions, now).rotation, None);
    }
}
