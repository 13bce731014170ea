//! `share backup` and `copy`: what arrives is what was there.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use countersign::{
    key::{Algorithm, Revision, ShareState},
    record::ShareRecord,
    store::{
        ShareStore,
        directory::Directory,
        postgres::Postgres,
        sqlite::Sqlite,
        vault_kv::{VaultKv, policy::Access},
    },
};

use super::records::{environment, opaque, record, successor};
use crate::support::{
    permits,
    postgres::PostgresServer,
    served::{Home, LOCAL, SQLITE, binary, postgres, records, server as vault_server},
    vault::{Tenant, VaultServer},
};

pub fn share(command: &str, arguments: &[&str], paths: &[&Path]) -> Output {
    let mut program = Command::new(binary());
    program.args(["share", command]).args(arguments).args(paths);
    program.output().unwrap()
}

pub fn said(output: &Output) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{error}")
}

/// A home of the records' environment, with a SQLite file.
pub fn sqlite() -> (Home, Sqlite) {
    let home = Home::new(environment().as_str(), LOCAL, SQLITE);
    let store = Sqlite::open(&home.path("db/shares.db")).unwrap();
    (home, store)
}

pub async fn all(store: &dyn ShareStore) -> Vec<ShareRecord> {
    let mut records = Vec::new();
    for described in store.list(&environment(), None, None, 1000).await.unwrap() {
        let permit = permits::to_open(&described);
        records.extend(store.fetch(permit.opening()).await.unwrap());
    }
    records
}

pub fn backup(home: &Home, out: &Path, more: &[&str]) -> Output {
    share("backup", more, &["--config".as_ref(), &home.config(), "--out".as_ref(), out])
}

/// A backup holds every record of the environment, as it is; another run adds what is new.
#[tokio::test]
async fn backups_go_on_where_they_ended() {
    let (home, store) = sqlite();
    for algorithm in Algorithm::ALL {
        let mut row = record("wallet", algorithm);
        row.description.state = ShareState::Disabled;
        store.put(&row, None).await.unwrap();
        let waits = Some(row.description.created_at);
        let share = row.description.identity.share;
        store.schedule(share, waits, Revision::FIRST).await.unwrap();
    }
    let out = home.path("backup");
    let output = backup(&home, &out, &["--dry-run"]);
    assert!(said(&output).contains("would be copied    4"), "{}", said(&output));
    assert!(!out.exists());
    assert!(backup(&home, &out, &[]).status.success());
    let kept = Directory::open(&out).unwrap();
    assert_eq!(all(&kept).await, all(&store).await);

    store.put(&record("wallet", Algorithm::Ed25519), None).await.unwrap();
    let output = backup(&home, &out, &["--json"]);
    let last = String::from_utf8(output.stdout).unwrap();
    let tally: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!((&tally["copied"], &tally["there_already"]), (&1.into(), &4.into()), "{last}");
    assert_eq!(all(&kept).await, all(&store).await);
}

