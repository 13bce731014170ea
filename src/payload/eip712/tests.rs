//! Typed data from outside, and what each rule is for.

mod bounds;
mod definitions;
mod documents;
mod known;
mod properties;
mod refusals;
mod values;

use super::{TypedData, Undecodable};

/// The example of the EIP (`assets/eip-712/Example.js` there).
const MAIL: &str = r#"{
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"}
        ],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"}
        ]
    },
    "primaryType": "Mail",
    "domain": {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
    },
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!"
    }
}"#;

fn decode(json: &str) -> Result<TypedData, Undecodable> {
    TypedData::decode(json.as_bytes())
}

/// Typed data whose message is a `T`, which has the one member `x`.
fn one(kind: &str, value: &str) -> String {
    struct_with(&format!(r#"{{"name":"x","type":"{kind}"}}"#), &format!(r#"{{"x":{value}}}"#))
}

fn struct_with(members: &str, message: &str) -> String {
    typed(&format!(r#"{{"EIP712Domain":[],"T":[{members}]}}"#), "{}", message)
}

fn typed(types: &str, domain: &str, message: &str) -> String {
    format!(r#"{{"types":{types},"primaryType":"T","domain":{domain},"message":{message}}}"#)
}

#[track_caller]
fn refused(json: &str, rule: &str) {
    match decode(json) {
        Ok(decoded) => panic!("taken, and not refused for {rule:?}: {json}\n{decoded:?}"),
        Err(Undecodable(refusal)) => assert!(refusal.contains(rule), "{refusal}: {json}"),
    }
}

/// The example of the EIP with one change.
#[track_caller]
fn changed(from: &str, to: &str, rule: &str) {
    let json = MAIL.replacen(from, to, 1);
    assert_ne!(json, MAIL, "{from}");
    refused(&json, rule);
}
