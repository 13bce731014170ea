//! `countersign policy explain`: why, of every kind of decision.

use serde_json::{Value, json};

use super::{EXAMPLES, Written, case, run};

fn example(file: &str, name: &str) -> Value {
    let file = format!("{EXAMPLES}/cases/{file}.toml");
    run(&["policy", "explain", "--dir", EXAMPLES, &file, name, "--json"]).json()
}

fn considered<'a>(explained: &'a Value, id: &str) -> &'a Value {
    let policies = explained["considered"].as_array().unwrap();
    policies.iter().find(|policy| policy["id"] == id).unwrap()
}

#[test]
fn a_permit_is_explained() {
    let explained = example("token-transfers", "the supplier gets 10 USDC");
    assert_eq!(explained["decision"], "allow");
    assert_eq!(explained["reason"], Value::Null);
    assert_eq!(explained["policies"], json!(["payments-sends-usdc"]));
    let permit = considered(&explained, "payments-sends-usdc");
    assert_eq!(permit["effect"], "permit");
    assert_eq!(permit["verdict"], "holds");
    assert_eq!(
        permit["saw"],
        json!({
            "context.transaction.call.function": "transfer(address,uint256)",
            "context.transaction.call.recipient": "0x9060634B99Bbf1e1F324a7A1bC24d36Da7eD623A",
            "context.transaction.call.token": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            "context.transaction.chain_id": 1,
            "context.transaction.type": "eip1559",
            "context.transaction.value": "0",
            "context.within": ["gas", "usdc-10k"],
            "resource.wallet": "treasury-1",
        })
    );
    assert_eq!(
        explained["principal"],
        json!({
            "entity": "Caller::\"payments\"", "in": [],
            // The attribute, and not the entity's name.
            "attributes": { "uid": 1000 }, "tags": {},
        })
    );
    assert_eq!(explained["resource"]["in"], json!(["Environment::\"development\""]));
    assert_eq!(
        explained["resource"]["attributes"],
        json!({
            "wallet": "treasury-1", "environment": "development", "algorithm": "ecdsa-secp256k1",
            "address": "0xaF20fCE3f5e2439Cc03cE65E46eA5b321b4b952B", "binding": "derived",
        })
    );
    assert_eq!(explained["context"]["payload_kind"], "evm_transaction");
    assert_eq!(explained["context"]["time"]["weekday"], "thursday");
    assert_eq!(explained["context"]["transaction"]["call"]["amount"], "10000000");
}

#[test]
fn a_forbid_is_explained_with_its_reason() {
    let explained = example("office-hours", "a transfer that would be permitted");
    assert_eq!(
        (&explained["decision"], &explained["reason"]),
        (&json!("deny"), &json!("POLICY_DENIED"))
    );
    assert_eq!(explained["policies"], json!(["office-hours"]));
    let reason = "Shares are used Monday to Friday, 08:00 to 18:00 UTC";
    assert_eq!(explained["because"], json!([reason]));
    let forbid = considered(&explained, "office-hours");
    assert_eq!(forbid["effect"], "forbid");
    assert_eq!(forbid["verdict"], "holds");
    assert_eq!(forbid["reason"], reason);
    assert_eq!(
        forbid["saw"],
        json!({
            "context.time.hour": 12, "context.time.weekday": "saturday",
            "resource.getTag(\"hours\")": null,
        })
    );
    assert_eq!(considered(&explained, "payments-sends-usdc")["verdict"], "holds");
    let tagged = example("office-hours", "a wallet that is tagged works at any hour");
    assert_eq!(tagged["resource"]["tags"], json!({ "hours": "any" }));
    assert_eq!(considered(&tagged, "office-hours")["saw"]["resource.getTag(\"hours\")"], "any");
}

#[test]
fn groups_are_shown() {
    let explained = example("custody", "and signs nothing");
    assert_eq!(explained["principal"]["in"], json!(["Group::\"custodians\""]));
    assert_eq!(explained["policies"], json!(["custodians-do-not-sign"]));
}

#[test]
fn what_nothing_permits_says_what_was_not_there() {
    let explained = example("token-transfers", "ether is no token");
    assert_eq!((&explained["decision"], &explained["policies"]), (&json!("deny"), &json!([])));
    let permit = considered(&explained, "payments-sends-usdc");
    assert_eq!(permit["verdict"], "does_not_hold");
    assert_eq!(permit["saw"]["context.transaction.call.token"], Value::Null);
}