/// What differs is left, kept or replaced, as is said, and is told.
#[tokio::test]
async fn nothing_that_differs_is_written_over_unasked() {
    let ((home, source), (other, target)) = (sqlite(), sqlite());
    let [same, state, version, wallet] = [(); 4].map(|()| record("wallet", Algorithm::Ed25519));
    for row in [&same, &state, &version, &wallet] {
        source.put(row, None).await.unwrap();
    }
    target.put(&same, None).await.unwrap();
    let mut disabled = state.clone();
    disabled.description.state = ShareState::Disabled;
    target.put(&disabled, None).await.unwrap();
    let next = successor(&version);
    target.put(&next, None).await.unwrap();
    let mut another = record("another", Algorithm::Ed25519);
    another.description.identity.share = wallet.description.identity.share;
    target.put(&another, None).await.unwrap();
    let before = all(&target).await;
    let copy = |more: &[&str]| {
        let arguments: &[&Path] =
            &["--from".as_ref(), &home.config(), "--to".as_ref(), &other.config()];
        share("copy", more, arguments)
    };
    let output = copy(&[]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    let line =
        |row: &ShareRecord, what: &str| format!("{}  {what}", row.description.identity.share);
    assert!(text.contains(&line(&state, "differs: state")), "{text}");
    assert!(text.contains(&line(&version, "differs: record_version, kek")), "{text}");
    assert!(text.contains(&line(&wallet, "differs: wallet_id")), "{text}");
    assert!(text.contains("there already      1"), "{text}");
    assert_eq!(all(&target).await, before);

    let output = copy(&["--differing", "keep"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(all(&target).await, before);
    let output = copy(&["--differing", "replace", "--dry-run"]);
    assert!(said(&output).contains("replaced"), "{}", said(&output));
    assert_eq!(all(&target).await, before);

    // Another wallet's share stays, whatever is asked.
    let output = copy(&["--differing", "replace"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let after = all(&target).await;
    let find = |row: &ShareRecord| {
        let share = row.description.identity.share;
        after.iter().find(|found| found.description.identity.share == share).unwrap().clone()
    };
    for row in [&state, &version] {
        let mut found = find(row);
        assert_eq!(found.description.revision, Revision::from(2));
        found.description.revision = Revision::FIRST;
        let created = row.description.created_at.max(next.description.created_at);
        assert!(found.description.created_at <= created);
        found.description.created_at = row.description.created_at;
        assert_eq!(found, *row);
    }
    assert_eq!(find(&wallet), another);
}

/// Neither a read-only store nor another environment is written to.
#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let (home, source) = sqlite();
    source.put(&record("wallet", Algorithm::Ed25519), None).await.unwrap();
    let directory = home.path("mounted");
    fs::create_dir(&directory).unwrap();
    let mounted = format!("kind = \"directory\"\npath = {directory:?}");
    let other = Home::new(environment().as_str(), LOCAL, &mounted);
    let copy = |to: &Home| {
        share("copy", &[], &["--from".as_ref(), &home.config(), "--to".as_ref(), &to.config()])
    };
    let output = copy(&other);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("read-only"), "{}", said(&output));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);

    let elsewhere = Home::embedded();
    let output = copy(&elsewhere);
    assert_eq!(output.status.code(), Some(78));
    assert!(said(&output).contains("open in no other environment"), "{}", said(&output));
    assert!(!elsewhere.path("db/shares.db").exists());
}

/// All the way round: every store gives back what another had.
#[tokio::test(flavor = "multi_thread")]
async fn copies_are_the_same_in_every_store() {
    let (Some(server), Some(vault)) = (PostgresServer::shared(), VaultServer::shared().await)
    else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    tenant.mount_kv().await;
    let (home, source) = sqlite();
    for algorithm in Algorithm::ALL {
        for _ in 0..3 {
            source.put(&record("wallet", algorithm), None).await.unwrap();
            let mut waits = record("wallet", algorithm);
            waits.description.state = ShareState::Disabled;
            source.put(&waits, None).await.unwrap();
            let (share, after) = (waits.description.identity.share, waits.description.created_at);
            source.schedule(share, Some(after), Revision::FIRST).await.unwrap();
        }
    }
    source.put(&opaque("wallet"), None).await.unwrap();
    let database = server.database().await;
    let in_postgres = Home::new(environment().as_str(), LOCAL, &postgres(&database.settings()));
    let settings = tenant.records(Access::Write, &environment()).await;
    let [store, login] = records(&settings);
    let kms = [LOCAL, &vault_server(&settings.server), &login].concat();
    let in_vault = Home::new(environment().as_str(), &kms, &store);
    let (again, back) = sqlite();
    for (from, to) in [(&home, &in_postgres), (&in_postgres, &in_vault), (&in_vault, &again)] {
        for copied in [25, 0] {
            let arguments: [&Path; 4] =
                ["--from".as_ref(), &from.config(), "--to".as_ref(), &to.config()];
            let output = share("copy", &["--json"], &arguments);
            assert!(output.status.success(), "{}", said(&output));
            let tally: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(tally["copied"], copied, "{tally}");
            assert_eq!(tally["there_already"], 25 - copied, "{tally}");
        }
    }
    assert_eq!(all(&back).await, all(&source).await);
    assert_eq!(all(&Postgres::open(database.settings()).await.unwrap()).await, all(&source).await);
    let mut in_vault = all(&VaultKv::open(settings).unwrap()).await;
    for (there, here) in in_vault.iter_mut().zip(all(&source).await) {
        // What waits is written once there.
        there.description.revision = here.description.revision;
        assert_eq!(*there, here);
    }
    assert_eq!(in_vault.len(), 25);
}
