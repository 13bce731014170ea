//! `countersign sign` with the kinds that have chains, against a running enclave. What
//! `payload decode` says is signed is what the signature is of.

use std::fs;

use countersign::key::{AccountAddress, Algorithm, PublicKey};
use ring::signature::{ED25519, UnparsedPublicKey};
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use serde_json::Value;

use super::{decode::payload, run};
use crate::support::enclave::{Enclave, Share};

fn sign(enclave: &Enclave, share: &Share, payload: [&str; 2]) -> Value {
    let socket = enclave.socket().display().to_string();
    let share = ["--share-id", &share.id, "--wallet-id", &share.wallet];
    run(&[&["sign", "--json", "--socket", &socket], &share[..], &payload].concat()).json()
}

fn signed(kind: &str, source: [&str; 2]) -> Vec<u8> {
    let seen = run(&[&["payload", "decode", "--json", "--kind", kind], &source[..]].concat());
    hex::decode(seen.json()["signed"].as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_of_what_decode_shows() {
    let mut enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::EcdsaSecp256k1).await;
    let transaction = payload("token-transfers", "the supplier gets 10 USDC", "evm_transaction");
    let legacy = payload("token-transfers", "legacy transactions are not used", "evm_transaction");
    let typed = payload("token-permits", "checkout may take 1,000 USDC for an hour", "eip712");
    let file = enclave.dir.path().join("typed.json").display().to_string();
    fs::write(&file, &typed).unwrap();
    for (kind, source, flag, v) in [
        ("eip191", ["--text", "hello"], ["--eip191", "hello"], 27),
        ("eip712", ["--text", &typed], ["--eip712-file", &file], 27),
        ("evm_transaction", ["--hex", &transaction], ["--evm-transaction", &transaction], 0),
        // EIP-155 on chain 1.
        ("evm_transaction", ["--hex", &legacy], ["--evm-transaction", &legacy], 37),
    ] {
        let answer = sign(&enclave, &share, flag);
        let parity = answer["recovery_id"].as_u64().unwrap();
        assert_eq!(answer["v"].as_u64().unwrap(), v + parity, "{kind}");
        assert_eq!(answer["account_address"], share.address);
        let digest = signed(kind, source).try_into().unwrap();
        let signature = hex::decode(answer["signature"].as_str().unwrap()).unwrap();
        let recovery = RecoveryId::from_u8_masked(parity as u8);
        let signature = RecoverableSignature::from_compact(&signature, recovery).unwrap();
        let signer = signature.recover(Message::from_digest(digest)).unwrap().serialize();
        let signer = PublicKey::parse(Algorithm::EcdsaSecp256k1, &signer).unwrap();
        assert_eq!(AccountAddress::of(&signer).unwrap().as_str(), share.address, "{kind}");
    }

    let share = enclave.share(Algorithm::Ed25519).await;
    let message = payload("solana", "1 SOL goes to the exchange, with a memo", "solana_message");
    let bytes = signed("solana_message", ["--hex", &message]);
    for written in [&message, &hex::encode(&bytes)] {
        let answer = sign(&enclave, &share, ["--solana-message", written]);
        assert_eq!(answer["v"], Value::Null);
        assert_eq!(answer["account_address"], share.address);
        let signature = hex::decode(answer["signature"].as_str().unwrap()).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, share.public_key.as_bytes());
        key.verify(&bytes, &signature).unwrap();
    }

    for (flag, expected) in [
        (["--evm-transaction", "0x0"], "--evm-transaction is not hexadecimal\n"),
        (["--digest", "0x0"], "--digest is not hexadecimal\n"),
        (["--solana-message", "&"], "--solana-message is not hexadecimal or base64\n"),
    ] {
        let needed = ["sign", "--socket", "none", "--share-id", "s", "--wallet-id", "w"];
        let done = run(&[&needed[..], &flag].concat());
        assert_eq!((done.code, &*done.err), (Some(1), expected));
    }
    enclave.stop().await;
}
