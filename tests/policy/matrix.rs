//! Callers × shares × payloads × times × sets of policies, and what each must come to.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, U256};
use countersign::{
    caller::Caller,
    key::Algorithm,
    payload::{
        Payload,
        evm::{EvmTransaction, Fees, TokenCall, TransactionKind},
    },
    policy::{
        DeniedReason, Facts, GetPublicKey, Policy, ShareSubject, Sign, Tags, UseShare,
        amount::{AmountLimit, Unit},
    },
};

use super::{caller, share};

pub const TOKEN: Address = Address::repeat_byte(0x11);
pub const LIMIT: u64 = 1_000;

/// A rule that can be in a set: as Cedar, and as what it means.
pub struct Rule {
    pub cedar: &'static str,
    forbids: bool,
    names_digest: bool,
    holds: fn(&Case<'_>) -> Holds,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Holds {
    Yes,
    No,
    Fails,
}

pub struct Case<'a> {
    pub caller: &'a Arc<Caller>,
    pub share: &'a ShareSubject,
    pub action: Action,
    pub payload: &'a Payload,
    pub time: SystemTime,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Sign,
    SignDigest,
    UseShare,
    GetPublicKey,
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Case<'_> {
    fn wallet(&self) -> &str {
        self.share.identity.wallet.as_str()
    }

    fn is_in(&self, group: &str) -> bool {
        self.caller.groups.iter().any(|own| **own == *group)
    }

    fn transaction(&self) -> Option<&EvmTransaction> {
        match self.payload {
            Payload::EvmTransaction(transaction) if self.action == Action::Sign => {
                Some(transaction)
            }
            _ => None,
        }
    }

    fn hour(&self) -> u64 {
        self.time.duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 % 24
    }

    /// What was `within` before it was a name: the amount of a transfer of the token.
    fn is_small(&self) -> bool {
        self.transaction().is_some_and(|transaction| {
            transaction.chain_id == 1
                && transaction.to == Some(TOKEN)
                && transaction.call.as_ref().is_some_and(|call| {
                    call.amount.is_some_and(|amount| amount <= U256::from(LIMIT))
                })
        })
    }
}

const RULES: &[Rule] = &[
    Rule {
        cedar: r#"permit (principal == Caller::"app", action, resource is Share)
                  when { resource.wallet == "w1" };"#,
        forbids: false,
        names_digest: false,
        holds: |case| (&*case.caller.name == "app" && case.wallet() == "w1").into(),
    },
    Rule {
        cedar: r#"permit (principal in Group::"signers", action == Action::"Sign", resource)
                  when { context has transaction && context.transaction.chain_id == 1 &&
                         context.within.contains("small") };"#,
        forbids: false,
        names_digest: false,
        holds: |case| {
            (case.action == Action::Sign && case.is_in("signers") && case.is_small()).into()
        },
    },
    Rule {
        cedar: r#"permit (principal, action in [Action::"SignDigest", Action::"UseShare"], resource)
                  when { resource.algorithm == "ecdsa-secp256k1" };"#,
        forbids: false,
        names_digest: true,
        holds: |case| {
            (matches!(case.action, Action::SignDigest | Action::UseShare)
                && case.share.identity.algorithm == Algorithm::EcdsaSecp256k1)
                .into()
        },
    },
    Rule {
        cedar: r#"permit (principal is Caller, action == Action::"GetPublicKey", resource in
                  Environment::"test");"#,
        forbids: false,
        names_digest: false,
        holds: |case| (case.action == Action::GetPublicKey).into(),
    },
    Rule {
        cedar: r#"permit (principal, action == Action::"Sign", resource)
                  when { resource.hasTag("tier") && resource.getTag("tier") == "hot" };"#,
        forbids: false,
        names_digest: false,
        holds: |case| (case.action == Action::Sign && case.wallet() == "w2").into(),
    },
    Rule {
        cedar: r#"forbid (principal, action, resource)
                  unless { context.time.hour >= 8 && context.time.hour < 18 };"#,
        forbids: true,
        names_digest: false,
        holds: |case| (!(8..18).contains(&case.hour())).into(),
    },
    Rule {
        cedar: r#"forbid (principal in Group::"guests", action in [Action::"Sign", Action::"SignDigest"],
                  resource);"#,
        forbids: true,
        names_digest: false,
        holds: |case| {
            (matches!(case.action, Action::Sign | Action::SignDigest) && case.is_in("guests"))
                .into()
        },
    },
    Rule {
        cedar: r#"forbid (principal, action == Action::"Sign", resource)
                  when { context has transaction && context.transaction.creates };"#,
        forbids: true,
        names_digest: false,
        holds: |case| case.transaction().is_some_and(|tx| tx.to.is_none()).into(),
    },
    Rule {
        // Overflows for a nonce that is not 0: which must deny, not be passed over.
        cedar: r#"forbid (principal, action == Action::"Sign", resource)
                  when { context has transaction &&
                         context.transaction.nonce * 9223372036854775807 * 2 < 0 };"#,
        forbids: true,
        names_digest: false,
        holds: |case| match case.transaction() {
            Some(transaction) if transaction.nonce > 0 => Holds::Fails,
            _ => Holds::No,
        },
    },
    Rule {
        cedar: r#"permit (principal, action == Action::"Sign", resource)
                  when { context.payload_kind == "message" && context has message &&
                         context.message.length < 8 };"#,
        forbids: false,
        names_digest: false,
        holds: |case| {
            let short = matches!(case.payload, Payload::Message(message) if message.len() < 8);
            (case.action == Action::Sign && short).into()
        },
    },
];

