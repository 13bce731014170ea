//! Policies and cases with problems: all of them at once, each with its place.

use std::fs;

use super::{Written, case, run};

const GOOD: &str = "@id(\"a\") permit (principal, action == Action::\"UseShare\", resource);";

#[test]
fn every_problem_of_policies_and_cases_is_reported_at_once() {
    let policies = r#"@id("typo")
permit (principal, action == Action::"Sign", resource)
when { resource.walet == "w" };

permit (principal, action == Action::"Sgn", resource);

@id("typo")
@reason("")
permit (principal, action == Action::"Sign", resource)
when
{
  context.transaction.to == "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"
};
"#;
    let cases = r#"environment = "test"
[[caller]]
name = "app"
uid = 1

[[case]]
name = "one"
expect = "alow"
caller = "ap"
action = "Signn"
walet = "w"
algorithm = "ed25519"
time = "2026-11-26"

[[case]]
name = "two"
expect = "allow"
policies = "a"
caller = "app"
action = "Sign"
wallet = "w"
algorithm = "rsa"
[case.payload]
message = "a"
digest = "0g"

[[case]]
name = "two"
expect = "deny"
caller = "app"
action = "ListShares"
"#;
    let written = Written::new(policies, cases);
    fs::write(written.path("b.cedar"), "@id(\"b\")\npermit (principal, action, resource\n;")
        .unwrap();
    let done = written.run("test", &[]);
    assert_eq!((done.code, &*done.out), (Some(78), ""));
    let (a, b, cases) =
        (written.path("a.cedar"), written.path("b.cedar"), written.path("cases.toml"));
    let expected = [
        format!("{cases}:6: `case.wallet` is missing: the wallet of the share"),
        format!("{cases}:8: `case.expect` must be \"allow\" or \"deny\" or \"refuse\""),
        format!("{cases}:9: `case.caller` must be the name of a [[caller]]: \"app\""),
        format!(
            "{cases}:10: `case.action` must be \"Sign\" or \"SignDigest\" or \"UseShare\" or \
             \"GetPublicKey\" or \"GenerateShare\" or \"GetImportKey\" or \"ImportShare\" or \
             \"ListShares\" or \"GetShare\" or \"DisableShare\" or \"EnableShare\" or \
             \"ScheduleDestruction\" or \"DestroyShare\" or \"ReencryptShare\""
        ),
        format!("{cases}:11: unknown key `walet` in [case]; did you mean `wallet`?"),
        format!(
            "{cases}:13: `case.time` must be a moment in quotes, UTC, such as \
             \"2026-11-26T09:30:00Z\""
        ),
        format!(
            "{cases}:18: `case.policies` must be ids of policies in a list, such as \
             [\"office-hours\"]"
        ),
        format!(
            "{cases}:22: `case.algorithm` is malformed: an algorithm is ed25519, \
             ecdsa-secp256k1, ecdsa-p256 or schnorr-secp256k1"
        ),
        format!("{cases}:25: `case.payload.digest` must be hexadecimal in quotes"),
        format!("{cases}:27: there is another case with the name \"two\""),
        format!(
            "{a}:7, policy typo: compares with \"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\", \
             which never matches: write \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\""
        ),
        format!("{a}:7, policy typo: has an empty @reason: say why, or leave it out"),
        format!("{a}:7, policy typo: has an @id that is taken: make it unique"),
        format!("{a}:5: has no @id(\"…\"): name every policy"),
        format!("{b}:3: is not Cedar: unexpected token `;`"),
        format!(
            "{a}:3, policy typo: attribute `walet` on entity type `Share` not found: did you mean \
             `wallet`?"
        ),
    ];
    for expected in &expected {
        assert!(done.lines().contains(&&**expected), "{expected}\n{}", done.err);
    }
    for (place, problem) in [
        (format!("{a}:5: "), "unrecognized action `Action::\"Sgn\"`: did you mean"),
        (format!("{a}:12, policy typo: "), "optional attribute `transaction.to`"),
        (format!("{a}:12, policy typo: "), "optional attribute `transaction` "),
    ] {
        let found = |line: &&&str| line.starts_with(&place) && line.contains(problem);
        assert_eq!(done.lines().iter().filter(found).count(), 1, "{problem}\n{}", done.err);
    }
    assert_eq!(done.lines().len(), expected.len() + 3, "{}", done.err);
}

