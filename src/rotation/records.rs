//! The records of an environment, as a rotator reads them.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    key::{Environment, ShareId},
    permitted::{RecordError, RewrappableEnvelope},
    policy::Rotator,
    record::ShareDescription,
    store::{ShareStore, StoreError, StoreErrorKind},
};

/// How many rows a page has.
const PAGE: usize = 500;
/// How often a record is read that changes while it is read, and how often a store is
/// asked that is away.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// A store, and whose records of it.
#[derive(Clone)]
pub struct Records {
    store: Arc<dyn ShareStore>,
    rotator: Rotator,
}

/// What a record turned out to be.
pub(super) enum Looked {
    /// One under the KEK, which a version of it wraps.
    Wrapped {
        /// The envelope.
        envelope: Box<RewrappableEnvelope>,
        /// The version.
        version: u32,
    },
    /// Under another KEK.
    OtherKek,
    /// It is there no more.
    Gone,
    /// Written by somebody else, each time that it was read.
    Changing {
        /// Which.
        share: ShareId,
    },
    /// Wrapped by the newest version; the store did not destroy older versions of it.
    FormerStay {
        /// Which.
        share: ShareId,
        /// Why.
        problem: String,
    },
    /// One that no reader would take.
    Unreadable {
        /// Which.
        share: ShareId,
        /// Why.
        problem: String,
    },
}

impl Records {
    /// Those that are the rotator's.
    pub fn new(store: Arc<dyn ShareStore>, rotator: Rotator) -> Self {
        Self { store, rotator }
    }

    /// Gives back what the store should not leave behind, such as tokens.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// The environment.
    pub(super) fn environment(&self) -> &Environment {
        &self.rotator.environment
    }

    /// The store.
    pub(super) fn store(&self) -> &dyn ShareStore {
        &*self.store
    }

    /// How many there are, in the environment and under whichever KEK.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.page(after).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.identity.share);
            count += page.len() as u64;
        }
    }

    /// The next page, ordered by share; empty at the end.
    pub(super) async fn page(
        &self,
        after: Option<ShareId>,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        let environment = &self.rotator.environment;
        patiently(|| self.store.list(environment, None, after, PAGE)).await
    }

    /// One share of the environment.
    pub(super) async fn describe(
        &self,
        share: ShareId,
    ) -> Result<Option<ShareDescription>, StoreError> {
        let described = patiently(|| self.store.describe(share)).await?;
        Ok(described.filter(|share| share.identity.environment == self.rotator.environment))
    }

    /// Reads the record of a share that was described.
    pub(super) async fn read(&self, described: ShareDescription) -> Result<Looked, StoreError> {
        let share = described.identity.share;
        let unreadable = |problem: String| Ok(Looked::Unreadable { share, problem });
        let mut described = described;
        for _ in 0..ATTEMPTS {
            let Some(permit) = self.rotator.permit(described) else {
                return Ok(Looked::OtherKek);
            };
            let record = match patiently(|| self.store.fetch(permit.opening())).await {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(Looked::Gone),
                Err(error) if error.kind == StoreErrorKind::Corrupt => {
                    return unreadable(error.to_string());
                }
                Err(error) => return Err(error),
            };
            match RewrappableEnvelope::new(permit, record) {
                Ok(envelope) => {
                    return match envelope.kek_version() {
                        Some(version) => {
                            Ok(Looked::Wrapped { envelope: Box::new(envelope), version })
                        }
                        None => unreadable("its wrapped DEK names no version".to_owned()),
                    };
                }
                Err(RecordError::Changed) => {}
                Err(error) => return unreadable(error.to_string()),
            }
            described = match self.describe(share).await? {
                Some(described) => described,
                None => return Ok(Looked::Gone),
            };
        }
        Ok(Looked::Changing { share })
    }

    /// Destroys what the store keeps of a record from before this row.
    pub(super) async fn destroy_former(&self, now: &ShareDescription) -> Result<(), StoreError> {
        patiently(|| self.store.destroy_former(now.identity.share, now.revision)).await
    }

    /// Reads one share's record, whatever it is now.
    pub(super) async fn read_anew(&self, share: ShareId) -> Result<Looked, StoreError> {
        match self.describe(share).await? {
            Some(described) => self.read(described).await,
            None => Ok(Looked::Gone),
        }
    }
}

/// Asks a store until it answers, as long as asking again can help.
pub(super) async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS {
        match ask().await {
            Err(error)
                if matches!(error.kind, StoreErrorKind::Unreachable | StoreErrorKind::Timeout) =>
            {
                tracing::warn!(%error, "The store is asked again");
                sleep(pause).await;
                pause *= 2;
            }
            answered => return answered,
        }
    }
    ask().await
}
