//! The reader refuses, and says nothing secret then.

use std::fs;

use countersign::key::{Algorithm, ShareId};

use super::{
    instance::{Custodian, Instance, read},
    telling::TellingVault,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_no_needle() {
    let instance = Instance::start("test", &Custodian::Local);
    let share = instance.share(Algorithm::Ed25519).await;
    let directory = instance.path(".");
    let run = |id: &str| read(&directory, &Custodian::Local, [id]);
    let Some(opened) = run(&share.id) else {
        return;
    };
    assert!(opened.status.success());
    assert_refused(&opened_not(run(&ShareId::random().to_string())), "has no share");
    // Another KEK.
    fs::write(instance.path("kek"), [7; 32]).unwrap();
    let refused = opened_not(run(&share.id));
    assert_refused(&refused, "'stage': 'unwrap'");
    assert!(!refused.contains(&hex::encode([7; 32])));
}

/// Its error bodies are not repeated, nor is the token.
#[tokio::test(flavor = "multi_thread")]
async fn what_vault_says_is_not_repeated() {
    let vault = TellingVault::start();
    let instance = Instance::start("test", &vault.custodian());
    let share = instance.share(Algorithm::Ed25519).await;
    let Custodian::Vault(settings, _) = vault.custodian() else { unreachable!() };
    let token = "hvs.not-the-readers";
    let other = Custodian::Vault(settings, token.to_owned());
    // In turn right and wrong.
    for _ in 0..5 {
        let Some(output) = read(&instance.path("."), &other, [share.id.as_str()]) else {
            return;
        };
        if !output.status.success() {
            let said = opened_not(Some(output));
            assert_refused(&said, "the token must have the right to it");
            assert!(!said.contains("and more") && !said.contains(token), "{said}");
            return;
        }
    }
    panic!("it was never refused");
}

#[track_caller]
fn opened_not(output: Option<std::process::Output>) -> String {
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[track_caller]
fn assert_refused(said: &str, why: &str) {
    assert!(said.contains(why) && said.lines().count() == 1, "{said}");
}
