//! A directory of envelope files alone.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use countersign::{
    key::{Algorithm, ShareId},
    record::ShareRecord,
    store::{
        ShareStore, StoreErrorKind,
        directory::{Backup, Directory},
    },
};

use super::{
    conformance::conformance_of,
    kind,
    records::{environment, oversize, record, successor},
};
use crate::{hardened::projected::Projected, support::permits};

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_conforms() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("shares");
    let backup = Backup::open(&path).unwrap();
    conformance_of(&Directory::open(&path).unwrap(), &backup).await;
}

/// The text of a record's file, and its name.
async fn text(record: &ShareRecord) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    Backup::open(home.path()).unwrap().put(record, None).await.unwrap();
    let name = format!("{}.json", record.description.identity.share);
    (fs::read_to_string(home.path().join(&name)).unwrap(), name)
}

/// Kubernetes renames `..data`: what is read next is from the other directory, whole.
#[tokio::test]
async fn a_swapped_secret_is_followed() {
    let home = tempfile::tempdir().unwrap();
    let first = record("wallet", Algorithm::Ed25519);
    let second = successor(&first);
    let ((old, name), (new, _)) = (text(&first).await, text(&second).await);
    let mut secret = Projected::new(home.path().join("secret"), &[(&name, &old)]);
    let store = Directory::open(home.path().join("secret")).unwrap();
    let share = first.description.identity.share;
    let permit = permits::to_open(&first.description);
    let fetch = async || store.fetch(permit.opening()).await.unwrap();
    assert_eq!(store.describe(share).await, Ok(Some(first.description.clone())));
    assert_eq!(fetch().await, Some(first.clone()));

    secret.swap(&[(&name, &new)]);
    assert_eq!(store.describe(share).await, Ok(Some(second.description.clone())));
    assert_eq!(fetch().await, Some(second.clone()));
    let listed = store.list(&environment(), None, None, 10).await.unwrap();
    assert_eq!(listed, [second.description]);

    // Kubernetes removes the link afterwards.
    secret.swap(&[]);
    assert_eq!(store.describe(share).await, Ok(None));
    assert_eq!(store.list(&environment(), None, None, 10).await, Ok(Vec::new()));
    fs::remove_dir_all(home.path().join("secret")).unwrap();
    assert_eq!(kind(store.describe(share).await), Err(StoreErrorKind::Unreachable));
    assert_eq!(kind(store.status().await), Err(StoreErrorKind::Unreachable));
}

/// A file that cannot be used is that share's own trouble, and says which file it is.
#[tokio::test]
async fn a_bad_file_is_one_shares_trouble() {
    let home = tempfile::tempdir().unwrap();
    let good = record("wallet", Algorithm::Ed25519);
    let backup = Backup::open(home.path()).unwrap();
    backup.put(&good, None).await.unwrap();
    let store = Directory::open(home.path()).unwrap();
    let other = record("wallet", Algorithm::EcdsaP256);
    let (document, name) = text(&other).await;
    let share = other.description.identity.share;
    let file = home.path().join(&name);
    let replaced = |from: &str, to: &str| {
        assert!(document.contains(from), "{document}");
        document.replace(from, to)
    };
    let cases = [
        (String::new(), "wrong at line"),
        ("{}".to_owned(), "wrong at line"),
        (document[..document.len() / 2].to_owned(), "wrong at line"),
        (format!("{document}{document}"), "wrong at line"),
        (" ".repeat(200_000), "longer than any record"),
        (replaced("\"format\": 1", "\"format\": 2"), "format"),
        (replaced("\"wallet_id\": \"wallet\"", "\"wallet_id\": \"no wallet\""), "wallet_id"),
        (replaced("\"revision\": 1", "\"revision\": 1, \"secret\": \"sesame\""), "wrong at line"),
        (replaced(&share.to_string(), &ShareId::random().to_string()), "named after"),
        (replaced(&share.to_string(), "sesame"), "column id"),
        (replaced("\"public_key\": \"03", "\"public_key\": \"0z"), "public_key"),
    ];
    for (content, expected) in cases {
        fs::write(&file, content).unwrap();
        let error = store.describe(share).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{expected}: {error}");
        assert!(error.detail.contains(expected), "{expected}: {error}");
        assert!(error.detail.starts_with(&name), "{error}");
        assert!(!error.detail.contains("sesame"), "{error}");
        let listed = store.list(&environment(), None, None, 10).await.unwrap_err();
        assert_eq!(listed, error);
        let good_share = good.description.identity.share;
        assert_eq!(store.describe(good_share).await, Ok(Some(good.description.clone())));
        let all = store.describe_all(&[share, good_share]).await;
        assert_eq!(all, Ok(vec![good.description.clone()]));
        store.status().await.unwrap();
    }
    // The envelope is looked at by whoever opens; that it is none is known here.
    let permit = permits::to_open(&other.description);
    for envelope in ["!", &"A".repeat(94_300)] {
        let at = document.find("\"encrypted_key_shares\"").unwrap();
        let broken = format!("{}\"encrypted_key_shares\": \"{envelope}\"\n}}", &document[..at]);
        fs::write(&file, broken).unwrap();
        let error = store.fetch(permit.opening()).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
        assert!(error.detail.contains("encrypted_key_shares"), "{error}");
    }
}

/// What is outside of the directory is not read, whatever leads there.
#[tokio::test]
async fn links_do_not_lead_out() {
    let home = tempfile::tempdir().unwrap();
    let (inside, outside) = (home.path().join("inside"), home.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    let (document, name) = text(&row).await;
    fs::write(outside.join(&name), document).unwrap();
    fs::create_dir(&inside).unwrap();
    let store = Directory::open(&inside).unwrap();
    let share = row.description.identity.share;
    let link = inside.join(&name);
    for target in [outside.join(&name), Path::new("../outside").join(&name)] {
        symlink(target, &link).unwrap();
        let error = store.describe(share).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt);
        assert!(error.detail.contains("leads out of the directory"), "{error}");
        fs::remove_file(&link).unwrap();
    }
    symlink(&outside, inside.join("..data")).unwrap();
    symlink(Path::new("..data").join(&name), &link).unwrap();
    assert_eq!(kind(store.describe(share).await), Err(StoreErrorKind::Corrupt));
    fs::remove_file(&link).unwrap();
    symlink(&name, &link).unwrap();
    assert_eq!(kind(store.describe(share).await), Err(StoreErrorKind::Corrupt));
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    let error = store.describe(share).await.unwrap_err();
    assert!(error.detail.contains("no regular file"), "{error}");
}

/// Whole or not at all, and for nobody else; what differs is not written over.
#[tokio::test]
async fn a_backup_is_written_whole_and_for_its_owner() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("backup");
    let backup = Backup::open(&path).unwrap();
    let row = record("wallet", Algorithm::Ed25519);
    backup.put(&row, None).await.unwrap();
    assert_eq!(kind(backup.put(&successor(&row), None).await), Err(StoreErrorKind::Exists));
    assert_eq!(kind(backup.put(&oversize(), None).await), Err(StoreErrorKind::Corrupt));
    let files: Vec<_> = fs::read_dir(&path).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let name = format!("{}.json", row.description.identity.share);
    assert_eq!(files[0].file_name().to_str().unwrap(), name);
}
