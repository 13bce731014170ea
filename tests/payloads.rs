//! Payloads made by libraries that are not ours: viem, ethers and @solana/web3.js.

mod accepted;
mod corpus;
mod decoded;
mod evm;
mod personal;
mod properties;
mod refused;
mod solana;
mod typed_data;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::support::node;

#[test]
fn the_vectors_are_what_their_generator_writes() {
    node::run("generate.mjs", &["--check"], "");
}

#[test]
fn the_verifier_tells_right_from_wrong() {
    let Some(printed) = node::run("verify.mjs", &["--self-test"], "") else { return };
    let counts: Vec<usize> = printed.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(
        matches!(*counts, [accepted, rejected] if accepted > 100 && rejected > 1_000),
        "{printed}"
    );
}

#[test]
fn the_corpus_loses_nothing_of_the_vectors() {
    fn whole<T: Serialize + DeserializeOwned>(name: &str) -> T {
        let read: T = corpus::read(name);
        assert_eq!(serde_json::to_value(&read).unwrap(), corpus::read::<Value>(name), "{name}");
        read
    }
    let evm: corpus::Evm = whole("evm.json");
    let typed_data: corpus::TypedData = whole("typed_data.json");
    let personal: corpus::Personal = whole("personal.json");
    let solana: corpus::Solana = whole("solana.json");
    let refused: corpus::Refused = whole("refused.json");
    assert!(evm.cases.len() >= 200 && !evm.unclear_calls.is_empty());
    assert!(typed_data.cases.len() >= 100 && personal.cases.len() >= 40);
    assert!(solana.cases.len() >= 100 && refused.cases.len() >= 150);
}
