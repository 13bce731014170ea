//! Signatures made here, over payloads that viem, ethers and web3.js made, and what
//! those libraries make of them.

use countersign::{client, key::Algorithm, payload::PayloadKind, proto};
use proto::{use_share_request::Frame, use_share_response::Frame as Answer};
use serde_json::{Value, json};

use super::{
    corpus::{self, Case},
    decoded::{bytes, hexed},
};
use crate::support::{
    enclave::{Enclave, Share, frame},
    node,
};

/// What is handed over: its kind, the payload, and who can read it.
struct Handed {
    kind: PayloadKind,
    payload: String,
    read_by: Option<Vec<String>>,
}

fn handed<V>(kind: PayloadKind, cases: Vec<Case<V>>) -> impl Iterator<Item = Handed> {
    cases.into_iter().map(move |case| Handed { kind, payload: case.payload, read_by: case.read_by })
}

/// Signs everything on one stream; every other frame as well by `Sign`, which must
/// give the same signature.
async fn sign(enclave: &Enclave, share: &Share, all: &[Handed]) -> Vec<Value> {
    let payload =
        |handed: &Handed| client::payload(handed.kind, bytes(handed.kind, &handed.payload));
    let frames = all.iter().zip(1..).map(|(handed, id)| {
        let payload = payload(handed);
        frame(Frame::Sign(proto::SignFrame { id, payload, ..Default::default() }))
    });
    let frames: Vec<_> = std::iter::once(share.open()).chain(frames).collect();
    let mut client = enclave.client().await;
    let mut answers = client.use_share(tokio_stream::iter(frames)).await.unwrap().into_inner();
    let mut lines = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(Answer::Signed(signed)) = answer.frame else { continue };
        let handed = &all[lines.len()];
        let signature = signed.signature.unwrap();
        if lines.len() % 8 == 0 {
            let mut request = share.sign_request(0);
            request.payload = payload(handed);
            let alone = enclave.client().await.sign(request).await.unwrap().into_inner();
            assert_eq!(alone.signature.as_ref(), Some(&signature), "deterministic");
            assert_eq!(alone.account_address, share.address);
        }
        let mut line = json!({
            "kind": handed.kind.as_str(),
            "payload": handed.payload,
            "signature": hexed(&signature.value),
            "address": share.address,
        });
        if let Some(recovery_id) = signature.recovery_id {
            line["recovery_id"] = recovery_id.into();
            line["v"] = signature.v.unwrap().to_string().into();
        }
        if let Some(read_by) = &handed.read_by {
            line["read_by"] = json!(read_by);
        }
        lines.push(line);
    }
    assert_eq!(lines.len(), all.len());
    lines
}

fn verify(lines: &[Value]) {
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if let Some(printed) = node::run("verify.mjs", &[], &input) {
        assert!(printed.contains(&format!("{} verified", lines.len())), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_and_ethers_accept_what_is_signed_for_ethereum() {
    let (evm, typed): (corpus::Evm, corpus::TypedData) =
        (corpus::read("evm.json"), corpus::read("typed_data.json"));
    let personal: corpus::Personal = corpus::read("personal.json");
    let all: Vec<_> = handed(PayloadKind::EvmTransaction, evm.cases)
        .chain(handed(PayloadKind::Eip712, typed.cases))
        .chain(handed(PayloadKind::Eip191, personal.cases))
        .collect();
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::EcdsaSecp256k1).await;
    let lines = sign(&enclave, &share, &all).await;
    assert!(lines.len() > 500, "{}", lines.len());
    verify(&lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn web3_accepts_what_is_signed_for_solana() {
    let solana: corpus::Solana = corpus::read("solana.json");
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let own = hex::encode(share.public_key.as_bytes());
    // Our key in the place of the fee payer's, wherever the message has it.
    let all: Vec<_> = solana
        .cases
        .into_iter()
        .map(|case| {
            let payer = hex::encode(bs58::decode(&case.view.fee_payer).into_vec().unwrap());
            assert!(case.payload.contains(&payer), "{}", case.name);
            let payload = case.payload.replace(&payer, &own);
            Handed { kind: PayloadKind::SolanaMessage, payload, read_by: None }
        })
        .collect();
    let lines = sign(&enclave, &share, &all).await;
    assert!(lines.len() > 100, "{}", lines.len());
    verify(&lines);
}
