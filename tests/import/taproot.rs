//! The address of a Schnorr share is the output that it spends: Bitcoin's own keys come in
//! by their addresses, and libraries that are not ours take what they sign for them.

use countersign::{
    import::{self, Declared},
    key::{Algorithm, PublicKey},
    proto,
};
use serde_json::{Value, json};
use tonic::Code;
use zeroize::Zeroizing;

use super::{Foreign, statement};
use crate::{
    refusals::refused,
    support::{
        enclave::{Enclave, Share},
        node,
        refused::{assert_invalid, assert_refused},
    },
};

const ALGORITHM: Algorithm = Algorithm::SchnorrSecp256k1;

/// A row of `tests/vectors/payloads/bip341.csv`.
struct Output {
    key: PublicKey,
    address: &'static str,
    secret: Vec<u8>,
    hash: Vec<u8>,
}

fn outputs() -> Vec<Output> {
    let rows = include_str!("../vectors/payloads/bip341.csv").lines().skip(1);
    let output = |row: &'static str| {
        let fields: Vec<_> = row.split(',').collect();
        let bytes = |place: usize| hex::decode(fields[place]).unwrap();
        let key = PublicKey::parse(ALGORITHM, &bytes(0)).unwrap();
        Output { key, address: fields[1], secret: bytes(2), hash: bytes(3) }
    };
    rows.map(output).collect()
}

/// Declared by its address alone, as whoever has funds there knows it.
async fn request(enclave: &Enclave, foreign: &Foreign, address: &str) -> proto::ImportShareRequest {
    let statement = statement(enclave).await;
    let declared = Declared::new(ALGORITHM, None, Some(address.parse().unwrap())).unwrap();
    let secret = Zeroizing::new(foreign.secret.clone());
    let sealed = import::seal(secret, &foreign.new, &declared, &statement).unwrap();
    proto::ImportShareRequest {
        public_key: Default::default(),
        account_address: address.to_owned(),
        sealed_share: sealed.as_bytes().to_vec().into(),
        ..foreign.request(&statement)
    }
}

fn foreign(output: &Output) -> Foreign {
    let secret = output.secret.clone();
    Foreign { secret, public_key: output.key, ..Foreign::new(ALGORITHM) }
}

/// What was signed, for `verify.mjs`.
async fn signed(enclave: &Enclave, share: &Share, hash: &[u8]) -> Value {
    let kind = proto::payload::Kind::Message(hash.to_vec().into());
    let mut request = share.sign_request(1);
    request.payload = Some(proto::Payload { kind: Some(kind) });
    request.expected_address = share.address.clone();
    let answer = enclave.client().await.sign(request).await.unwrap().into_inner();
    assert_eq!(answer.account_address, share.address);
    let hexed = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    json!({
        "kind": "taproot",
        "payload": hexed(hash),
        "signature": hexed(&answer.signature.unwrap().value),
        "address": share.address,
    })
}

/// The outputs of BIP-341, each spent by the key that came in for its address; and as many
/// shares that are made here.
#[tokio::test(flavor = "multi_thread")]
async fn a_schnorr_share_spends_from_its_address() {
    let enclave = Enclave::start().await;
    let mut lines = Vec::new();
    for output in outputs() {
        let foreign = foreign(&output);
        let request = request(&enclave, &foreign, output.address).await;
        let imported = enclave.custody().await.import_share(request).await.unwrap();
        let key = imported.into_inner().share.unwrap().public_key.unwrap();
        assert_eq!(&*key.key, output.key.as_bytes());
        assert_eq!(key.account_address, output.address);
        let share = Share {
            id: key.share_id,
            wallet: key.wallet_id,
            algorithm: ALGORITHM,
            public_key: output.key,
            address: key.account_address,
        };
        // BIP-350's row has no transaction.
        let hash = if output.hash.is_empty() { vec![0x42; 32] } else { output.hash };
        lines.push(signed(&enclave, &share, &hash).await);
        let made = enclave.share(ALGORITHM).await;
        assert!(made.address.starts_with("bc1p") && made.address.len() == 62, "{}", made.address);
        lines.push(signed(&enclave, &made, &hash).await);
    }
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if let Some(printed) = node::run("verify.mjs", &[], &input) {
        assert!(printed.contains("16 verified"), "{printed}");
    }
}

/// Another key's address, a key that a wallet has yet to tweak, another network's spelling.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_spend_from_an_address_is_refused() {
    let enclave = Enclave::start().await;
    let outputs = outputs();
    // BIP-341's internal private key of the second row, whose output it does not spend.
    let internal = "6b973d88838f27366ed61c9ad6367663045cb456e28335c109e30717ae0c6baa";
    for secret in [outputs[2].secret.clone(), hex::decode(internal).unwrap()] {
        let foreign = Foreign { secret, ..foreign(&outputs[1]) };
        let request = request(&enclave, &foreign, outputs[1].address).await;
        let mut custody = enclave.custody().await;
        let status = refused(&enclave, custody.import_share(request)).await;
        assert_refused(&status, Code::InvalidArgument, "IMPORT_MISMATCH");
    }
    for address in [
        outputs[1].address.to_uppercase(),
        outputs[2].address.to_owned(),
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c".to_owned(),
    ] {
        let foreign = foreign(&outputs[1]);
        let statement = statement(&enclave).await;
        let request =
            proto::ImportShareRequest { account_address: address, ..foreign.request(&statement) };
        let mut custody = enclave.custody().await;
        let status = refused(&enclave, custody.import_share(request)).await;
        assert_invalid(&status, "account_address");
    }
}