/// The rules of a set, which is the bits of a number.
pub fn rules(set: u32) -> Vec<&'static Rule> {
    let rules = RULES.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
    rules.map(|(_, rule)| rule).collect()
}

/// They as policies.
pub fn source(rules: &[&Rule]) -> String {
    let numbered = rules.iter().enumerate();
    numbered.map(|(number, rule)| format!("@id(\"rule-{number}\")\n{}\n", rule.cedar)).collect()
}

/// What must come of a case; the rules alone decide.
pub fn expected(rules: &[&Rule], case: &Case<'_>) -> Result<(), DeniedReason> {
    let holds: Vec<_> = rules.iter().map(|rule| (rule, (rule.holds)(case))).collect();
    if holds.iter().any(|(_, holds)| *holds == Holds::Fails) {
        return Err(DeniedReason::Evaluation);
    }
    let any = |forbids: bool| {
        holds.iter().any(|(rule, holds)| {
            let covers = case.action != Action::SignDigest || rule.names_digest || rule.forbids;
            rule.forbids == forbids && *holds == Holds::Yes && covers
        })
    };
    if any(false) && !any(true) { Ok(()) } else { Err(DeniedReason::NotPermitted) }
}

fn decided(policy: &Policy, case: &Case<'_>) -> Result<(), DeniedReason> {
    let (time, caller, share) = (case.time, case.caller, Arc::clone(case.share));
    let outcome = match case.action {
        Action::Sign | Action::SignDigest => {
            let action = Sign { payload: case.payload.clone() };
            policy.authorize_at(time, caller, share, action).map(|_| ())
        }
        Action::UseShare => policy.authorize_at(time, caller, share, UseShare).map(|_| ()),
        Action::GetPublicKey => policy.authorize_at(time, caller, share, GetPublicKey).map(|_| ()),
    };
    outcome.map_err(|denied| denied.reason)
}

