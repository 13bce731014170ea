//! `countersign payload decode`: what the enclave would see.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{EXAMPLES, run, run_with};

/// The payload of a case of the examples, as it stands there.
pub(super) fn payload(file: &str, case: &str, key: &str) -> String {
    let file = format!("{}/{EXAMPLES}/cases/{file}.toml", env!("CARGO_MANIFEST_DIR"));
    let document: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
    let cases = document["case"].as_array().unwrap();
    let found = cases.iter().find(|found| found["name"].as_str() == Some(case)).unwrap();
    found["payload"][key].as_str().unwrap().to_owned()
}

fn decode(arguments: &[&str]) -> Value {
    run(&[&["payload", "decode", "--json"], arguments].concat()).json()
}

#[test]
fn a_transaction_is_shown_as_policies_see_it() {
    let hex = payload("token-transfers", "the supplier gets 10 USDC", "evm_transaction");
    let seen = decode(&["--kind", "evm_transaction", "--hex", &hex]);
    assert_eq!(seen["kind"], "evm_transaction");
    assert_eq!(seen["action"], "Sign");
    assert_eq!(seen["algorithms"], json!(["ecdsa-secp256k1"]));
    assert_eq!(seen["context"]["transaction"]["call"]["amount"], "10000000");
    assert_eq!(seen["context"]["transaction"]["creates"], false);
    // Nobody said which limits there are.
    assert_eq!(seen["context"].get("within"), None);
    let config = ["--config", "examples/sqlite-local.toml"];
    let within = decode(&[&["--kind", "evm_transaction", "--hex", &hex][..], &config].concat());
    assert_eq!(within["context"]["within"], json!(["ether-1", "gas", "usdc-10k", "usdc-1k"]));

    // Without 0x, from a file, from standard input, and as the bytes themselves.
    let digits = hex.strip_prefix("0x").unwrap();
    assert_eq!(decode(&["--kind", "evm_transaction", "--hex", digits]), seen);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("transaction").display().to_string();
    let from_file = ["--kind", "evm_transaction", "--file", &file];
    fs::write(&file, format!("{hex}\n")).unwrap();
    assert_eq!(decode(&from_file), seen);
    fs::write(&file, hex::decode(digits).unwrap()).unwrap();
    assert_eq!(decode(&[&from_file[..], &["--raw"]].concat()), seen);
    let stdin = ["payload", "decode", "--json", "--kind", "evm_transaction", "--file", "-"];
    assert_eq!(run_with(&stdin, hex.as_bytes()).json(), seen);

    let told = run(&["payload", "decode", "--kind", "evm_transaction", "--hex", &hex]).ok();
    for line in [
        "kind       evm_transaction".to_owned(),
        "action     Sign".to_owned(),
        format!("signed     {}", seen["signed"].as_str().unwrap()),
        "signed by  ecdsa-secp256k1".to_owned(),
        "context.transaction.call.function  \"transfer(address,uint256)\"".to_owned(),
    ] {
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.lines().any(|told| squeezed(told) == squeezed(&line)), "{line}\n{told}");
    }
}

/// What is decoded is what policies are told: nothing has a view of its own.
#[test]
fn what_is_shown_is_what_policies_see() {
    for (file, case, kind) in [
        ("token-transfers", "the supplier gets 10 USDC", "evm_transaction"),
        ("token-permits", "checkout may take 1,000 USDC for an hour", "eip712"),
        ("solana", "1 SOL goes to the exchange, with a memo", "solana_message"),
        ("token-transfers", "text that asks for a payment pays nothing", "eip191"),
        ("one-wallet", "the notary signs a document", "message"),
        ("digests", "settlement signs a digest", "digest"),
    ] {
        let text = payload(file, case, kind);
        let source = match kind {
            "message" | "eip191" | "eip712" => "--text",
            _ => "--hex",
        };
        let config = "examples/sqlite-local.toml";
        let seen = decode(&["--kind", kind, source, &text, "--config", config]);
        let file = format!("{EXAMPLES}/cases/{file}.toml");
        let explained =
            run(&["policy", "explain", "--dir", EXAMPLES, &file, case, "--json"]).json();
        let mut context = explained["context"].as_object().unwrap().clone();
        assert!(context.remove("time").is_some() && context.remove("protection").is_some());
        let mut shown = seen["context"].as_object().unwrap().clone();
        // The cases of a file know the limits that they need.
        assert_eq!(shown.remove("within").is_some(), context.remove("within").is_some());
        assert_eq!(shown, context, "{case}");
    }
}

