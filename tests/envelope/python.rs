//! The same format, read by a second implementation in another language.

use std::{fs, time::SystemTime};

use countersign::{
    envelope::{Envelope, Identity, KekContext},
    key::{AccountAddress, Algorithm, Binding, Environment, RecordVersion, ShareId},
    kms::{Kms, local::Local},
    policy::{GenerateShare, NewShare},
    record::ShareRecord,
};
use serde_json::{Value, json};

use super::bench::{Bench, payload, signing, soon};
use crate::support::{custody, python};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/envelope.json");

/// The reader opens and refuses the published vectors as Rust does, and opens
/// what Rust generated, sealed, wrapped and rewrapped just now.
#[tokio::test]
async fn python_reads_the_envelopes() {
    let Some(said) = python::run("envelope_reader.py", &["vectors", VECTORS]) else {
        return;
    };
    assert!(said.contains("are refused"), "{said}");

    let (file, records) = sealed_by_rust().await;
    let said = python::run("envelope_reader.py", &["sealed", file.path().to_str().unwrap()]);
    assert_eq!(said.unwrap().trim(), format!("{records} sealed envelopes open"));
}

/// Nobody edited the published file by hand.
#[test]
fn the_generator_gives_the_published_vectors() {
    python::run("vectors/generate.py", &["--check"]);
}

/// Each algorithm, with and without an address, under two versions of the KEK.
async fn sealed_by_rust() -> (tempfile::NamedTempFile, usize) {
    let bench = Bench::new();
    let environment: Environment = "staging".parse().unwrap();
    let path = bench.path("kek");
    let mut records = Vec::new();

    let kms = Local::open(&path, &environment, bench.enclave.pool()).unwrap();
    for algorithm in Algorithm::ALL {
        for with_address in [true, false] {
            records.push(seal(&bench, &kms, &environment, algorithm, with_address).await);
        }
    }
    drop(kms);
    let mut kek = fs::read(&path).unwrap();
    kek.extend_from_slice(&[0x5a; 32]);
    fs::write(&path, &kek).unwrap();
    let rotated = Local::open(&path, &environment, bench.enclave.pool()).unwrap();
    let old = records.pop().unwrap();
    let rewrapped = rewrap(&rotated, &old).await;
    records.push(rewrapped);
    records.push(seal(&bench, &rotated, &environment, Algorithm::Ed25519, true).await);

    let mut described = Vec::new();
    for record in &records {
        described.push(signed(&bench, &rotated, record).await);
    }
    let document = json!({ "kek": hex::encode(kek), "records": described });
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), document.to_string()).unwrap();
    (file, records.len())
}

async fn seal(
    bench: &Bench,
    kms: &Local,
    environment: &Environment,
    algorithm: Algorithm,
    with_address: bool,
) -> ShareRecord {
    let share = NewShare {
        environment: environment.clone(),
        wallet: "wallet:of-python".parse().unwrap(),
        share: ShareId::random(),
        algorithm,
        binding: Binding::Derived,
    };
    let identity = share.clone();
    let permit =
        bench.policy.authorize(&bench.caller, share, GenerateShare { algorithm }).ok().unwrap();
    let generated = bench
        .enclave
        .generate(&permit, kms.kek().clone(), |public_key| Identity {
            environment: identity.environment,
            wallet: identity.wallet,
            share: identity.share,
            version: RecordVersion::FIRST,
            address: AccountAddress::of(public_key).filter(|_| with_address),
            algorithm,
            binding: Binding::Derived,
        })
        .unwrap();
    let context = KekContext::of(&generated.header.identity);
    let wrapped = kms.wrap(&context, generated.dek, soon()).await.unwrap();
    let envelope = Envelope::new(generated.header, wrapped, generated.sealed);
    ShareRecord::new(&envelope, generated.public_key, SystemTime::UNIX_EPOCH)
}

async fn rewrap(kms: &Local, record: &ShareRecord) -> ShareRecord {
    let old = Envelope::decode(&record.envelope).unwrap();
    let context = KekContext::of(&old.header().identity);
    let wrapped = custody::rewrap(kms, context, old.wrapped_dek(), soon()).await.unwrap();
    assert!(wrapped.as_bytes().starts_with(b"local:v2:"));
    let envelope = Envelope::new(old.header().clone(), wrapped, old.sealed().clone());
    ShareRecord { envelope: envelope.encode(), ..record.clone() }
}

/// What the reader is given: the row's bytes and a signature.
async fn signed(bench: &Bench, kms: &Local, record: &ShareRecord) -> Value {
    let description = record.description.clone();
    let payload = payload(&description).signed_bytes().to_vec();
    let permitted = bench
        .permitted(description.clone(), record.envelope.clone(), signing(&description))
        .unwrap();
    let slot = bench.enclave.reserve(32).unwrap();
    let unwrapped = kms.unwrap(permitted.dek(), slot, soon()).await.unwrap();
    let signed = bench.enclave.sign(permitted, unwrapped.dek).unwrap();
    json!({
        "envelope": hex::encode(&record.envelope),
        "public_key": hex::encode(description.public_key.as_bytes()),
        "payload": hex::encode(payload),
        "signature": hex::encode(signed.signature.bytes),
    })
}
