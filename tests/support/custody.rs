//! Sealed records and the permits to use them, made by a real policy that
//! permits everything.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use countersign::{
    caller::Caller,
    enclave::{DEK_LEN, Dek, Enclave, EnclaveError, Generated, Slot},
    envelope::{Envelope, Header, Identity, KekContext, KekRef, WrappedDek},
    key::{Algorithm, Binding, Environment, RecordVersion, ShareId},
    kms::{BoundDek, Kms, KmsError, Unwrapped},
    memory::{Budget, Level},
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
    enclave: Enclave,
}

impl Custody {
    /// A custody with a few slots.
    pub fn new(environment: &Environment) -> Self {
        Self::with_slots(environment, 16)
    }

    /// A custody with so many slots.
    pub fn with_slots(environment: &Environment, slots: usize) -> Self {
        let caller = Caller {
            name: "tests".into(),
            uid: Some(1000),
            spiffe_id: None,
            groups: Box::default(),
            rate: None,
        };
        Self {
            enclave: Enclave::start(
                Budget { slots, large_slots: 0, sections: 2, threads: 0 },
                Level::Mlock,
            )
            .unwrap(),
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
        self.enclave.reserve(DEK_LEN).unwrap()
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
            binding: Binding::Derived,
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
            binding: Binding::Derived,
        };
        let generated = self.enclave.generate(&permit, kek.clone(), identity).unwrap();
        Sealed { generated, enclave: self.enclave.clone() }
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

    /// Wraps the record's DEK: a copy of it, since a KMS consumes what it wraps.
    pub async fn wrap(&self, kms: &dyn Kms, deadline: Instant) -> Result<WrappedDek, KmsError> {
        let free = self.enclave.pool().free();
        let copy = Dek::unwrapped(self.enclave.reserve(DEK_LEN).unwrap(), |copy| {
            self.generated.dek.reveal(|dek| {
                *copy = *dek;
                Ok(())
            })
        })?;
        let wrapped = kms.wrap(&self.context(), copy, deadline).await;
        assert_eq!(self.enclave.pool().free(), free, "the DEK is wiped");
        wrapped
    }

    /// Whether an unwrapped DEK is the record's.
    pub fn is_dek(&self, unwrapped: &Unwrapped) -> bool {
        let same = |dek: &_| unwrapped.dek.reveal(|other| same(dek, other));
        self.generated.dek.reveal(same).is_ok()
    }

    /// The DEK, for tests that look for it where it must not be.
    pub fn dek(&self) -> Vec<u8> {
        // Reserved outside: what a section allocates stays in its room.
        let mut bytes = Vec::with_capacity(DEK_LEN);
        let dek = &self.generated.dek;
        let read = dek.reveal(|dek| {
            bytes.extend_from_slice(dek);
            Ok(())
        });
        read.unwrap();
        bytes
    }
}

/// Rewraps one DEK.
pub async fn rewrap(
    kms: &dyn Kms,
    context: KekContext,
    wrapped: &WrappedDek,
    deadline: Instant,
) -> Result<WrappedDek, KmsError> {
    let dek = BoundDek { context, wrapped: wrapped.clone() };
    let mut rewrapped = kms.rewrap(vec![dek], deadline).await?;
    assert_eq!(rewrapped.len(), 1);
    rewrapped.remove(0)
}

/// For use in secret memory, which nothing but an error leaves.
pub fn same(dek: &[u8; DEK_LEN], other: &[u8]) -> Result<(), EnclaveError> {
    (dek == other).then_some(()).ok_or(EnclaveError::Commitment)
}
