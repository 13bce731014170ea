//! Receipts and checkpoints, checked by programs that are not ours: a reader in Python, and
//! one in Go over the packages of Go's own transparency log.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    audit::{CHECKPOINT, note::Name, segment::SegmentFile, verify::verify},
    key::Algorithm,
    proto,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{enclave::Enclave, python, served::binary, tlog};

/// A log that was written and closed, with the receipts that left meanwhile.
struct Written {
    _enclave: Enclave,
    log: PathBuf,
    key: Name,
    receipts: Vec<proto::Receipt>,
}

impl Written {
    async fn new() -> Self {
        let mut enclave = Enclave::start().await;
        let share = enclave.share(Algorithm::Ed25519).await;
        let mut client = enclave.client().await;
        let mut receipts = Vec::new();
        for number in 0..5 {
            let answer = client.sign(share.sign_request(number)).await.unwrap();
            receipts.push(answer.into_inner().receipt.unwrap());
        }
        let frames = [share.open()].into_iter().chain((1..=30).map(|id| share.frame(id)));
        let frames = tokio_stream::iter(frames.collect::<Vec<_>>());
        let mut answers = client.use_share(frames).await.unwrap().into_inner();
        while let Some(answer) = answers.message().await.unwrap() {
            receipts.push(match answer.frame.unwrap() {
                proto::use_share_response::Frame::Opened(opened) => opened.receipt.unwrap(),
                proto::use_share_response::Frame::Signed(signed) => signed.receipt.unwrap(),
            });
        }
        let key = enclave.signing.identity.name().unwrap().clone();
        enclave.stop().await;
        let log = enclave.dir.path().join("audit");
        Self { _enclave: enclave, log, key, receipts }
    }

    fn checkpoint(&self) -> PathBuf {
        self.log.join(CHECKPOINT)
    }

    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for file in fs::read_dir(&self.log).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        copy
    }
}

fn json(receipt: &proto::Receipt) -> Value {
    json!({
        "sequence": receipt.sequence.to_string(),
        "recordHash": STANDARD.encode(&receipt.record_hash),
        "path": receipt.path.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>(),
        "checkpoint": receipt.checkpoint,
        "signatureRecorded": receipt.signature_recorded,
    })
}

