//! What every KMS backend does: one suite, run on each of them.

use std::{fs::File, io::Write, path::PathBuf, time::Duration};

use async_trait::async_trait;
use countersign::{
    envelope::{KekRef, WrappedDek},
    key::Environment,
    kms::{
        BoundDek, Kms, KmsErrorKind,
        local::{KekFileError, Local},
        vault_transit::VaultTransit,
    },
};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{
    custody::{Custody, Sealed, rewrap},
    vault::{Tenant, VaultServer},
};

/// A backend under test and what the suite has to do to its KEK.
#[async_trait]
trait Backend {
    fn kms(&self) -> &dyn Kms;

    /// Adds a version to the KEK.
    async fn rotate(&mut self);
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn conformance(backend: &mut dyn Backend, custody: &Custody) {
    wraps_and_unwraps(backend.kms(), custody).await;
    refuses_what_it_did_not_wrap(backend.kms(), custody).await;
    refuses_another_kek(backend.kms(), custody).await;
    rewraps(backend, custody).await;
    rewraps_many(backend.kms(), custody).await;
    keeps_the_deadline(backend.kms(), custody).await;
    backend.kms().status(soon()).await.unwrap();
    backend.kms().close().await;
}

async fn wraps_and_unwraps(kms: &dyn Kms, custody: &Custody) {
    let sealed = custody.seal(kms.kek());
    let wrapped = sealed.wrap(kms, soon()).await.unwrap();
    let free = custody.free();
    for _ in 0..3 {
        let unwrapped = custody.unwrap(kms, &sealed, &wrapped, soon()).await.unwrap();
        assert!(sealed.is_dek(&unwrapped));
        assert_eq!(custody.free(), free - 1);
    }
    assert_eq!(custody.free(), free);

    let again = sealed.wrap(kms, soon()).await.unwrap();
    assert_ne!(wrapped, again, "a fresh wrapping is randomised");
    let other = custody.seal(kms.kek());
    let unwrapped = custody.unwrap(kms, &sealed, &again, soon()).await.unwrap();
    assert!(sealed.is_dek(&unwrapped) && !other.is_dek(&unwrapped));
}

async fn refuses_what_it_did_not_wrap(kms: &dyn Kms, custody: &Custody) {
    let sealed = custody.seal(kms.kek());
    let wrapped = sealed.wrap(kms, soon()).await.unwrap();

    let other = custody.seal(kms.kek());
    let swapped = kind(kms, custody, &other, &wrapped).await;
    assert_eq!(swapped, KmsErrorKind::Rejected, "another record's context");
    let error = rewrap(kms, other.context(), &wrapped, soon()).await.unwrap_err();
    assert_eq!(error.kind, KmsErrorKind::Rejected);

    for altered in alterations(&wrapped) {
        let altered = WrappedDek::new(altered).unwrap();
        assert_eq!(
            kind(kms, custody, &sealed, &altered).await,
            KmsErrorKind::Rejected,
            "{}",
            String::from_utf8_lossy(altered.as_bytes())
        );
    }
}

/// Ways to alter a wrapped DEK: a bit of the ciphertext, its length, its form.
fn alterations(wrapped: &WrappedDek) -> Vec<Vec<u8>> {
    let bytes = wrapped.as_bytes().to_vec();
    let mut flipped = bytes.clone();
    let last = flipped.len() - 8;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let scheme = bytes.iter().position(|byte| *byte == b':').unwrap();
    vec![
        flipped,
        bytes[..bytes.len() - 4].to_vec(),
        [&bytes[..scheme], b":v1:AAAA"].concat(),
        [&bytes[..scheme], b":v1:"].concat(),
        [&bytes, &b"\",\"context\":\""[..]].concat(),
        b"x".to_vec(),
        vec![0xff; 32],
    ]
}

async fn refuses_another_kek(kms: &dyn Kms, custody: &Custody) {
    let kek = kms.kek();
    let other = KekRef::new(kek.provider(), kek.mount(), "countersign-other").unwrap();
    let sealed = custody.seal(&other);
    let wrapped = sealed.wrap(kms, soon()).await.unwrap();
    assert_eq!(kind(kms, custody, &sealed, &wrapped).await, KmsErrorKind::OtherKek);
}

async fn rewraps(backend: &mut dyn Backend, custody: &Custody) {
    let sealed = custody.seal(backend.kms().kek());
    let old = sealed.wrap(backend.kms(), soon()).await.unwrap();
    let free = custody.free();

    let kms = backend.kms();
    let same = rewrap(kms, sealed.context(), &old, soon()).await.unwrap();
    assert_eq!(version(&same), version(&old));

    let before = kms.versions(soon()).await.unwrap();
    assert_eq!(before.newest().unwrap().number, version(&old));
    backend.rotate().await;
    let kms = backend.kms();
    let after = kms.versions(soon()).await.unwrap();
    assert_eq!(after.newest().unwrap().number, version(&old) + 1);
    assert_eq!((after.floor, after.versions.len()), (1, before.versions.len() + 1));
    let new = rewrap(kms, sealed.context(), &old, soon()).await.unwrap();
    assert_eq!(version(&new), version(&old) + 1);
    for wrapped in [&old, &same, &new] {
        let unwrapped = custody.unwrap(kms, &sealed, wrapped, soon()).await.unwrap();
        assert!(sealed.is_dek(&unwrapped));
    }
    let fresh = sealed.wrap(kms, soon()).await.unwrap();
    assert_eq!(version(&fresh), version(&new));
    assert_eq!(custody.free(), free);
}

/// Of a batch each is for itself, and in its place.
async fn rewraps_many(kms: &dyn Kms, custody: &Custody) {
    let sealed: Vec<_> = (0..4).map(|_| custody.seal(kms.kek())).collect();
    let mut deks = Vec::new();
    for sealed in &sealed {
        let wrapped = sealed.wrap(kms, soon()).await.unwrap();
        deks.push(BoundDek { context: sealed.context(), wrapped });
    }
    let wrong = deks[0].context.clone();
    deks[1].context = wrong;
    deks[2].wrapped = WrappedDek::new(*b"none").unwrap();
    let rewrapped = kms.rewrap(deks, soon()).await.unwrap();
    assert_eq!(rewrapped.len(), 4);
    for (place, rewrapped) in rewrapped.iter().enumerate() {
        match (place, rewrapped) {
            (1 | 2, Err(error)) => assert_eq!(error.kind, KmsErrorKind::Rejected),
            (0 | 3, Ok(wrapped)) => {
                let sealed = &sealed[place];
                let unwrapped = custody.unwrap(kms, sealed, wrapped, soon()).await.unwrap();
                assert!(sealed.is_dek(&unwrapped));
            }
            (_, other) => panic!("{place}: {other:?}"),
        }
    }
    assert_eq!(kms.rewrap(Vec::new(), soon()).await, Ok(Vec::new()));
}

async fn keeps_the_deadline(kms: &dyn Kms, custody: &Custody) {
    let sealed = custody.seal(kms.kek());
    let wrapped = sealed.wrap(kms, soon()).await.unwrap();
    let past = Instant::now() - Duration::from_millis(1);
    let free = custody.free();
    let error = custody.unwrap(kms, &sealed, &wrapped, past).await;
    assert_eq!(error.err().unwrap().kind, KmsErrorKind::Timeout);
    assert_eq!(custody.free(), free);
    let error = sealed.wrap(kms, past).await.unwrap_err();
    assert_eq!(error.kind, KmsErrorKind::Timeout);
    let error = rewrap(kms, sealed.context(), &wrapped, past).await;
    assert_eq!(error.unwrap_err().kind, KmsErrorKind::Timeout);
    let error = kms.status(past).await.unwrap_err();
    assert_eq!(error.kind, KmsErrorKind::Timeout);
}

/// How an unwrapping fails; its slot has to come back.
async fn kind(
    kms: &dyn Kms,
    custody: &Custody,
    sealed: &Sealed,
    wrapped: &WrappedDek,
) -> KmsErrorKind {
    let free = custody.free();
    let result = custody.unwrap(kms, sealed, wrapped, soon()).await;
    let error = result.err().expect("this is not the wrapped DEK");
    assert_eq!(custody.free(), free, "the slot of a failure comes back");
    assert_eq!(error.retry_after, None);
    error.kind
}

/// The N of `provider:vN:…`.
fn version(wrapped: &WrappedDek) -> u32 {
    let text = std::str::from_utf8(wrapped.as_bytes()).unwrap();
    let version = text.split(':').nth(1).unwrap();
    version.strip_prefix('v').unwrap().parse().unwrap()
}

struct LocalKek {
    kms: Local,
    file: PathBuf,
    environment: Environment,
    custody: Custody,
    _directory: TempDir,
}

#[async_trait]
impl Backend for LocalKek {
    fn kms(&self) -> &dyn Kms {
        &self.kms
    }

