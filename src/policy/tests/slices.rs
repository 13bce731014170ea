//! Slices: the policies in scope decide what the whole set would, whatever scopes,
//! conditions and requests are.

use std::{
    collections::BTreeSet,
    fmt::Write,
    time::{Duration, SystemTime},
};

use cedar_policy::{Decision, PolicySet, Response};

use super::cast::{caller, share, share_id};
use crate::{
    key::Algorithm,
    payload::Payload,
    policy::{ActionName, NewShare, Policy, Question},
};

const SETS: usize = 300;
const REQUESTS: usize = 10;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn principal(&mut self) -> String {
        let (caller, group) = (self.below(3), self.below(3));
        self.one(&[
            "principal".to_owned(),
            format!("principal == Caller::\"c{caller}\""),
            format!("principal in Group::\"g{group}\""),
            format!("principal in Caller::\"c{caller}\""),
            "principal is Caller".to_owned(),
            "principal is Group".to_owned(),
            format!("principal is Caller in Group::\"g{group}\""),
        ])
    }

    fn action(&mut self) -> String {
        let [one, other] = [(); 2].map(|()| self.one(&ActionName::ALL).as_str());
        self.one(&[
            "action".to_owned(),
            format!("action == Action::\"{one}\""),
            format!("action in Action::\"{one}\""),
            format!("action in [Action::\"{one}\", Action::\"{other}\"]"),
            "action in []".to_owned(),
        ])
    }

    fn resource(&mut self) -> String {
        let (share, environment) = (share_id(self.below(3) as u8), self.below(2));
        self.one(&[
            "resource".to_owned(),
            format!("resource == Share::\"{share}\""),
            format!("resource == Environment::\"e{environment}\""),
            format!("resource in Environment::\"e{environment}\""),
            format!("resource in Share::\"{share}\""),
            "resource is Share".to_owned(),
            "resource is Environment".to_owned(),
            format!("resource is Share in Environment::\"e{environment}\""),
        ])
    }

    /// Some hold, some do not, some fail on some requests or on all.
    fn condition(&mut self) -> &'static str {
        self.one(&[
            "",
            "",
            "when { principal in Group::\"g2\" }",
            "when { resource.wallet == \"w0\" }",
            "unless { resource has address }",
            "when { context.time.unix + 9223372036854775807 > 0 }",
            "when { context.within.contains(\"small\") }",
            "when { context has message && context.message.length > 3 }",
            "when { false }",
            "when { resource in Environment::\"e0\" }",
        ])
    }

    fn policies(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(12) {
            let effect = self.one(&["permit", "permit", "forbid"]);
            let (principal, action) = (self.principal(), self.action());
            let (resource, condition) = (self.resource(), self.condition());
            writeln!(text, "{effect} ({principal}, {action}, {resource}) {condition};").unwrap();
        }
        text
    }

    fn question<'p>(&mut self, policy: &'p Policy) -> Question<'p> {
        let groups = ["g0", "g1", "g2"].into_iter().filter(|_| self.below(2) == 0);
        let groups: Vec<_> = groups.collect();
        let caller = caller(self.one(&["c0", "c1", "c2"]), &groups);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.below(2) as u64);
        let environment = self.one(&["e0", "e1"]);
        let wallet = self.one(&["w0", "w1"]);
        let share = share(self.below(3) as u8, environment, wallet);
        let action = self.one(&ActionName::ALL);
        let payload = match action {
            ActionName::Sign => Some(Payload::Message(vec![1; 1 + self.below(6)].into())),
            ActionName::SignDigest => Some(Payload::Digest([1; 32])),
            _ => None,
        };
        let payload = payload.as_ref();
        let question = match action {
            ActionName::ListShares | ActionName::GetImportKey => {
                policy.ask(time, &caller, &share.identity.environment, action, payload)
            }
            ActionName::GenerateShare | ActionName::ImportShare => {
                let new = NewShare {
                    environment: share.identity.environment.clone(),
                    wallet: share.identity.wallet.clone(),
                    share: share.identity.share,
                    algorithm: Algorithm::Ed25519,
                    binding: crate::key::Binding::Derived,
                };
                policy.ask(time, &caller, &new, action, payload)
            }
            _ => policy.ask(time, &caller, &share, action, payload),
        };
        question.unwrap_or_else(|denied| panic!("{denied}"))
    }
}

/// Decision, deciding policies, and errors.
fn taken_apart(response: &Response) -> (Decision, BTreeSet<String>, BTreeSet<String>) {
    let diagnostics = response.diagnostics();
    let reason = diagnostics.reason().map(ToString::to_string).collect();
    (response.decision(), reason, diagnostics.errors().map(ToString::to_string).collect())
}

#[test]
fn a_slice_decides_what_the_whole_set_does() {
    let mut random = Random(0xc5);
    let (mut permitted, mut forbidden, mut failed, mut smaller) = (0, 0, 0, 0);
    for _ in 0..SETS {
        let text = random.policies();
        // Not by `Policy::parse`: the strict validator refuses what never applies.
        let mut policy = Policy::parse([]).unwrap();
        policy.policies = text.parse::<PolicySet>().unwrap().into();
        for _ in 0..REQUESTS {
            let question = random.question(&policy);
            let sliced = taken_apart(&question.answer());
            let whole = taken_apart(&question.answer_by(&policy.policies.whole));
            assert_eq!(sliced, whole, "{:?} of\n{text}", question.request);
            let slice = question.standing.slice(&policy.policies, question.action);
            smaller += usize::from(slice.policies.num_of_policies() < policy.count());
            failed += usize::from(!whole.2.is_empty());
            match whole.0 {
                Decision::Allow => permitted += 1,
                Decision::Deny => forbidden += usize::from(!whole.1.is_empty()),
            }
        }
    }
    let counts = [permitted, forbidden, failed, smaller];
    assert!(counts.iter().all(|count| *count > SETS / 3), "each was tried: {counts:?}");
}
