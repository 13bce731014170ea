//! The stories of custody: make, read, disable and enable shares.
#![forbid(unsafe_code)]

use std::{sync::Arc, time::SystemTime};

use crate::{
    caller::Call,
    enclave::Generated,
    envelope::{Envelope, Identity, KekContext},
    key::{AccountAddress, Algorithm, RecordVersion, Revision, ShareId, ShareState, WalletId},
    policy::{
        Action, Denied, DisableShare, EnableShare, GenerateShare, GetShare, ListShares, NewShare,
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
        let Signing { environment, policy, store, kms, enclave, .. } = &self.0;
        let subject = NewShare { environment: environment.clone(), wallet, share, algorithm };
        let policy = policy.current();
        let permit = policy.authorize(&call.caller, subject, GenerateShare { algorithm })?;
        drop(policy);
        let new = permit.subject();
        if let Some(existing) = store.describe(share).await? {
            return Err(already_there(new, existing));
        }

        let generated = enclave.generate(&permit, kms.kek().clone(), |public_key| Identity {
            environment: environment.clone(),
            wallet: new.wallet.clone(),
            share,
            version: RecordVersion::FIRST,
            address: AccountAddress::of(public_key),
            algorithm,
        })?;
        let Generated { dek, header, sealed, public_key } = generated;
        let context = KekContext::of(&header.identity);
        let wrapped = kms.wrap(&context, dek, call.deadline).await?;

        let envelope = Envelope::new(header, wrapped, sealed);
        let record = ShareRecord::new(&envelope, public_key, SystemTime::now());
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
        let permit = self.0.policy.current().authorize(&call.caller, environment, ListShares)?;
        let environment = permit.into_subject();
        let mut shares = self.0.store.list(&environment, wallet, after, limit + 1).await?;
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
        self.permitted(call, share, GetShare).await
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
        let share = self.permitted(call, share, DisableShare).await?;
        self.set_state(share, ShareState::Disabled, expected).await
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
        let share = self.permitted(call, share, EnableShare).await?;
        self.set_state(share, ShareState::Enabled, expected).await
    }

    async fn permitted<A: Action<Subject = ShareSubject>>(
        &self,
        call: &Call,
        share: ShareId,
        action: A,
    ) -> Result<ShareSubject, Refusal> {
        let described = self.0.store.describe(share).await?;
        let share = described
            .filter(|share| share.identity.environment == self.0.environment)
            .ok_or_else(Denied::unknown_share)?;
        let permit = self.0.policy.current().authorize(&call.caller, Arc::new(share), action)?;
        Ok(permit.into_subject())
    }

    async fn set_state(
        &self,
        share: ShareSubject,
        state: ShareState,
        expected: Option<Revision>,
    ) -> Result<ShareDescription, Refusal> {
        if expected.is_some_and(|expected| expected != share.revision) {
            return Err(Refusal::RevisionMismatch { recorded: share.revision });
        }
        let mut changed = ShareDescription::clone(&share);
        if share.state != state {
            let id = share.identity.share;
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
