//! Standings: what is remembered is of the same caller and the same record, and of
//! no other.

use std::sync::Arc;

use super::cast::{caller, share};
use crate::{
    caller::Caller,
    key::RecordVersion,
    policy::{Facts, Policy, Set, ShareSubject, Tags, UseShare},
    record::ShareDescription,
};

fn policy(text: &str) -> Policy {
    Policy::parse([("p.cedar", text)]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn permits(policy: &Policy, caller: &Arc<Caller>, share: &ShareSubject) -> bool {
    policy.authorize(caller, Arc::clone(share), UseShare).is_ok()
}

#[test]
fn another_caller_of_the_name_has_its_own_groups() {
    let policy = policy(
        r#"@id("p") permit (principal in Group::"traders", action == Action::"UseShare", resource);"#,
    );
    let share = share(1, "test", "w");
    let (trader, other) = (caller("app", &["traders"]), caller("app", &["others"]));
    for _ in 0..3 {
        assert!(permits(&policy, &trader, &share));
        assert!(!permits(&policy, &other, &share));
    }
}

#[test]
fn another_record_of_the_id_has_its_own_attributes() {
    let policy = policy(
        r#"
        @id("w") permit (principal, action == Action::"UseShare", resource)
        when { resource.wallet == "w" && resource has address && resource.address == "address" };"#,
    );
    let caller = caller("app", &[]);
    let changed = |change: fn(&mut ShareDescription)| {
        let mut description = (*share(1, "test", "w")).clone();
        change(&mut description);
        Arc::new(description)
    };
    let same = share(1, "test", "w");
    let wallet = changed(|record| record.identity.wallet = "v".parse().unwrap());
    let address = changed(|record| record.identity.address = Some("another".parse().unwrap()));
    let bare = changed(|record| record.identity.address = None);
    for _ in 0..3 {
        assert!(permits(&policy, &caller, &same));
        for other in [&wallet, &address, &bare] {
            assert!(!permits(&policy, &caller, other), "{other:?}");
        }
    }
}

#[test]
fn the_same_is_remembered_and_another_version_is_not_the_same() {
    let policy = policy(r#"@id("p") permit (principal, action, resource);"#);
    let tags = Tags::default();
    let of = |caller: &Arc<Caller>, share: &ShareSubject| {
        policy.standings.of(caller, share, &tags).unwrap()
    };
    let (app, one) = (caller("app", &["a"]), share(1, "test", "w"));
    let first = of(&app, &one);
    // By what they are, not by where they lie.
    assert!(Arc::ptr_eq(&first, &of(&caller("app", &["a"]), &share(1, "test", "w"))));
    let mut newer = (*one).clone();
    newer.identity.version = RecordVersion::try_from(2).unwrap();
    assert!(!Arc::ptr_eq(&first, &of(&app, &Arc::new(newer))));
    assert!(!Arc::ptr_eq(&first, &of(&caller("app", &["b"]), &one)));
    assert!(!Arc::ptr_eq(&first, &of(&caller("another", &["a"]), &one)));
}

fn tag(name: &str, value: &str) -> Set {
    [(name.to_owned(), value.to_owned())].into()
}

/// A wallet's tags are those of its shares, and a share's own come first.
#[test]
fn a_shares_tag_hides_its_wallets() {
    let (own, sibling, stranger) =
        (share(1, "test", "w"), share(2, "test", "w"), share(3, "test", "v"));
    let mut wallet = tag("tier", "wallet");
    wallet.extend(tag("desk", "otc"));
    let tags = Tags {
        wallets: [(own.identity.wallet.clone(), wallet)].into(),
        shares: [(own.identity.share, tag("tier", "own"))].into(),
    };
    let caller = caller("app", &[]);
    let tagged = |share: &ShareSubject, name: &str, value: &str| {
        let text = format!(
            r#"@id("p") permit (principal, action == Action::"UseShare", resource)
            when {{ resource.hasTag("{name}") && resource.getTag("{name}") == "{value}" }};"#
        );
        let facts = Facts { tags: tags.clone(), ..Facts::default() };
        permits(&policy(&text).with(facts), &caller, share)
    };
    assert!(tagged(&own, "tier", "own") && !tagged(&own, "tier", "wallet"));
    assert!(tagged(&own, "desk", "otc"), "the wallet's others stay");
    assert!(tagged(&sibling, "tier", "wallet") && tagged(&sibling, "desk", "otc"));
    assert!(!tagged(&stranger, "tier", "wallet") && !tagged(&stranger, "desk", "otc"));
}

/// Other tags are found anew: what stood before them is forgotten.
#[test]
fn new_facts_forget_what_stood() {
    let share = share(1, "test", "w");
    let caller = caller("app", &[]);
    let policy = policy(
        r#"@id("p") permit (principal, action == Action::"UseShare", resource)
        when { resource.hasTag("hot") };"#,
    );
    assert!(!permits(&policy, &caller, &share));
    let wallets = [(share.identity.wallet.clone(), tag("hot", "yes"))].into();
    let tags = Tags { wallets, ..Tags::default() };
    let policy = policy.with(Facts { tags, ..Facts::default() });
    assert!(permits(&policy, &caller, &share));
}
