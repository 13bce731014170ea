//! Sealed shares, and permits from a policy that permits everything.

use std::{sync::Arc, time::SystemTime};

use countersign::{
    caller::Caller,
    enclave::{DEK_LEN, Dek, Enclave},
    envelope::{Envelope, Identity, KekRef, WrappedDek},
    key::{Algorithm, Binding, RecordVersion, ShareId},
    memory::{Budget, Level},
    permitted::PermittedEnvelope,
    policy::{GenerateShare, NewShare, Opens, Permit, Policy},
    record::ShareRecord,
};

/// Operations that are prepared at once, each with a slot of its own.
pub const BATCH: u64 = 64;

const ALL: &str = r#"
    @id("all") permit (principal, action, resource);
    @id("digests") permit (principal, action == Action::"SignDigest", resource);
"#;

/// An enclave with one share.
pub struct Sealed {
    pub enclave: Enclave,
    pub record: ShareRecord,
    policy: Policy,
    caller: Arc<Caller>,
    pub dek: [u8; DEK_LEN],
}

impl Sealed {
    pub fn new(algorithm: Algorithm) -> Self {
        let enclave = Enclave::start(
            Budget { slots: 2 * BATCH as usize, large_slots: 0, sections: 2, threads: 0 },
            Level::Mlock,
        )
        .unwrap();
        let policy = Policy::parse([("all.cedar", ALL)]).ok().unwrap();
        let caller = Arc::new(Caller {
            name: "bench".into(),
            uid: Some(1000),
            spiffe_id: None,
            groups: Box::default(),
            rate: None,
        });
        let permit = permit_to_generate(&policy, &caller, algorithm);
        let made = enclave.generate(&permit, kek(), |_| identity(permit.subject())).unwrap();
        let mut dek = [0; DEK_LEN];
        made.dek
            .reveal(|bytes| {
                dek = *bytes;
                Ok(())
            })
            .unwrap();
        let wrapped = WrappedDek::new(b"local:v1:".repeat(8)).unwrap();
        let envelope = Envelope::new(made.header, wrapped, made.sealed);
        let record = ShareRecord::new(&envelope, made.public_key, SystemTime::now());
        Self { enclave, record, policy, caller, dek }
    }

    /// What a request has in its hands when its section begins.
    pub fn permitted<A: Opens>(&self, action: A) -> (PermittedEnvelope<A>, Dek) {
        let share = Arc::new(self.record.description.clone());
        let permit = self.policy.authorize(&self.caller, share, action).unwrap();
        let envelope = PermittedEnvelope::new(permit, self.record.clone()).unwrap();
        let slot = self.enclave.reserve(DEK_LEN).unwrap();
        let dek = Dek::unwrapped(slot, |dek| {
            dek.copy_from_slice(&self.dek);
            Ok(())
        });
        (envelope, dek.unwrap())
    }

    /// A permit to make another share like it.
    pub fn permit_to_generate(&self) -> Permit<GenerateShare> {
        let algorithm = self.record.description.identity.algorithm;
        permit_to_generate(&self.policy, &self.caller, algorithm)
    }
}

pub fn kek() -> KekRef {
    KekRef::new("local", "", "countersign-bench").unwrap()
}

pub fn identity(share: &NewShare) -> Identity {
    Identity {
        environment: share.environment.clone(),
        wallet: share.wallet.clone(),
        share: share.share,
        version: RecordVersion::FIRST,
        address: None,
        algorithm: share.algorithm,
        binding: Binding::Derived,
    }
}

fn permit_to_generate(
    policy: &Policy,
    caller: &Arc<Caller>,
    algorithm: Algorithm,
) -> Permit<GenerateShare> {
    let share = NewShare {
        environment: "bench".parse().unwrap(),
        wallet: "bench".parse().unwrap(),
        share: ShareId::random(),
        algorithm,
        binding: Binding::Derived,
    };
    policy.authorize(caller, share, GenerateShare { algorithm }).unwrap()
}
