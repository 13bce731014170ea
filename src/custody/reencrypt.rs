//! The story of sealing a share anew: describe, authorize, unwrap, one section that opens
//! and seals, wrap, make sure that it opens, record, and put it in the old one's place.
//!
//! It is for when a DEK, or what it was wrapped by, may be known to somebody: rewrapping
//! leaves the DEK as it is. What the store itself keeps of the old record is destroyed. It
//! stays in backups, and opens there as long as its KEK does.

use std::sync::Arc;

use super::{Custody, require_revision};
use crate::{
    audit::Entry,
    caller::Call,
    enclave::Generated,
    envelope::{Envelope, KekContext},
    grant::{self, Grant},
    key::{Revision, ShareId, Why},
    kms::Kms,
    policy::{Permit, ReencryptShare},
    record::{ShareDescription, ShareRecord},
    refusal::Refusal,
    sign::Signing,
};

impl Custody {
    /// Seals a share anew: a new DEK, a new nonce, the next version of its record.
    ///
    /// # Errors
    /// A [`Refusal`]; the record is as it was, unless it is the store's: then it may be
    /// sealed anew already, with older versions of it left in the store, and asking again
    /// seals it once more and destroys them. `ShareChanged` when it was written meanwhile.
    pub async fn reencrypt(
        &self,
        call: &Call,
        share: ShareId,
        expected: Option<Revision>,
        why: Option<Why>,
    ) -> Result<ShareDescription, Refusal> {
        let kms = Arc::clone(&self.signing.kms);
        self.reencrypt_under(&*kms, call, share, expected, why).await
    }

    /// The same, wrapped by another KMS than before: a login of its own has to wrap there
    /// and to unwrap.
    ///
    /// # Errors
    /// As [`Custody::reencrypt`].
    pub async fn reencrypt_under(
        &self,
        kms: &dyn Kms,
        call: &Call,
        share: ShareId,
        expected: Option<Revision>,
        why: Option<Why>,
    ) -> Result<ShareDescription, Refusal> {
        let Grant { permit, mut entry } = self.granted(call, share, ReencryptShare { why }).await?;
        let resealed = self.reseal(kms, call, permit, expected, &mut entry).await;
        grant::release(entry, resealed).await
    }

    async fn reseal(
        &self,
        kms: &dyn Kms,
        call: &Call,
        permit: Permit<ReencryptShare>,
        expected: Option<Revision>,
        entry: &mut Entry,
    ) -> Result<ShareDescription, Refusal> {
        let Signing { enclave, store, held, .. } = &self.signing;
        let described = permit.share().clone();
        require_revision(&described, expected)?;
        store.capabilities().require_writes()?;
        let version = described.identity.version.next();
        let version =
            version.ok_or_else(|| Refusal::invalid("share_id", "has no further version"))?;

        let (old, dek) = self.signing.unwrap(permit, call.deadline, entry).await?;
        let before = old.dek().wrapped().kek_version();
        let resealed = enclave.reencrypt(&old, dek, kms.kek().clone(), version)?;
        let Generated { dek, header, sealed, public_key: _ } = resealed;
        let wrapped = kms.wrap(&KekContext::of(&header.identity), dek, call.deadline).await?;
        let since = wrapped.kek_version();
        let new = old.resealed(&Envelope::new(header, wrapped, sealed))?;
        // It takes the place of the only other copy: nothing is believed of it.
        let (ciphertext, _) = new.envelope().sealed().parts();
        let slot = enclave.reserve(ciphertext.len())?;
        let unwrapped = kms.unwrap(new.dek(), slot, call.deadline).await?;
        entry.tried(unwrapped.request_id.as_deref());
        enclave.make_sure(&new, unwrapped.dek)?;

        entry.rewrapped(before, since);
        // No record changes that the log does not know of.
        entry.durable().await?;
        let envelope = new.envelope().encode();
        let mut description = new.into_permit().into_subject().as_ref().clone();
        let record = ShareRecord { description: description.clone(), envelope };
        description.revision = store.put(&record, Some(described.revision)).await?;
        held.changed(described.identity.share, Some(&description));
        // The envelope that is not to be trusted any more.
        store.destroy_former(described.identity.share, description.revision).await?;
        Ok(description)
    }
}
