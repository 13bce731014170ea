//! The fuzz targets' bodies, run a bounded number of times on mutations of real
//! inputs. The same every time: `FUZZ_SEED` asks for another run and
//! `FUZZ_EXECUTIONS` for a longer one.

#[path = "../fuzz/bodies.rs"]
mod bodies;
mod mutation;

use std::{env, fs, panic, str::FromStr};

use countersign::{
    key::ShareId,
    proto::{self, use_share_request::Frame as Kind},
};
use mutation::Mutator;
use prost::Message;
use serde_json::Value;

use crate::envelope::Vectors;

const EXECUTIONS: u64 = 200_000;

#[test]
fn envelope() {
    let vectors = Vectors::read();
    let positive = vectors.positive.iter().map(|vector| vector.envelope.clone());
    let negative = vectors.negative.iter().flat_map(|vector| {
        let envelopes = vectors.envelopes(vector);
        envelopes.into_iter().map(|(_, envelope)| envelope)
    });
    let seeds: Vec<_> = positive.chain(negative).filter(|seed| seed.len() <= 1024).collect();
    run(bodies::envelope, &seeds);
}

#[test]
fn configuration() {
    let examples = [
        include_str!("../examples/sqlite-local.toml"),
        include_str!("../examples/sqlite-vault.toml"),
        include_str!("../examples/postgres-vault.toml"),
        include_str!("config/five-mistakes.toml"),
    ];
    // Without the comments, so that mutations hit what is read.
    let seeds: Vec<_> = examples
        .iter()
        .map(|example| {
            let lines = example.lines().filter(|line| !line.starts_with('#'));
            lines.collect::<Vec<_>>().join("\n").into_bytes()
        })
        .collect();
    run_for(20_000, bodies::configuration, &seeds);
}

#[test]
fn frame() {
    let open = proto::OpenFrame {
        share_id: ShareId::random().to_string(),
        wallet_id: "wallet".to_owned(),
        expected_address: "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf".to_owned(),
        min_record_version: 1,
    };
    let sign = |kind| proto::SignFrame {
        id: 7,
        payload: Some(proto::Payload { kind: Some(kind) }),
        encoding: 2,
    };
    let message = proto::payload::Kind::Message(b"message".to_vec().into());
    let digest = proto::payload::Kind::Digest(vec![1; 32].into());
    let personal = proto::payload::Kind::Eip191(b"hello".to_vec().into());
    let signs = [message, digest, personal].map(|kind| Kind::Sign(sign(kind)));
    let [message, digest, personal] = signs;
    let seeds = [Kind::Open(open), message, digest, personal]
        .map(|frame| proto::UseShareRequest { frame: Some(frame) }.encode_to_vec());
    run(bodies::frame, &seeds);
}

/// The payloads of the vectors, and those that are bent.
fn payloads(file: &str, kind: &str) -> Vec<Vec<u8>> {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |file: &str| {
        let text = fs::read_to_string(format!("{root}/tests/vectors/payloads/{file}")).unwrap();
        let mut cases: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value::<Vec<Value>>(cases["cases"].take()).unwrap()
    };
    let bent = read("refused.json").into_iter().filter(|case| case["kind"] == kind);
    let payloads = read(file).into_iter().chain(bent).map(|case| {
        let names = ["payload", "hex", "text"];
        let payload = names.iter().find_map(|name| case[*name].as_str()).unwrap();
        let digits = payload.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        digits.unwrap_or_else(|| payload.as_bytes().to_vec())
    });
    payloads.filter(|payload| payload.len() <= 4096).collect()
}

#[test]
fn evm_transaction() {
    run_for(100_000, bodies::evm_transaction, &payloads("evm.json", "evm_transaction"));
}

#[test]
fn eip712() {
    run_for(20_000, bodies::eip712, &payloads("typed_data.json", "eip712"));
}

#[test]
fn solana_message() {
    run_for(100_000, bodies::solana_message, &payloads("solana.json", "solana_message"));
}

#[test]
fn eip191() {
    run_for(20_000, bodies::eip191, &payloads("personal.json", "eip191"));
}

/// Runs a body on every seed as it is, and then on mutations of them.
fn run(body: fn(&[u8]), seeds: &[Vec<u8>]) {
    run_for(EXECUTIONS, body, seeds);
}

fn run_for(executions: u64, body: fn(&[u8]), seeds: &[Vec<u8>]) {
    for seed in seeds {
        body(seed);
    }
    let first = from_environment("FUZZ_SEED").unwrap_or(1);
    let executions = from_environment("FUZZ_EXECUTIONS").unwrap_or(executions);
    let mut mutator = Mutator::new(first, seeds);
    for execution in 0..executions {
        let input = mutator.next();
        if let Err(panicked) = panic::catch_unwind(|| body(input)) {
            eprintln!("FUZZ_SEED={first}, execution {execution}, input {}", hex::encode(input));
            panic::resume_unwind(panicked);
        }
    }
}

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}