    async fn rotate(&mut self) {
        let mut version = [0; 32];
        getrandom::fill(&mut version).unwrap();
        let mut file = File::options().append(true).open(&self.file).unwrap();
        file.write_all(&version).unwrap();
        let pool = self.custody.enclave().pool();
        self.kms = Local::open(&self.file, &self.environment, pool).unwrap();
    }
}

#[tokio::test]
async fn local() {
    let environment: Environment = "test".parse().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kek");
    // The KEK's slots are another pool's, so that the suite can count its own.
    let custody = Custody::new(&environment);
    let mut backend = LocalKek {
        kms: Local::open(&file, &environment, custody.enclave().pool()).unwrap(),
        file,
        environment: environment.clone(),
        custody,
        _directory: directory,
    };
    conformance(&mut backend, &Custody::new(&environment)).await;
}

/// A pool that is used up is not said to be a bad file.
#[test]
fn local_without_memory() {
    let environment: Environment = "test".parse().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kek");
    let custody = Custody::new(&environment);
    let pool = custody.enclave().pool();
    let open = || Local::open(&file, &environment, pool);
    let slots: Vec<_> = (0..custody.free()).map(|_| custody.slot()).collect();
    assert!(matches!(open(), Err(KekFileError::Enclave(_))));
    assert!(!file.exists());
    drop(slots);
    drop(open().unwrap());
    let slots: Vec<_> = (0..custody.free()).map(|_| custody.slot()).collect();
    assert!(matches!(open(), Err(KekFileError::Enclave(_))));
    drop(slots);
    File::create(&file).unwrap().write_all(b"short").unwrap();
    assert!(matches!(open(), Err(KekFileError::Length)));
}

struct Transit<'a> {
    kms: VaultTransit,
    tenant: Tenant<'a>,
}

#[async_trait]
impl Backend for Transit<'_> {
    fn kms(&self) -> &dyn Kms {
        &self.kms
    }

    async fn rotate(&mut self) {
        self.tenant.rotate_key().await;
    }
}

#[tokio::test]
async fn vault_transit() {
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    let custody = Custody::new(tenant.environment());
    let kms = tenant.kms();
    conformance(&mut Transit { kms, tenant }, &custody).await;
}
