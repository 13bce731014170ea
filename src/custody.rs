//! The stories of custody: make, read, disable and enable shares.
#![forbid(unsafe_code)]

use std::{sync::Arc, time::SystemTime};

use crate::{
    audit::Entry,
    caller::Call,
    enclave::Generated,
    envelope::{Envelope, Identity, KekContext},
    grant::{self, Grant},
    key::{AccountAddress, Algorithm, RecordVersion, Revision, ShareId, ShareState, WalletId},
    policy::{
        Action, DisableShare, EnableShare, GenerateShare, GetShare, ListShares, NewShare, Permit,
        ShareSubject,
    },
    record::{ShareDescription, ShareRecord},
    refusal::Refusal,
    sign::Signing,
    store::StoreErrorKind,
};

/// Custody uses the same parts as signing.
#[derive(Clone)]
pub struct Custody(pub Signing);

/// A page of shares.
pub struct Page {
    /// The shares, ordered by id.
    pub shares: Vec<ShareDescription>,
    /// Where the next page begins, after this id; none on the last page.
    pub next: Option<ShareId>,
}

impl Custody {
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
        let environment = self.0.environment.clone();
        let subject = NewShare { environment, wallet, share, algorithm };
        let Grant { permit, mut entry } =
            self.0.grant(call, subject, GenerateShare { algorithm }).await?;
        let made = self.make(call, &permit, &mut entry).await;
        grant::release(entry, made).await
    }

    async fn make(
        &self,
        call: &Call,
        permit: &Permit<GenerateShare>,
        entry: &mut Entry,
    ) -> Result<ShareDescription, Refusal> {
        let Signing { store, kms, enclave, .. } = &self.0;
        let new = permit.subject();
        let share = new.share;
        if let Some(existing) = store.describe(share).await? {
            return Err(already_there(new, existing));
        }

        let generated = enclave.generate(permit, kms.kek().clone(), |public_key| Identity {
            environment: new.environment.clone(),
            wallet: new.wallet.clone(),
            share,
            version: RecordVersion::FIRST,
            address: AccountAddress::of(public_key),
            algorithm: new.algorithm,
        })?;
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
                let existing = store.describe(share).await?;
                Err(existing.map_or(Refusal::ShareIdTaken, |existing| already_there(new, existing)))
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
        let environment = self.0.environment.clone();
        let Grant { permit, entry } = self.0.grant(call, environment, ListShares).await?;
        let listed = self.0.store.list(permit.subject(), wallet, after, limit + 1).await;
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
    ) -> Result<ShareDescription, Refusal> {
        let grant = self.granted(call, share, DisableShare).await?;
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
    ) -> Result<ShareDescription, Refusal> {
        let grant = self.granted(call, share, EnableShare).await?;
        self.set_state(grant, ShareState::Enabled, expected).await
    }

    async fn granted<A: Action<Subject = ShareSubject>>(
        &self,
        call: &Call,
        share: ShareId,
        action: A,
    ) -> Result<Grant<A>, Refusal> {
        let described = self.0.store.describe(share).await?;
        let described = described.filter(|share| share.identity.environment == self.0.environment);
        match described {
            Some(described) => self.0.grant(call, Arc::new(described), action).await,
            None => Err(self.0.unknown(call, &share, &action).await),
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
        if expected.is_some_and(|expected| expected != share.revision) {
            return Err(Refusal::RevisionMismatch { recorded: share.revision });
        }
        let mut changed = share.clone();
        if share.state != state {
            let id = share.identity.share;
            // No state changes that the log does not know of.
            entry.durable().await?;
            changed.revision = self.0.store.set_state(id, state, share.revision).await?;
            changed.state = state;
        }
        Ok(changed)
    }
}

/// The public key is told only about the very share that was asked for.
fn already_there(new: &NewShare, existing: ShareDescription) -> Refusal {
    let same = existing.identity.environment == new.environment
        && existing.identity.wallet == new.wallet
        && existing.identity.algorithm == new.algorithm;
    if same {
        Refusal::ShareExists { public_key: existing.public_key }
    } else {
        Refusal::ShareIdTaken
    }
}
