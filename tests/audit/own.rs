//! The instance's own key: nobody's but the process's, the same in every run, and no other
//! log's.

use std::{fs, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    audit::{
        reader::{Found, Reader},
        record::Event,
        segment::SegmentFile,
        verify::verify,
    },
    envelope::Envelope,
    key::{Algorithm, PublicKey},
    policy::INSTANCE_WALLET,
    proto,
    record::ShareRecord,
    store::{ShareStore, sqlite::Sqlite},
};
use tonic::Code;

use super::counted;
use crate::support::{
    enclave::{Enclave, message},
    refused::assert_refused,
    served::{Home, binary},
};

/// Also where every policy permits everything, and its envelope lies in the store.
#[tokio::test(flavor = "multi_thread")]
async fn no_caller_uses_it() {
    let enclave = Enclave::start().await;
    let file = fs::read_to_string(enclave.dir.path().join("audit/identity.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let key = hex::decode(file["public_key"].as_str().unwrap()).unwrap();
    let key = PublicKey::parse(Algorithm::Ed25519, &key).unwrap();
    let envelope = STANDARD.decode(file["envelope"].as_str().unwrap()).unwrap();
    let envelope = Envelope::decode(&envelope).unwrap();
    let share_id = envelope.header().identity.share.to_string();
    assert_eq!(share_id, enclave.signing.audit.instance().to_string());
    let record = ShareRecord::new(&envelope, key, std::time::SystemTime::now());
    enclave.signing.store.put(&record, None).await.unwrap();
    let before = enclave.counts.uses();

    let wallet_id = INSTANCE_WALLET.to_owned();
    let (mut client, mut custody) = (enclave.client().await, enclave.custody().await);
    let sign = proto::SignRequest {
        share_id: share_id.clone(),
        wallet_id: wallet_id.clone(),
        payload: message(b"countersign/test/forged\n1\n"),
        ..Default::default()
    };
    let get =
        proto::GetPublicKeyRequest { share_id: share_id.clone(), wallet_id: wallet_id.clone() };
    let generate = proto::GenerateShareRequest { share_id, wallet_id, algorithm: 1 };
    let refused = [
        client.sign(sign).await.map(drop),
        client.get_public_key(get).await.map(drop),
        custody.generate_share(generate).await.map(drop),
    ];
    for refused in refused {
        assert_refused(&refused.unwrap_err(), Code::PermissionDenied, "POLICY_DENIED");
    }
    assert_eq!(enclave.counts.uses(), before);
}

fn keys(home: &Home) -> Vec<(String, bool)> {
    let mut reader = Reader::new(&home.path("audit"));
    let mut keys = Vec::new();
    while let Some(Found::Record(record)) = reader.advance().unwrap() {
        if let Event::Identity { key, kept, .. } = record.event {
            keys.push((key, kept));
        }
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_same_in_every_run() {
    let home = Home::embedded();
    let serve = home.serve();
    let home = home.start(serve).await.stop_keeping();
    fs::remove_file(home.path("log")).unwrap();
    let serve = home.serve();
    let home = home.start(serve).await.stop_keeping();
    let [(first, true), (second, true)] = &*keys(&home) else { panic!("{:?}", keys(&home)) };
    assert_eq!(first, second);

    // Of another log, and not whole.
    let other = Home::embedded();
    let serve = other.serve();
    let other = other.start(serve).await.stop_keeping();
    let own = fs::read(home.path("audit/identity.json")).unwrap();
    let others = fs::read(other.path("audit/identity.json")).unwrap();
    for wrong in [&others[..], &own[..own.len() / 2], b""] {
        fs::write(home.path("audit/identity.json"), wrong).unwrap();
        let ended = home.output(home.serve());
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("identity.json"), "{said}");
    }
    fs::write(home.path("audit/identity.json"), own).unwrap();
    fs::remove_file(home.path("log")).unwrap();
    let serve = home.serve();
    home.start(serve).await.stop();
}

/// What the server had not counted is counted before its log is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn forgotten_by_the_command() {
    let home = Home::embedded();
    let serve = home.serve();
    let served = home.start(serve).await;
    let share = served.generate().await;
    for _ in 0..3 {
        served.sign(&share).await.unwrap();
    }
    let home = served.kill();
    let forget = |home: &Home| {
        let mut command = Command::new(binary());
        command.args(["audit", "forget", "--config"]).arg(home.config()).arg(home.path("audit"));
        home.output(command)
    };
    let store = Sqlite::open(&home.path("db/shares.db")).unwrap();
    let log = verify(&home.path("audit"), &[], |_| ()).unwrap().instance.unwrap();
    let forgotten = forget(&home);
    assert!(forgotten.status.success(), "{forgotten:?}");
    assert_eq!(store.counted(log).await, Ok(0));
    assert_eq!(counted(&home.path("db/shares.db")), 3);

    let file = SegmentFile::at(&home.path("audit"), 0).path;
    let changed = fs::read_to_string(&file).unwrap().replacen("\"app\"", "\"ape\"", 1);
    fs::write(&file, changed).unwrap();
    let refused = forget(&home);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("not intact"), "{said}");
}

/// The check that the documentation prints is the one that is tested.
#[test]
fn the_documented_check_is_the_tested_one() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |name: &str| fs::read_to_string(format!("{root}/{name}")).unwrap();
    let (document, program) = (read("docs/audit.md"), read("tests/audit_reader.py"));
    let start = "def verify_receipt(";
    let documented = &document[document.find(start).unwrap()..];
    let documented = &documented[..documented.find("```").unwrap()];
    assert!(program.contains(documented), "{documented}");
}
