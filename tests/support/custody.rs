//! Sealed records and the permits to use them, made by a real policy that
//! permits everything.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use countersign::{
    caller::Caller,
    enclave::{Enclave, Generated, Slot},
    envelope::{Envelope, Header, Identity, KekContext, KekRef, WrappedDek},
    key::{Algorithm, Environment, RecordVersion, ShareId},
    kms::{Kms, KmsError, Unwrapped},
    payload::Payload,
    permitted::PermittedEnvelope,
    policy::{GenerateShare, NewShare, Policy, Sign},
    record::ShareRecord,
};
use tokio::time::Instant;

const PERMIT_ALL: &str = r#"
@id("everything") permit(principal, action, resource);
@id("digests") permit(principal, action == Action::"SignDigest", resource);
"#;

/// An enclave and whoever may use it.
pub struct Custody {
    enclave: Enclave,
    policy: Policy,
    caller: Arc<Caller>,
    environment: Environment,
}

/// A record that was sealed here. Its DEK is kept, for comparison.
pub struct Sealed {
    generated: Generated,
}

impl Custody {
    /// A custody with a few slots.
    pub fn new(environment: &Environment) -> Self {
        let caller = Caller { name: "tests".into(), uid: 1000, groups: Box::default() };
        Self {
            enclave: Enclave::start(16).unwrap(),
            policy: Policy::parse([("all.cedar", PERMIT_ALL)]).unwrap(),
            caller: Arc::new(caller),
            environment: environment.clone(),
        }
    }

    /// The enclave.
    pub fn enclave(&self) -> &Enclave {
        &self.enclave
    }

    /// A free slot.
    pub fn slot(&self) -> Slot {
        self.enclave.reserve().unwrap()
    }

    /// How many slots are free.
    pub fn free(&self) -> usize {
        self.enclave.pool().free()
    }

    /// Makes and seals a share, its DEK not yet wrapped.
    pub fn seal(&self, kek: &KekRef) -> Sealed {
        let algorithm = Algorithm::Ed25519;
        let subject = NewShare {
            environment: self.environment.clone(),
            wallet: "wallet-1".parse().unwrap(),
            share: ShareId::random(),
            algorithm,
        };
        let permit = self
            .policy
            .authorize(&self.caller, subject.clone(), GenerateShare { algorithm })
            .unwrap();
        let identity = |_: &_| Identity {
            environment: subject.environment,
            wallet: subject.wallet,
            share: subject.share,
            version: RecordVersion::FIRST,
            address: None,
            algorithm,
        };
        let generated = self.enclave.generate(&permit, kek.clone(), identity).unwrap();
        Sealed { generated }
    }

    /// The permit to sign with a record whose DEK is `wrapped`.
    pub fn permit(&self, sealed: &Sealed, wrapped: WrappedDek) -> PermittedEnvelope<Sign> {
        let Generated { header, sealed, public_key, .. } = &sealed.generated;
        let envelope = Envelope::new(header.clone(), wrapped, sealed.clone());
        let record = ShareRecord::new(&envelope, *public_key, SystemTime::now());
        let payload = Payload::Message(Bytes::from_static(b"hello"));
        let subject = Arc::new(record.description.clone());
        let permit = self.policy.authorize(&self.caller, subject, Sign { payload }).unwrap();
        PermittedEnvelope::new(permit, record).unwrap()
    }

    /// Unwraps into a slot of this enclave.
    pub async fn unwrap(
        &self,
        kms: &dyn Kms,
        sealed: &Sealed,
        wrapped: &WrappedDek,
        deadline: Instant,
    ) -> Result<Unwrapped, KmsError> {
        let permitted = self.permit(sealed, wrapped.clone());
        kms.unwrap(permitted.dek(), self.slot(), deadline).await
    }
}

impl Sealed {
    /// The context of the record.
    pub fn context(&self) -> KekContext {
        KekContext::of(&self.header().identity)
    }

    /// The envelope's header.
    pub fn header(&self) -> &Header {
        &self.generated.header
    }

    /// Wraps the record's DEK.
    pub async fn wrap(&self, kms: &dyn Kms, deadline: Instant) -> Result<WrappedDek, KmsError> {
        let dek = &self.generated.dek;
        kms.wrap(&self.context(), dek, deadline).await
    }

    /// Whether an unwrapped DEK is the record's.
    pub fn is_dek(&self, unwrapped: &Unwrapped) -> bool {
        self.generated
            .dek
            .reveal(|dek| unwrapped.dek.reveal(|other| dek.len() == 32 && dek == other))
    }

    /// The DEK, for tests that look for it where it must not be.
    pub fn dek(&self) -> Vec<u8> {
        self.generated.dek.reveal(<[u8]>::to_vec)
    }
}
