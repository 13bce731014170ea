//! A store and a KMS that count what they are asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use countersign::{
    enclave::{Dek, Slot},
    envelope::{Identity, KekContext, KekRef, WrappedDek},
    key::{
        Algorithm, Binding, Environment, RecordVersion, Revision, ShareId, ShareState, WalletId,
    },
    kms::{BoundDek, KekVersions, Kms, KmsError, KmsLogin, Unwrapped},
    permitted::PermittedDek,
    policy::Opening,
    record::{ShareDescription, ShareRecord},
    store::{Capabilities, ShareStore, ShareUse, StoreError},
};
use tokio::time::Instant;
use uuid::Uuid;

/// How often store and KMS were asked.
#[derive(Default)]
pub struct Counts {
    pub described: AtomicUsize,
    pub refreshed: AtomicUsize,
    pub fetched: AtomicUsize,
    pub written: AtomicUsize,
    pub unwrapped: AtomicUsize,
    pub wrapped: AtomicUsize,
    /// Milliseconds by which an unwrap is delayed.
    pub slow_unwrap_ms: AtomicU64,
    /// Milliseconds by which its result is held back.
    pub hold_unwrapped_ms: AtomicU64,
    /// How many results were held back.
    pub held: AtomicUsize,
    /// Whether the next unwrap panics: a fault that no real KMS produces.
    pub panic_in_unwrap: AtomicBool,
    /// Whether DEKs are wrapped so that they do not unwrap: another such fault.
    pub wrap_in_vain: AtomicBool,
}

impl Counts {
    /// Fetched, unwrapped, wrapped, written.
    pub fn uses(&self) -> [usize; 4] {
        [&self.fetched, &self.unwrapped, &self.wrapped, &self.written]
            .map(|count| count.load(Ordering::SeqCst))
    }
}

/// A store that counts.
pub struct CountedStore(pub Arc<dyn ShareStore>, pub Arc<Counts>);

#[async_trait]
impl ShareStore for CountedStore {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        self.1.described.fetch_add(1, Ordering::SeqCst);
        self.0.describe(share).await
    }

    async fn describe_all(&self, shares: &[ShareId]) -> Result<Vec<ShareDescription>, StoreError> {
        self.1.refreshed.fetch_add(1, Ordering::SeqCst);
        self.0.describe_all(shares).await
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        self.1.fetched.fetch_add(1, Ordering::SeqCst);
        self.0.fetch(opening).await
    }

    async fn put(
        &self,
        record: &ShareRecord,
        expected: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        self.1.written.fetch_add(1, Ordering::SeqCst);
        self.0.put(record, expected).await
    }

    async fn list(
        &self,
        environment: &Environment,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        self.0.list(environment, wallet, after, limit).await
    }

    async fn set_state(
        &self,
        share: ShareId,
        state: ShareState,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.1.written.fetch_add(1, Ordering::SeqCst);
        self.0.set_state(share, state, expected).await
    }

    async fn schedule(
        &self,
        share: ShareId,
        after: Option<SystemTime>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.1.written.fetch_add(1, Ordering::SeqCst);
        self.0.schedule(share, after, expected).await
    }

    async fn remove(&self, share: ShareId, expected: Revision) -> Result<(), StoreError> {
        self.1.written.fetch_add(1, Ordering::SeqCst);
        self.0.remove(share, expected).await
    }

    async fn destroy_former(&self, share: ShareId, current: Revision) -> Result<(), StoreError> {
        self.0.destroy_former(share, current).await
    }

    async fn counted(&self, log: Uuid) -> Result<u64, StoreError> {
        self.0.counted(log).await
    }

    async fn count(
        &self,
        log: Uuid,
        from: u64,
        to: u64,
        uses: &[ShareUse],
    ) -> Result<bool, StoreError> {
        self.0.count(log, from, to, uses).await
    }

    async fn forget(&self, log: Uuid, at: u64) -> Result<bool, StoreError> {
        self.0.forget(log, at).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.0.status().await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// A KMS that counts, and can be slow or panic.
pub struct CountedKms(pub Arc<dyn Kms>, pub Arc<Counts>);

#[async_trait]
impl Kms for CountedKms {
    fn kek(&self) -> &KekRef {
        self.0.kek()
    }

    async fn wrap(
        &self,
        context: &KekContext,
        dek: Dek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        self.1.wrapped.fetch_add(1, Ordering::SeqCst);
        if self.1.wrap_in_vain.load(Ordering::SeqCst) {
            let elsewhere = KekContext::of(&Identity {
                environment: "test".parse().unwrap(),
                wallet: "elsewhere".parse().unwrap(),
                share: ShareId::random(),
                version: RecordVersion::FIRST,
                address: None,
                algorithm: Algorithm::Ed25519,
                binding: Binding::Derived,
            });
            return self.0.wrap(&elsewhere, dek, deadline).await;
        }
        self.0.wrap(context, dek, deadline).await
    }

    async fn unwrap(
        &self,
        dek: PermittedDek<'_>,
        slot: Slot,
        deadline: Instant,
    ) -> Result<Unwrapped, KmsError> {
        self.1.unwrapped.fetch_add(1, Ordering::SeqCst);
        let slow = self.1.slow_unwrap_ms.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(slow)).await;
        assert!(!self.1.panic_in_unwrap.swap(false, Ordering::SeqCst), "a fault");
        let unwrapped = self.0.unwrap(dek, slot, deadline).await;
        let hold = self.1.hold_unwrapped_ms.load(Ordering::SeqCst);
        if hold > 0 {
            self.1.held.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(hold)).await;
        }
        unwrapped
    }

    async fn rewrap(
        &self,
        deks: Vec<BoundDek>,
        deadline: Instant,
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
        self.0.rewrap(deks, deadline).await
    }

    async fn versions(&self, deadline: Instant) -> Result<KekVersions, KmsError> {
        self.0.versions(deadline).await
    }

    async fn logins(&self, deadline: Instant) -> Result<Vec<KmsLogin>, KmsError> {
        self.0.logins(deadline).await
    }

    async fn rotate(&self, deadline: Instant) -> Result<(), KmsError> {
        self.0.rotate(deadline).await
    }

    async fn raise_floor(&self, floor: u32, deadline: Instant) -> Result<(), KmsError> {
        self.0.raise_floor(floor, deadline).await
    }

    async fn trim(&self, kept: u32, deadline: Instant) -> Result<(), KmsError> {
        self.0.trim(kept, deadline).await
    }

    async fn status(&self, deadline: Instant) -> Result<(), KmsError> {
        self.0.status(deadline).await
    }
}
