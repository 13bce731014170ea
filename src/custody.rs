//! The stories of custody: make, import, read, disable, enable, reencrypt and destroy
//! shares.
#![forbid(unsafe_code)]

mod reencrypt;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    audit::Entry,
    caller::Call,
    enclave::{EnclaveError, Generated},
    envelope::{Envelope, Identity, KekContext},
    grant::{self, Grant},
    import::{Declared, ImportKeys, KEY_LEN, LIFETIME, Sealed, Statement},
    key::{
        AccountAddress, Algorithm, Binding, PublicKey, RecordVersion, Revision, ShareId,
        ShareState, WalletId, Why,
    },
    policy::{
        Action, DestroyShare, DisableShare, EnableShare, GenerateShare, GetImportKey, GetShare,
        ImportShare, ListShares, NewShare, Permit, ScheduleDestruction, ShareSubject,
    },
    record::{ShareDescription, ShareRecord},
    refusal::{ImportError, Refusal},
    sign::Signing,
    store::StoreErrorKind,
};

/// Custody uses the same parts as signing.
#[derive(Clone)]
pub struct Custody {
    signing: Signing,
    imports: ImportKeys,
    /// How long a share waits for its destruction.
    waiting: Duration,
}

/// A page of shares.
pub struct Page {
    /// The shares, ordered by id.
    pub shares: Vec<ShareDescription>,
    /// Where the next page begins, after this id; none on the last page.
    pub next: Option<ShareId>,
}

impl Custody {
    /// Over the parts of signing. Shares wait so long for their destruction.
    pub fn new(signing: Signing, waiting: Duration) -> Self {
        Self { signing, imports: ImportKeys::default(), waiting }
    }

    /// Makes a share, wraps its DEK and stores the record.
    ///
    /// # Errors
    /// `ShareExists` when this very share was made before, `ShareIdTaken` when
    /// the id belongs to another; nothing is stored on any error.
    pub async fn generate(
        &self,
        call: &Call,
        share: ShareId,
        wallet: WalletId,
        algorithm: Algorithm,
    ) -> Result<ShareDescription, Refusal> {
        let environment = self.signing.environment.clone();
        let binding = Binding::Derived;
        let subject = NewShare { environment, wallet, share, algorithm, binding };
        let Grant { permit, mut entry } =
            self.signing.grant(call, subject, GenerateShare { algorithm }).await?;
        let made = self.make(call, &permit, &mut entry).await;
        grant::release(entry, made).await
    }

    /// A key to which one share can be sealed, in a statement that the instance signed.
    ///
    /// # Errors
    /// A [`Refusal`]; `Overloaded` where too many are live.
    pub async fn import_key(&self, call: &Call) -> Result<String, Refusal> {
        let environment = self.signing.environment.clone();
        let Grant { permit: _, entry } =
            self.signing.grant(call, environment, GetImportKey).await?;
        let made = self.make_import_key(call).await;
        grant::release(entry, made).await
    }

    async fn make_import_key(&self, call: &Call) -> Result<String, Refusal> {
        self.signing.store.capabilities().require_writes()?;
        let signer = self.signing.identify(call.deadline).await?;
        let key = self.signing.enclave.import_key()?;
        let until = SystemTime::now() + LIFETIME;
        let statement = Statement::sign(signer, key.public(), until);
        let statement = statement.ok_or(EnclaveError::Unverified)?;
        match self.imports.keep(key) {
            true => Ok(statement),
            false => Err(Refusal::Overloaded("keys for imports are live")),
        }
    }

    /// Takes in a share that was sealed to a key of [`Custody::import_key`], wraps its DEK
    /// and stores the record.
    ///
    /// # Errors
    /// As [`Custody::generate`], and `Import`; nothing is stored on any error, and the key
    /// is gone unless the share is there already.
    pub async fn import(
        &self,
        call: &Call,
        new: NewShare,
        declared: Declared,
        key: &[u8; KEY_LEN],
        sealed: &Sealed,
    ) -> Result<ShareDescription, Refusal> {
        if new.environment != self.signing.environment {
            return Err(Refusal::invalid("environment", "is not the one that this enclave serves"));
        }
        let Grant { permit, mut entry } =
            self.signing.grant(call, new, ImportShare { declared }).await?;
        let imported = self.take_in(call, &permit, key, sealed, &mut entry).await;
        grant::release(entry, imported).await
    }

    async fn take_in(
        &self,
        call: &Call,
        permit: &Permit<ImportShare>,
        key: &[u8; KEY_LEN],
        sealed: &Sealed,
        entry: &mut Entry,
    ) -> Result<ShareDescription, Refusal> {
        let Signing { store, kms, enclave, .. } = &self.signing;
        let (new, declared) = (permit.subject(), &permit.action().declared);
        let same = |public_key: &PublicKey| declared.is(public_key);
        if let Some(existing) = store.describe(new.share).await? {
            return Err(already_there(new, existing, same));
        }
        store.capabilities().require_writes()?;
        let key = self.imports.take(key).ok_or(ImportError::Key)?;
        let kek = kms.kek().clone();
        let address = declared.address();
        let generated = enclave.import(permit, key, sealed, kek, |key| first(new, key, address));
        let generated = generated.map_err(|error| match error {
            EnclaveError::Import => ImportError::Unopened.into(),
            EnclaveError::Share => ImportError::NoKey.into(),
            EnclaveError::PublicKey => ImportError::OtherKey.into(),
            error => Refusal::Enclave(error),
        })?;
        self.keep(call, new, generated, same, entry).await
    }