/// Each mistake in a case, and what is said about it.
#[test]
fn each_mistake_says_what_to_write() {
    let payload = |payload: &str| format!("expect = \"allow\"\n[case.payload]\n{payload}");
    let plain = "expect = \"allow\"".to_owned();
    let cases = [
        ("Sign", plain.clone(), "5: there is something to sign: write its [case.payload]"),
        (
            "UseShare",
            payload("message = \"m\""),
            "13: only \"Sign\" and \"SignDigest\" have a payload",
        ),
        (
            "Sign",
            payload("message = \"m\"\neip191 = \"m\""),
            "13: a payload has exactly one of message, message_hex, digest, eip191, eip191_hex, \
             eip712, evm_transaction, solana_message",
        ),
        (
            "Sign",
            payload(""),
            "13: a payload has exactly one of message, message_hex, digest, eip191, eip191_hex, \
             eip712, evm_transaction, solana_message",
        ),
        ("Sign", payload("digest = \"00\""), "5: a digest is signed by the action \"SignDigest\""),
        (
            "SignDigest",
            payload("message = \"m\""),
            "5: \"SignDigest\" signs a digest; this is signed by the action \"Sign\"",
        ),
        (
            "Sign",
            payload("solana_message = \"a b\""),
            "14: `case.payload.solana_message` must be hexadecimal or base64 in quotes",
        ),
        (
            "Sign",
            payload("transaction = \"00\"\nmessage = \"m\""),
            "14: unknown key `transaction` in [case.payload]; known here: message, message_hex, \
             digest, eip191, eip191_hex, eip712, evm_transaction, solana_message",
        ),
        (
            "UseShare",
            "expect = \"refuse\"".to_owned(),
            "5: only a payload is refused: policy allows or denies the rest",
        ),
        (
            "Sign",
            payload("message = \"m\"").replace("allow\"", "refuse\"\npolicies = []"),
            "5: what is refused is decided by no policy: leave `policies` out",
        ),
        (
            "UseShare",
            format!("{plain}\naddress = \"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\""),
            "5: `case.address` is an address as EIP-55 writes it, 0x and 40 digits",
        ),
        (
            "GenerateShare",
            format!("{plain}\naddress = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\""),
            "5: a share that is to be made has no address yet: leave `address` out",
        ),
        (
            "ListShares",
            plain.clone(),
            "5: \"ListShares\" is done to the environment: leave out wallet, algorithm, address, share",
        ),
        (
            "UseShare",
            format!("{plain}\nprotection = \"none\""),
            "13: `case.protection` must be \"memfd_secret\" or \"mlock\"",
        ),
    ];
    for (action, more, expected) in cases {
        let written = Written::new(GOOD, &case(action, &more));
        let done = written.run("test", &[]);
        assert_eq!(done.code, Some(78), "{more}: {}", done.out);
        let expected = format!("{}:{expected}", written.path("cases.toml"));
        assert_eq!(done.lines(), [&*expected], "{more}");
    }
}

#[test]
fn files_that_cannot_be_read_are_problems_too() {
    let written = Written::new(GOOD, &case("UseShare", "expect = \"allow\""));
    let (dir, none) = (written.path(""), written.path("none.toml"));
    let done = run(&[
        "policy",
        "test",
        "--dir",
        &written.path("none"),
        &none,
        &written.path("cases.toml"),
    ]);
    assert_eq!(done.code, Some(78));
    assert!(done.lines()[0].starts_with(&format!("{none}:1: cannot be read: ")), "{}", done.err);
    assert!(done.lines()[1].starts_with(&written.path("none: cannot be read: ")), "{}", done.err);
    assert_eq!(done.lines().len(), 2, "{}", done.err);
    let usage = run(&["policy", "test", "--dir", &dir]);
    assert_eq!(usage.code, Some(2), "no cases are no success");
}