#[test]
fn the_other_kinds_are_shown_too() {
    // EIP-191's digest of "hello" by ethers 6.17.0, hashMessage.
    let personal = decode(&["--kind", "eip191", "--text", "hello"]);
    assert_eq!(
        personal["signed"],
        "0x50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"
    );
    assert_eq!(personal["context"]["eip191"], json!({ "length": 5, "text": "hello" }));
    let bytes = decode(&["--kind", "eip191", "--hex", "0xff"]);
    assert_eq!(bytes["context"]["eip191"], json!({ "length": 1 }));

    let message = decode(&["--kind", "message", "--text", "hello"]);
    assert_eq!(message["signed"], "0x68656c6c6f");
    assert_eq!(message["algorithms"], json!(["ed25519", "ecdsa-p256"]));
    let prefix = json!({ "length": 5, "prefix": "0x68656c6c6f" });
    assert_eq!(message["context"]["message"], prefix);

    let digest = decode(&["--kind", "digest", "--hex", &"ab".repeat(32)]);
    assert_eq!(digest["action"], "SignDigest");
    assert_eq!(digest["context"], json!({ "payload_kind": "digest" }));
    assert_eq!(digest["algorithms"], json!(["ecdsa-secp256k1", "ecdsa-p256"]));

    let base64 = payload("solana", "1 SOL goes to the exchange, with a memo", "solana_message");
    let solana = decode(&["--kind", "solana_message", "--hex", &base64]);
    let bytes = hex::encode(STANDARD.decode(&base64).unwrap());
    assert_eq!(solana["signed"], format!("0x{bytes}"));
    assert_eq!(solana["algorithms"], json!(["ed25519"]));
    assert_eq!(solana["context"]["solana"]["fully_decoded"], true);
    assert_eq!(decode(&["--kind", "solana_message", "--hex", &bytes]), solana);
}

#[test]
fn what_is_no_payload_is_refused_with_the_rule() {
    let signed =
        payload("token-transfers", "a signed transaction is not what is signed", "evm_transaction");
    let twice = payload(
        "token-permits",
        "a member that stands twice is read by some in one way, by others in another",
        "eip712",
    );
    let long = "00".repeat(65_537);
    for (arguments, expected) in [
        (
            ["--kind", "evm_transaction", "--hex", &*signed],
            "payload.evm_transaction: the transaction is signed: send it unsigned\n",
        ),
        (
            ["--kind", "eip712", "--text", &twice],
            "payload.eip712: no JSON member may stand twice in one object\n",
        ),
        (["--kind", "digest", "--hex", "00"], "payload.digest: has exactly 32 bytes\n"),
        (["--kind", "message", "--hex", ""], "payload.message: has 1 to 65536 bytes\n"),
        (["--kind", "digest", "--hex", "0x0"], "the payload is not hexadecimal\n"),
        (["--kind", "solana_message", "--hex", "&"], "the payload is not hexadecimal or base64\n"),
        (
            ["--kind", "evm_transaction", "--hex", "00"],
            "payload.evm_transaction: a transaction begins with its type, 0x01 to 0x04, or is a \
             legacy RLP list\n",
        ),
    ] {
        let done = run(&[&["payload", "decode"], &arguments[..]].concat());
        assert_eq!((done.code, &*done.out, &*done.err), (Some(1), "", expected));
    }
    let stdin = ["payload", "decode", "--kind", "message", "--file", "-"];
    let done = run_with(&stdin, long.as_bytes());
    assert_eq!((done.code, &*done.err), (Some(1), "payload.message: has 1 to 65536 bytes\n"));
    for wrong in [&["--kind", "none", "--text", "a"][..], &["--kind", "message"]] {
        let done = run(&[&["payload", "decode"], wrong].concat());
        assert_eq!(done.code, Some(2), "{wrong:?}");
    }
}
