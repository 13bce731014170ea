//! The story of `Sign`: describe, authorize, begin the record, fetch, unwrap, and one
//! section that opens, signs, verifies and wipes. The record is flushed meanwhile, and the
//! signature leaves when it is durable.
#![forbid(unsafe_code)]

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    audit::{Audit, Entry, receipt::Receipt},
    caller::Call,
    enclave::{Dek, Enclave},
    grant::{self, Grant},
    held::HeldShares,
    identity::InstanceKey,
    key::{Algorithm, Binding, Environment, ShareId, ShareState, WalletId},
    kms::Kms,
    payload::Payload,
    permitted::PermittedEnvelope,
    policy::{Action, GetPublicKey, Opens, Permit, Policies, ShareSubject, Sign},
    rate::Rates,
    record::ShareDescription,
    refusal::Refusal,
    signature::Signed,
    store::ShareStore,
    telemetry::{Metrics, Stage},
};

/// What signing needs: the parts that `app.rs` chose. Cheap to clone.
#[derive(Clone)]
pub struct Signing {
    /// The environment that this process serves.
    pub environment: Environment,
    /// Who may do what.
    pub policy: Arc<Policies>,
    /// Where every request is recorded that reaches policy.
    pub audit: Audit,
    /// What signs that log.
    pub identity: InstanceKey,
    /// Where records are.
    pub store: Arc<dyn ShareStore>,
    /// What unwraps DEKs.
    pub kms: Arc<dyn Kms>,
    /// Where shares are opened.
    pub enclave: Enclave,
    /// How often callers may call, and shares sign.
    pub rates: Rates,
    /// The shares that streams hold open.
    pub held: HeldShares,
    /// Where outcomes are counted.
    pub metrics: Metrics,
}

/// Which share a request means, and which it would not accept.
#[derive(Clone, Debug)]
pub struct Target {
    /// The share.
    pub share: ShareId,
    /// The wallet that it must belong to.
    pub wallet: WalletId,
    /// The address that the record must be bound to, if the caller names one.
    pub expected_address: Option<Box<str>>,
    /// The lowest record version that the caller accepts; 0 for any.
    pub min_version: u32,
}

/// How a signature is to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 64 bytes.
    Raw,
    /// ASN.1 DER, ECDSA only.
    Der,
}

impl Signing {
    /// Signs one payload with one share; with the receipt for the record of it.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing is fetched before policy permits, nothing is
    /// unwrapped before the envelope fits the permit, and no signature leaves
    /// unverified or unrecorded.
    pub async fn sign(
        &self,
        call: &Call,
        target: &Target,
        payload: Payload,
        encoding: Encoding,
    ) -> Result<(Signed, Option<Receipt>), Refusal> {
        let action = Sign { payload };
        let granted = async {
            let share = self.describe(call, target, &action).await?;
            self.grant(call, share, action).await
        };
        let Grant { permit, mut entry } = self.metrics.during(Stage::Decide, granted).await?;
        let signed = self.make(call, target, permit, encoding, &mut entry).await;
        self.metrics.during(Stage::Audit, grant::release_with_receipt(entry, signed)).await
    }

    async fn make(
        &self,
        call: &Call,
        target: &Target,
        permit: Permit<Sign>,
        encoding: Encoding,
        entry: &mut Entry,
    ) -> Result<Signed, Refusal> {
        target.accepts(permit.share())?;
        require_signable(permit.share(), &permit.action().payload, encoding)?;
        // After policy, so that a caller that it denies can neither use up the
        // share's rate nor learn how the share is used.
        self.rates.take_signature(permit.share().identity.share)?;

        let (envelope, dek) = self.unwrap(permit, call.deadline, entry).await?;
        // From here to the signature nothing is awaited: a request that is
        // cancelled cannot leave an open share behind.
        let signed = self.metrics.within(Stage::Section, || self.enclave.sign(envelope, dek))?;
        entry.signed(&signed.signature.bytes);
        Ok(signed)
    }

    /// The public half of a share. Nothing is fetched or opened.
    ///
    /// # Errors
    /// A [`Refusal`]; the same for a share that the caller may not see as for
    /// one that does not exist.
    pub async fn public_key(&self, call: &Call, target: &Target) -> Result<ShareSubject, Refusal> {
        let share = self.describe(call, target, &GetPublicKey).await?;
        let Grant { permit, entry } = self.grant(call, share, GetPublicKey).await?;
        grant::release(entry, Ok(permit.into_subject())).await
    }

    /// The public metadata that policy decides on. A share of another wallet or
    /// environment is as unknown as one that does not exist.
    pub(crate) async fn describe(
        &self,
        call: &Call,
        target: &Target,
        action: &impl Action,
    ) -> Result<ShareSubject, Refusal> {
        let described = self.store.describe(target.share).await?;
        let described = described
            .filter(|share| share.identity.wallet == target.wallet)
            .filter(|share| share.identity.environment == self.environment);
        match described {
            Some(share) => Ok(Arc::new(share)),
            None => Err(self.unknown(call, target, action).await),
        }
    }

    /// Fetches what a permit opens and has its DEK unwrapped. The slot is
    /// reserved before, so that an exhausted pool costs the KMS nothing.
    pub(crate) async fn unwrap<A: Opens>(
        &self,
        permit: Permit<A>,
        deadline: Instant,
        entry: &mut Entry,
    ) -> Result<(PermittedEnvelope<A>, Dek), Refusal> {
        let fetching = self.store.fetch(permit.opening());
        let record = self.metrics.during(Stage::Fetch, fetching).await?;
        let record = record.ok_or(Refusal::ShareChanged("it is gone"))?;
        let envelope = PermittedEnvelope::new(permit, record)?;
        let (ciphertext, _) = envelope.envelope().sealed().parts();
        let slot = self.enclave.reserve(ciphertext.len())?;
        let unwrapping = self.kms.unwrap(envelope.dek(), slot, deadline);
        let unwrapped = self.metrics.during(Stage::Unwrap, unwrapping).await?;
        let request_id = unwrapped.request_id.as_deref();
        tracing::Span::current().record("kms_request_id", request_id);
        entry.unwrapped(request_id, envelope.dek().wrapped().kek_version());
        Ok((envelope, unwrapped.dek))
    }
}

impl Target {
    /// Whether the share is one that this caller, who may use it, wants to use.
    pub(crate) fn accepts(&self, share: &ShareDescription) -> Result<(), Refusal> {
        if share.state == ShareState::Disabled {
            return Err(Refusal::ShareDisabled);
        }
        if share.identity.binding == Binding::Declared {
            return Err(Refusal::ShareOpaque);
        }
        let recorded = share.identity.address.as_ref();
        if let Some(expected) = &self.expected_address
            && recorded.is_none_or(|recorded| recorded.as_str() != &**expected)
        {
            return Err(Refusal::AddressMismatch { recorded: recorded.cloned() });
        }
        if share.identity.version.get() < self.min_version {
            return Err(Refusal::RecordVersionTooOld { recorded: share.identity.version });
        }
        Ok(())
    }
}

/// Checks payload and encoding against the algorithm: after policy, so that a
/// refusal here tells nobody what he may not know, and before anything is
/// fetched.
pub(crate) fn require_signable(
    share: &ShareDescription,
    payload: &Payload,
    encoding: Encoding,
) -> Result<(), Refusal> {
    let algorithm: Algorithm = share.identity.algorithm;
    payload.fits(algorithm)?;
    if encoding == Encoding::Der && !algorithm.is_ecdsa() {
        return Err(Refusal::Unfit { field: "encoding", rule: "DER exists for ECDSA only" });
    }
    Ok(())
}