/// One policy that fails denies, whatever the others say.
#[test]
fn a_policy_that_cannot_be_evaluated_is_explained() {
    let policies = "
        @id(\"permits\") permit (principal, action == Action::\"UseShare\", resource);
        @id(\"overflows\") @reason(\"never reached\")
        forbid (principal, action == Action::\"UseShare\", resource)
        when { context.time.unix + 9223372036854775807 < 0 };";
    let written = Written::new(policies, &case("UseShare", "expect = \"deny\""));
    written.run("test", &[]).ok();
    let explained = written.run("explain", &["it", "--json"]).json();
    assert_eq!(explained["reason"], "POLICY_FAILED");
    assert_eq!(explained["policies"], json!(["overflows"]));
    let failing = considered(&explained, "overflows");
    assert_eq!(failing["verdict"], "fails");
    assert!(failing["error"].as_str().unwrap().contains("integer overflow"), "{failing}");
    assert_eq!(considered(&explained, "permits")["verdict"], "holds");
    let told = written.run("explain", &["it"]).ok();
    assert!(
        told.contains("decision  deny: overflows cannot be evaluated: never reached\n"),
        "{told}"
    );
    assert!(told.contains("answer    POLICY_FAILED\n"), "{told}");
    assert!(told.contains("forbid overflows: cannot be evaluated, which denies: "), "{told}");
}

/// A policy for any action holds, and does not cover a bare digest.
#[test]
fn a_digest_that_no_policy_names_is_explained() {
    let policies = "@id(\"all\") permit (principal, action, resource);";
    let digest = "00".repeat(32);
    let denied = format!("expect = \"deny\"\npolicies = []\n[case.payload]\ndigest = \"{digest}\"");
    let written = Written::new(policies, &case("SignDigest", &denied));
    written.run("test", &[]).ok();
    let explained = written.run("explain", &["it", "--json"]).json();
    assert_eq!(considered(&explained, "all")["verdict"], "does_not_cover");
    let told = written.run("explain", &["it"]).ok();
    assert!(
        told.contains("does not cover a bare digest: its scope does not name SignDigest"),
        "{told}"
    );
}

/// What policy is not asked about, and what it is asked about and does not go with the
/// algorithm.
#[test]
fn what_is_refused_is_explained() {
    let undecodable = example("token-transfers", "a signed transaction is not what is signed");
    assert_eq!(undecodable["decision"], "refuse");
    assert_eq!(undecodable["reason"], "INVALID_REQUEST");
    let rule = undecodable["rule"].as_str().unwrap();
    assert!(rule.starts_with("payload.evm_transaction: the transaction is signed"), "{rule}");
    assert_eq!((&undecodable["considered"], &undecodable["context"]), (&json!([]), &Value::Null));

    let unfit = example("contracts", "Ed25519 signs no transaction");
    assert_eq!((&unfit["decision"], &unfit["reason"]), (&json!("refuse"), &json!("PAYLOAD_UNFIT")));
    assert_eq!(unfit["rule"], "payload: only ECDSA secp256k1 signs for Ethereum");
    assert_eq!(considered(&unfit, "trading-wraps-and-stakes")["verdict"], "holds");
}

/// The same for people: every attribute under the name that policies use.
#[test]
fn everything_is_told_to_people() {
    let file = format!("{EXAMPLES}/cases/token-permits.toml");
    let name = "nobody else may take any";
    let told = run(&["policy", "explain", "--dir", EXAMPLES, &file, name]).ok();
    for line in [
        "case      nobody else may take any",
        "asked     Sign by payments, 2026-11-26T09:30:00Z",
        "decision  deny: no policy permits",
        "answer    POLICY_DENIED",
        "  permit payments-permits-checkout: does not hold",
        "principal.entity          \"Caller::\\\"payments\\\"\"",
        "context.payload_kind  \"eip712\"",
        "context.typed_data.fields.getTag(\"spender\")  \
         \"0x2385bb51aA69bAF8Ba5f609c98660963cC29f424\"",
    ] {
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.lines().any(|told| squeezed(told) == squeezed(line)), "{line}\n{told}");
    }
}

#[test]
fn a_case_that_is_not_there_is_told_with_those_that_are() {
    let file = format!("{EXAMPLES}/cases/digests.toml");
    let done = run(&["policy", "explain", "--dir", EXAMPLES, &file, "none"]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.err.starts_with(&format!("{file} has no case \"none\"; it has\n")),
        "{}",
        done.err
    );
    assert!(done.err.contains("\n  a digest has 32 bytes\n"), "{}", done.err);
}
