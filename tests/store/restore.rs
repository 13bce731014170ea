//! `share restore`: what a directory holds arrives whole, or nothing of it does.

use std::{fs, path::Path, process::Output};

use countersign::{
    key::{Algorithm, Binding},
    record::ShareRecord,
    store::{ShareStore, directory::Backup},
};
use tonic::Code;

use super::{
    records::{elsewhere, kek, record, successor},
    transfer::{all, backup, said, share, sqlite},
};
use crate::{
    hardened::projected::Projected,
    support::{
        postgres::PostgresServer,
        refused::assert_refused,
        served::{Home, LOCAL, postgres},
    },
};

fn restore(home: &Home, from: &Path, more: &[&str]) -> Output {
    share("restore", more, &["--config".as_ref(), &home.config(), from])
}

/// A share that was made beside SQLite signs beside an empty Postgres, under the same KEK.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_share_signs() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let home = Home::embedded();
    let serve = home.serve();
    let served = home.start(serve).await;
    let made = [served.generate().await, served.generate().await];
    let home = served.stop_keeping();
    let out = home.path("backup");
    let output = backup(&home, &out, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("copied    2"), "{}", said(&output));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);

    let database = server.database().await;
    let other = Home::new("test", LOCAL, &postgres(&database.settings()));
    fs::copy(home.path("kek/kek"), other.path("kek/kek")).unwrap();
    let output = restore(&other, &out, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("copied    2"), "{}", said(&output));
    let serve = other.serve();
    let served = other.start(serve).await;
    for share in &made {
        served.sign(share).await.unwrap();
    }
    served.stop();

    // The same files, mounted as a Secret, are a store, which is followed when it changes.
    let files: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name(), fs::read_to_string(file.path()).unwrap()))
        .collect();
    let names: Vec<_> = files.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    let contents: Vec<_> = names.iter().copied().zip(files.iter().map(|file| &*file.1)).collect();
    let broken: Vec<_> = names.iter().map(|name| (*name, "{")).collect();
    let mut secret = Projected::new(home.path("secret"), &broken);
    let store = format!("kind = \"directory\"\npath = {:?}", home.path("secret"));
    let mounted = Home::new("test", LOCAL, &store);
    fs::copy(home.path("kek/kek"), mounted.path("kek/kek")).unwrap();
    let serve = mounted.serve();
    let served = mounted.start(serve).await;
    for share in &made {
        let status = served.sign(share).await.unwrap_err();
        assert_refused(&status, Code::DataLoss, "STORE_CORRUPT");
    }
    secret.swap(&contents);
    for share in &made {
        served.sign(share).await.unwrap();
    }
    assert_eq!(served.metric("audit_uncounted"), Some(0));
    let log = served.stop_keeping().log();
    assert!(!log.contains("not counted"), "{log}");
}

/// A directory with one file that is not what it says is restored not at all.
#[tokio::test]
async fn restore_checks_every_file_before_it_writes_one() {
    let (home, target) = sqlite();
    let out = home.path("backup");
    let good = record("wallet", Algorithm::Ed25519);
    let bad = record("wallet", Algorithm::EcdsaSecp256k1);
    let next = successor(&bad);
    type Change = fn(&mut ShareRecord);
    let changes: [(&str, Change); 11] = [
        ("bound to another wallet_id", |row| {
            row.description.identity.wallet = "another".parse().unwrap();
        }),
        ("bound to another record_version", |row| {
            row.description.identity.version = 7.try_into().unwrap();
        }),
        ("bound to another account_address", |row| row.description.identity.address = None),
        ("bound to another algorithm", |row| {
            let other = record("wallet", Algorithm::EcdsaP256).description;
            row.description.identity.algorithm = Algorithm::EcdsaP256;
            row.description.public_key = other.public_key;
        }),
        ("bound to another binding", |row| {
            row.description.identity.binding = Binding::Declared;
        }),
        ("bound to another environment", |row| {
            row.description.identity.environment = "elsewhere".parse().unwrap();
        }),
        ("bound to another kek", |row| {
            row.description.kek = kek("another");
        }),
        ("the envelope ends inside its", |row| row.envelope.truncate(row.envelope.len() - 1)),
        ("bytes follow the sealed share", |row| row.envelope.push(0)),
        ("not an envelope", |row| row.envelope[0] ^= 1),
        ("belongs to the environment \"elsewhere\"", |row| {
            *row = elsewhere();
        }),
    ];
    for (expected, change) in changes {
        let backup = Backup::open(&out).unwrap();
        backup.put(&good, None).await.unwrap();
        let mut row = bad.clone();
        change(&mut row);
        backup.put(&row, None).await.unwrap();
        let output = restore(&home, &out, &[]);
        assert_eq!(output.status.code(), Some(1), "{expected}: {}", said(&output));
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
        assert!(said(&output).contains("nothing was written"), "{}", said(&output));
        assert_eq!(all(&target).await, []);
        fs::remove_dir_all(&out).unwrap();
    }
    // The id, which is the file's name, too.
    let backup = Backup::open(&out).unwrap();
    backup.put(&good, None).await.unwrap();
    let mut row = next.clone();
    row.description.identity.share =
        record("wallet", Algorithm::Ed25519).description.identity.share;
    backup.put(&row, None).await.unwrap();
    let output = restore(&home, &out, &[]);
    assert!(said(&output).contains("bound to another id"), "{}", said(&output));
    let file = out
        .join(format!("{}.json", record("wallet", Algorithm::Ed25519).description.identity.share));
    fs::write(file, "{").unwrap();
    let output = restore(&home, &out, &[]);
    // All of them at once.
    assert!(said(&output).contains("bound to another id"), "{}", said(&output));
    assert!(said(&output).contains("no record in JSON"), "{}", said(&output));
    assert!(said(&output).contains("2 records are unfit"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(all(&target).await, []);
}