fn transaction(to: Option<Address>, chain_id: u64, nonce: u64, amount: Option<u64>) -> Payload {
    let call = amount.map(|amount| TokenCall {
        function: "transfer(address,uint256)",
        sender: None,
        recipient: Some(Address::repeat_byte(0x22)),
        spender: None,
        amount: Some(U256::from(amount)),
        approved: None,
    });
    Payload::EvmTransaction(Box::new(EvmTransaction {
        digest: [1; 32],
        kind: TransactionKind::DynamicFee,
        chain_id,
        nonce,
        gas_limit: 21_000,
        fees: Fees {
            max_fee_per_gas: 1,
            max_priority_fee_per_gas: Some(1),
            max_fee_per_blob_gas: None,
        },
        to,
        value: U256::ZERO,
        data_length: 68,
        selector: call.as_ref().map(|_| [0xa9, 0x05, 0x9c, 0xbb]),
        call,
        access_list: Vec::new(),
        authorizations: Vec::new(),
        blobs: 0,
    }))
}

pub fn facts() -> Facts {
    let unit = Unit::Token { chain_id: 1, token: TOKEN };
    let limit = AmountLimit { name: "small".into(), unit, at_most: U256::from(LIMIT) };
    let hot = BTreeMap::from([("tier".to_owned(), "hot".to_owned())]);
    let wallets = BTreeMap::from([("w2".parse().unwrap(), hot)]);
    Facts {
        limits: [limit].into_iter().collect(),
        tags: Tags { wallets, ..Tags::default() },
        ..Facts::default()
    }
}

#[test]
fn every_decision_is_what_the_rules_say() {
    let callers = [
        caller("app", &[]),
        caller("app", &["guests"]),
        caller("signer", &["signers"]),
        caller("both", &["signers", "guests"]),
        caller("nobody", &[]),
    ];
    let shares: Vec<_> = ["w1", "w2", "w3"]
        .into_iter()
        .flat_map(|wallet| Algorithm::ALL.map(|algorithm| share(wallet, algorithm)))
        .collect();
    let payloads = [
        Payload::Message(b"short".as_slice().into()),
        Payload::Message(b"a longer message".as_slice().into()),
        transaction(Some(TOKEN), 1, 0, Some(LIMIT)),
        transaction(Some(TOKEN), 1, 0, Some(LIMIT + 1)),
        transaction(Some(TOKEN), 10, 0, Some(1)),
        transaction(Some(TOKEN), 1, 0, None),
        transaction(Some(TOKEN), 1, 7, Some(1)),
        transaction(None, 1, 0, None),
        Payload::Digest([2; 32]),
    ];
    let times = [3, 8, 17, 18].map(|hour| UNIX_EPOCH + Duration::from_secs(hour * 3600));
    let (mut cases, mut permitted, mut failed) = (0_u32, 0_u32, 0_u32);
    // Each rule alone, all, and a spread.
    let sets = (0..10).map(|bit| 1 << bit).chain([1023, 31, 0b11_0001_1111, 0b10_1010_1010, 607]);
    for set in sets {
        let rules = rules(set);
        let source = source(&rules);
        let policy = Policy::parse([("matrix.cedar", &*source)]).unwrap().with(facts());
        for caller in &callers {
            for share in &shares {
                for payload in &payloads {
                    for time in times {
                        let signs = match payload {
                            Payload::Digest(_) => Action::SignDigest,
                            _ => Action::Sign,
                        };
                        for action in [signs, Action::UseShare, Action::GetPublicKey] {
                            let case = Case { caller, share, action, payload, time };
                            let expected = expected(&rules, &case);
                            let found = decided(&policy, &case);
                            assert_eq!(
                                found,
                                expected,
                                "set {set:b}, {} on {:?}: {action:?} {payload:?} at {}",
                                caller.name,
                                share.identity,
                                case.hour()
                            );
                            cases += 1;
                            permitted += u32::from(found.is_ok());
                            failed += u32::from(found == Err(DeniedReason::Evaluation));
                        }
                    }
                }
            }
        }
    }
    assert!(cases > 50_000, "{cases}");
    assert!(permitted > 5_000 && cases - permitted > 5_000, "{permitted} of {cases}");
    assert!(failed > 500, "{failed}");
}