/// Whether each of the three readers accepts a receipt.
fn accepted(key: &str, receipt: &Path) -> [bool; 3] {
    let ours = Command::new(binary())
        .args(["audit", "verify-receipt", "--key", key])
        .arg(receipt)
        .output()
        .unwrap();
    let ours = ours.status.success();
    let arguments = ["receipt", key, receipt.to_str().unwrap()];
    // Where one cannot be had, which is said, it has no other opinion.
    let theirs = |output: Option<Output>| output.map_or(ours, |output| output.status.success());
    let python = python::output("audit_reader.py", &arguments);
    [ours, theirs(python), theirs(tlog::output(&arguments))]
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_believed_by_others() {
    let written = Written::new().await;
    let key = written.key.to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("receipt.json");
    // Some of a group of its own, some of a group of many.
    for receipt in written.receipts.iter().step_by(5) {
        fs::write(&file, json(receipt).to_string()).unwrap();
        assert_eq!(accepted(&key, &file), [true; 3], "{receipt:?}");
    }
    let long = written.receipts.iter().max_by_key(|receipt| receipt.path.len()).unwrap();
    let good = json(long);
    let mut wrong = Vec::new();
    let mut with = |field: &str, value: Value| {
        let mut receipt = good.clone();
        receipt[field] = value;
        wrong.push((field.to_owned(), receipt, key.clone()));
    };
    with("sequence", json!((long.sequence + 1).to_string()));
    with("sequence", json!("18446744073709551615"));
    with("recordHash", json!(STANDARD.encode([7; 32])));
    with("recordHash", json!(""));
    with("path", json!([]));
    let mut path = good["path"].as_array().unwrap().clone();
    path.swap(0, 1);
    with("path", json!(path));
    let checkpoint = good["checkpoint"].as_str().unwrap();
    for (from, to) in
        [("countersign/", "counter/"), ("\n\n", "\n"), ("= ", "A "), ("\u{2014}", "-")]
    {
        with("checkpoint", json!(checkpoint.replacen(from, to, 1)));
    }
    let (text, signature) = checkpoint.rsplit_once(' ').unwrap();
    let mut bytes = STANDARD.decode(signature.trim()).unwrap();
    bytes[40] ^= 1;
    with("checkpoint", json!(format!("{text} {}\n", STANDARD.encode(&bytes))));
    let other = Name::new(written.key.origin().to_owned(), [9; 32]).to_string();
    wrong.push(("key".to_owned(), good.clone(), other));
    for (field, receipt, key) in wrong {
        // Where the text has no such place, it is the good one.
        if receipt == good && key == written.key.to_string() {
            continue;
        }
        fs::write(&file, receipt.to_string()).unwrap();
        assert_eq!(accepted(&key, &file), [false; 3], "{field}: {receipt}");
    }
}

/// What `prove` prints later proves the same as what left with the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_proven_later() {
    let written = Written::new().await;
    let key = written.key.to_string();
    let prove = |sequence: u64| {
        let mut prove = Command::new(binary());
        prove.args(["audit", "prove", "--key", &key]).arg(&written.log).arg(sequence.to_string());
        prove.output().unwrap()
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("receipt.json");
    for receipt in written.receipts.iter().step_by(7) {
        let proven = prove(receipt.sequence);
        assert!(proven.status.success(), "{proven:?}");
        fs::write(&file, &proven.stdout).unwrap();
        assert_eq!(accepted(&key, &file), [true; 3]);
        let proven: Value = serde_json::from_slice(&proven.stdout).unwrap();
        assert_eq!(proven["recordHash"], STANDARD.encode(&receipt.record_hash));
        assert_eq!(proven["signatureRecorded"], receipt.signature_recorded);
    }
    assert!(!prove(1_000_000).status.success());
}

/// Heads that left the machine before find what was cut off, and what was written anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_finds_what_the_log_alone_does_not() {
    let written = Written::new().await;
    let head = written.key.open(&fs::read_to_string(written.checkpoint()).unwrap()).unwrap();
    let verify = |directory: &Path| verify(directory, std::slice::from_ref(&head), |_| ()).unwrap();
    assert!(verify(&written.log).findings.is_empty());
    let (key, checkpoint) = (written.key.to_string(), written.checkpoint());
    let checkpoint = ["checkpoint", &key, checkpoint.to_str().unwrap(), "--log"];
    for arguments in [&["log"][..], &checkpoint] {
        let log = written.log.to_str().unwrap();
        let arguments = [arguments, &[log]].concat();
        for output in [python::output("audit_reader.py", &arguments), tlog::output(&arguments)] {
            assert!(output.as_ref().is_none_or(|output| output.status.success()), "{output:?}");
        }
    }

    let cut = written.copy();
    let path = SegmentFile::at(cut.path(), 0).path;
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    fs::write(&path, lines[..lines.len() - 3].join("\n") + "\n").unwrap();
    let found: Vec<_> = verify(cut.path()).findings.iter().map(ToString::to_string).collect();
    let (from, to) = (lines.len() - 3, lines.len() - 1);
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = format!("records {from} to {to} were cut off: a checkpoint has them");
    assert!(found[0].ends_with(&expected), "{found:?}");

    // Another log of the same length.
    let mut link = [0; 32];
    let forged: Vec<_> = lines
        .iter()
        .map(|line| {
            let record = line[65..].replace("\"caller\":\"app\"", "\"caller\":\"nobody\"");
            link = countersign::audit::chain::link(&link, record.as_bytes());
            format!("{} {record}\n", hex::encode(link))
        })
        .collect();
    fs::write(&path, forged.concat()).unwrap();
    let found: Vec<_> = verify(cut.path()).findings.iter().map(ToString::to_string).collect();
    let expected = format!("the first {} records are not those of the checkpoint", lines.len());
    assert!(found.len() == 1 && found[0].ends_with(&expected), "{found:?}");
}