    async fn make(
        &self,
        call: &Call,
        permit: &Permit<GenerateShare>,
        entry: &mut Entry,
    ) -> Result<ShareDescription, Refusal> {
        let Signing { store, kms, enclave, .. } = &self.signing;
        let new = permit.subject();
        if let Some(existing) = store.describe(new.share).await? {
            return Err(already_there(new, existing, |_| true));
        }
        // Before a DEK is wrapped for nothing.
        store.capabilities().require_writes()?;
        let kek = kms.kek().clone();
        let generated = enclave.generate(permit, kek, |key| first(new, key, None))?;
        self.keep(call, new, generated, |_| true, entry).await
    }

    /// Wraps the DEK of a share that was made or imported, and stores the record.
    async fn keep(
        &self,
        call: &Call,
        new: &NewShare,
        generated: Generated,
        same: impl FnOnce(&PublicKey) -> bool,
        entry: &mut Entry,
    ) -> Result<ShareDescription, Refusal> {
        let Signing { store, kms, .. } = &self.signing;
        let Generated { dek, header, sealed, public_key } = generated;
        let context = KekContext::of(&header.identity);
        let wrapped = kms.wrap(&context, dek, call.deadline).await?;

        let envelope = Envelope::new(header, wrapped, sealed);
        let record = ShareRecord::new(&envelope, public_key, SystemTime::now());
        // No share comes to be that the log does not know of.
        entry.durable().await?;
        match store.put(&record, None).await {
            Ok(_) => Ok(record.description),
            // Somebody made it while we did: answer as for a repeat.
            Err(error) if error.kind == StoreErrorKind::Exists => {
                let existing = store.describe(new.share).await?.ok_or(Refusal::ShareIdTaken)?;
                Err(already_there(new, existing, same))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A page of at most `limit` shares after `after`.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub async fn list(
        &self,
        call: &Call,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Page, Refusal> {
        let environment = self.signing.environment.clone();
        let Grant { permit, entry } = self.signing.grant(call, environment, ListShares).await?;
        let listed = self.signing.store.list(permit.subject(), wallet, after, limit + 1).await;
        let mut shares = grant::release(entry, listed.map_err(Refusal::from)).await?;
        let more = shares.len() > limit;
        shares.truncate(limit);
        let next = shares.last().map(|share| share.identity.share);
        Ok(Page { next: next.filter(|_| more), shares })
    }

    /// One share's metadata.
    ///
    /// # Errors
    /// A [`Refusal`]; the same for a share that the caller may not see as for
    /// one that does not exist.
    pub async fn show(&self, call: &Call, share: ShareId) -> Result<ShareSubject, Refusal> {
        let Grant { permit, entry } = self.granted(call, share, GetShare).await?;
        grant::release(entry, Ok(permit.into_subject())).await
    }

    /// Stops every use of a share.
    ///
    /// # Errors
    /// A [`Refusal`]; `ShareChanged` when the revision is not the expected one.
    pub async fn disable(
        &self,
        call: &Call,
        share: ShareId,
        expected: Option<Revision>,
        why: Option<Why>,
    ) -> Result<ShareDescription, Refusal> {
        let grant = self.granted(call, share, DisableShare { why }).await?;
        self.set_state(grant, ShareState::Disabled, expected).await
    }

    /// Allows the use of a share again.
    ///
    /// # Errors
    /// A [`Refusal`]; `ShareChanged` when the revision is not the expected one.
    pub async fn enable(
        &self,
        call: &Call,
        share: ShareId,
        expected: Option<Revision>,
        why: Option<Why>,
    ) -> Result<ShareDescription, Refusal> {
        let grant = self.granted(call, share, EnableShare { why }).await?;
        self.set_state(grant, ShareState::Enabled, expected).await
    }

    /// Has a disabled share wait for its destruction.
    ///
    /// # Errors
    /// A [`Refusal`]; `ShareEnabled` when it is not disabled.
    pub async fn schedule_destruction(
        &self,
        call: &Call,
        share: ShareId,
        expected: Option<Revision>,
        why: Why,
    ) -> Result<ShareDescription, Refusal> {
        let Grant { permit, mut entry } =
            self.granted(call, share, ScheduleDestruction { why }).await?;
        let scheduled = self.schedule(permit.share(), expected, &mut entry).await;
        grant::release(entry, scheduled).await
    }

    async fn schedule(
        &self,
        share: &ShareDescription,
        expected: Option<Revision>,
        entry: &mut Entry,
    ) -> Result<ShareDescription, Refusal> {
        require_disabled(share, expected)?;
        let mut changed = share.clone();
        if share.destroy_after.is_none() {
            self.signing.store.capabilities().require_writes()?;
            let after = to_the_second(SystemTime::now() + self.waiting);
            entry.durable().await?;
            let (store, id) = (&self.signing.store, share.identity.share);
            changed.revision = store.schedule(id, Some(after), share.revision).await?;
            changed.destroy_after = Some(after);
        }
        Ok(changed)
    }

    /// Destroys a share that has waited.
    ///
    /// # Errors
    /// A [`Refusal`]; `DestructionNotDue` when it has not.
    pub async fn destroy(
        &self,
        call: &Call,
        share: ShareId,
        expected: Option<Revision>,
        why: Why,
    ) -> Result<ShareDescription, Refusal> {
        let Grant { permit, mut entry } = self.granted(call, share, DestroyShare { why }).await?;
        let destroyed = self.remove(permit.share(), expected, &mut entry).await;
        grant::release(entry, destroyed).await
    }

    async fn remove(
        &self,
        share: &ShareDescription,
        expected: Option<Revision>,
        entry: &mut Entry,
    ) -> Result<ShareDescription, Refusal> {
        require_disabled(share, expected)?;
        if share.destroy_after.is_none_or(|after| after > SystemTime::now()) {
            return Err(Refusal::DestructionNotDue(share.destroy_after));
        }
        self.signing.store.capabilities().require_writes()?;
        // No share goes that the log does not know of.
        entry.durable().await?;
        let id = share.identity.share;
        self.signing.store.remove(id, share.revision).await?;
        self.signing.held.changed(id, None);
        Ok(share.clone())
    }

    async fn granted<A: Action<Subject = ShareSubject>>(
        &self,
        call: &Call,
        share: ShareId,
        action: A,
    ) -> Result<Grant<A>, Refusal> {
        let described = self.signing.store.describe(share).await?;
        let described =
            described.filter(|share| share.identity.environment == self.signing.environment);
        match described {
            Some(described) => self.signing.grant(call, Arc::new(described), action).await,
            None => Err(self.signing.unknown(call, &share, &action).await),
        }
    }

    async fn set_state<A: Action<Subject = ShareSubject>>(
        &self,
        Grant { permit, mut entry }: Grant<A>,
        state: ShareState,
        expected: Option<Revision>,
    ) -> Result<ShareDescription, Refusal> {
        let changed = self.change_state(permit.share(), state, expected, &mut entry).await;
        grant::release(entry, changed).await
    }

    async fn change_state(
        &self,
        share: &ShareDescription,
        state: ShareState,
        expected: Option<Revision>,
        entry: &mut Entry,
    ) -> Result<ShareDescription, Refusal> {
        require_revision(share, expected)?;
        let mut changed = share.clone();
        if share.state != state {
            let id = share.identity.share;
            self.signing.store.capabilities().require_writes()?;
            // No state changes that the log does not know of.
            entry.durable().await?;
            changed.revision = self.signing.store.set_state(id, state, share.revision).await?;
            changed.state = state;
            changed.destroy_after = None;
            self.signing.held.changed(id, Some(&changed));
        }
        Ok(changed)
    }
}

fn require_revision(share: &ShareDescription, expected: Option<Revision>) -> Result<(), Refusal> {
    match expected.is_none_or(|expected| expected == share.revision) {
        true => Ok(()),
        false => Err(Refusal::RevisionMismatch { recorded: share.revision }),
    }
}

fn require_disabled(share: &ShareDescription, expected: Option<Revision>) -> Result<(), Refusal> {
    require_revision(share, expected)?;
    match share.state {
        ShareState::Disabled => Ok(()),
        ShareState::Enabled => Err(Refusal::ShareEnabled),
    }
}

/// As fine as people write times, and every store keeps them.
fn to_the_second(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// What the first record of a share is bound to; to a declared address where the public key
/// gives none.
fn first(new: &NewShare, public_key: &PublicKey, declared: Option<&AccountAddress>) -> Identity {
    let NewShare { environment, wallet, share, algorithm, binding } = new.clone();
    let address = AccountAddress::of(public_key).or_else(|| declared.cloned());
    let version = RecordVersion::FIRST;
    Identity { environment, wallet, share, version, address, algorithm, binding }
}

/// The public key is told only about the very share that was asked for.
fn already_there(
    new: &NewShare,
    existing: ShareDescription,
    same: impl FnOnce(&PublicKey) -> bool,
) -> Refusal {
    let same = existing.identity.environment == new.environment
        && existing.identity.wallet == new.wallet
        && existing.identity.algorithm == new.algorithm
        && existing.identity.binding == new.binding
        && same(&existing.public_key);
    if same {
        Refusal::ShareExists { public_key: existing.public_key }
    } else {
        Refusal::ShareIdTaken
    }
}
