//! What the vectors are run on: an enclave, a policy that permits, a KEK file.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use countersign::{
    caller::Caller,
    enclave::{DEK_LEN, Dek, Enclave, EnclaveError},
    envelope::{Envelope, EnvelopeError},
    key::{Algorithm, Environment},
    kms::{Kms, KmsError, local::Local},
    memory::{Budget, Level},
    payload::Payload,
    permitted::{PermittedEnvelope, RecordError},
    policy::{Opens, Permit, Policy, Sign, UseShare},
    record::{ShareDescription, ShareRecord},
    signature::Signed,
};
use tokio::time::Instant;

use super::vectors::{Negative, Positive, Refused, Vectors};

/// Secret memory of a bench.
pub const SLOTS: usize = 8;

/// One test's own.
pub struct Bench {
    pub enclave: Enclave,
    pub policy: Policy,
    pub caller: Arc<Caller>,
    directory: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let permit_all = r#"
            @id("sign") permit (principal, action == Action::"Sign", resource);
            @id("digest") permit (principal, action == Action::"SignDigest", resource);
            @id("use") permit (principal, action == Action::"UseShare", resource);
            @id("make") permit (principal, action == Action::"GenerateShare", resource);
        "#;
        Self {
            enclave: Enclave::start(
                Budget { slots: SLOTS, large_slots: 0, sections: 2, threads: 0 },
                Level::Mlock,
            )
            .unwrap(),
            policy: Policy::parse([("all.cedar", permit_all)]).ok().unwrap(),
            caller: Arc::new(Caller {
                name: "tester".into(),
                uid: Some(1000),
                spiffe_id: None,
                groups: Box::default(),
                rate: None,
            }),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// The local KMS over the vectors' KEK file. Holds one slot.
    pub fn local_kms(&self) -> Local {
        let path = self.path("kek");
        write_kek(&path, &Vectors::read().local_kek);
        let environment: Environment = "staging".parse().unwrap();
        Local::open(&path, &environment, self.enclave.pool()).unwrap()
    }

    /// A file of the test's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn dek(&self, bytes: &[u8]) -> Dek {
        let slot = self.enclave.reserve(DEK_LEN).unwrap();
        Dek::unwrapped(slot, |dek| {
            dek.copy_from_slice(bytes);
            Ok(())
        })
        .unwrap()
    }

    pub fn permit<A: Opens>(&self, description: ShareDescription, action: A) -> Permit<A> {
        self.policy.authorize(&self.caller, Arc::new(description), action).ok().unwrap()
    }

    /// Permitted, fetched, and held against the permit.
    pub fn permitted<A: Opens>(
        &self,
        description: ShareDescription,
        envelope: Vec<u8>,
        action: A,
    ) -> Result<PermittedEnvelope<A>, RecordError> {
        let permit = self.permit(description.clone(), action);
        let record = ShareRecord { description, envelope };
        PermittedEnvelope::new(permit, record)
    }

    pub fn sign(
        &self,
        description: ShareDescription,
        envelope: Vec<u8>,
        dek: Dek,
    ) -> Result<Signed, Failed> {
        let action = signing(&description);
        let permitted = self.permitted(description, envelope, action).map_err(Failed::Record)?;
        self.enclave.sign(permitted, dek).map_err(Failed::Enclave)
    }

    pub fn assert_nothing_held(&self, name: &str) {
        assert_eq!(self.enclave.pool().free(), SLOTS, "{name}: slots");
    }

    /// Every stage before the one that must refuse lets the vector through.
    pub async fn refuse(
        &self,
        kms: &Local,
        base: &Positive,
        vector: &Negative,
        name: &str,
        envelope: Vec<u8>,
    ) {
        let Refused { stage, error, .. } = &vector.refused;
        let decoded = Envelope::decode(&envelope);
        if stage == "decode" {
            let found = decoded.expect_err(name);
            assert_eq!(vector.refused, decode_refusal(&found), "{name}");
            assert!(!found.to_string().is_empty());
            return;
        }
        assert_eq!(decoded.expect(name).encode(), envelope, "{name}");

        let description = vector.description(base);
        let action = signing(&description);
        let permitted = self.permitted(description.clone(), envelope.clone(), action);
        if stage == "mismatch" {
            let Some(RecordError::Mismatch(field)) = permitted.as_ref().err() else {
                panic!("{name}: {:?}", permitted.err());
            };
            assert_eq!(field, error, "{name}");
            return;
        }
        let permitted = permitted.unwrap_or_else(|found| panic!("{name}: {found}"));

        if stage == "unwrap" {
            let slot = self.enclave.reserve(DEK_LEN).unwrap();
            let unwrapped = kms.unwrap(permitted.dek(), slot, soon()).await;
            let Err(KmsError { kind, detail, .. }) = unwrapped else {
                panic!("{name}: was unwrapped");
            };
            assert_eq!(&format!("{kind:?}"), error, "{name}: {detail}");
            return;
        }
        assert_eq!(stage, "open", "{name}");
        let dek = self.dek(vector.dek.as_ref().unwrap_or(&base.dek));
        let found = self.enclave.sign(permitted, dek).expect_err(name);
        assert_eq!(&format!("{found:?}"), error, "{name}");

        let dek = self.dek(vector.dek.as_ref().unwrap_or(&base.dek));
        let permitted = self.permitted(description, envelope, UseShare);
        let opened = self.enclave.open(permitted.ok().unwrap(), dek);
        assert_eq!(opened.err(), Some(found), "{name}: in a stream");
    }
}

/// What refused a signature.
#[derive(Debug, PartialEq)]
pub enum Failed {
    Record(RecordError),
    Enclave(EnclaveError),
}

/// The action of signing [`payload`].
pub fn signing(description: &ShareDescription) -> Sign {
    Sign { payload: payload(description) }
}

/// A payload that the share's algorithm signs.
pub fn payload(description: &ShareDescription) -> Payload {
    match description.identity.algorithm {
        Algorithm::Ed25519 => Payload::Message(Bytes::from_static(b"a message")),
        Algorithm::SchnorrSecp256k1 => Payload::Message(Bytes::from_static(&[7; 32])),
        Algorithm::EcdsaSecp256k1 | Algorithm::EcdsaP256 => Payload::Digest([7; 32]),
    }
}

fn decode_refusal(error: &EnvelopeError) -> Refused {
    let (error, field, value) = match error {
        EnvelopeError::Oversize(length) => ("Oversize", None, Some(*length)),
        EnvelopeError::Truncated(field) => ("Truncated", Some(*field), None),
        EnvelopeError::Magic => ("Magic", None, None),
        EnvelopeError::Format(number) => ("Format", None, Some(usize::from(*number))),
        EnvelopeError::Suite(number) => ("Suite", None, Some(usize::from(*number))),
        EnvelopeError::Field(field, _) => ("Field", Some(*field), None),
        EnvelopeError::Trailing(length) => ("Trailing", None, Some(*length)),
    };
    Refused {
        stage: "decode".to_owned(),
        error: error.to_owned(),
        field: field.map(str::to_owned),
        value,
    }
}

fn write_kek(path: &Path, bytes: &[u8]) {
    let mut options = fs::File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}
