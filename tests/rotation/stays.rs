//! What does not move, and what is said of it.

use std::{process::Stdio, time::Duration};

use countersign::{envelope::WrappedDek, kms::vault_transit::Role};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::{Stage, ended, json, stderr};
use crate::support::served::Served;

/// A wrapped DEK that was altered, one of another record and an envelope that is none fail
/// alone, by name, and stay byte for byte; the others of their batch move.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_kms_refuses_stays() {
    let Some(stage) = Stage::set(12).await else { return };
    let [altered, swapped, other, broken, ..] = &stage.shares[..] else { unreachable!() };
    let row = stage.row(altered).await;
    let mut bytes = row.envelope().wrapped_dek().as_bytes().to_vec();
    let last = bytes.len() - 8;
    bytes[last] = if bytes[last] == b'A' { b'B' } else { b'A' };
    stage.overwrite(altered, &row.with(WrappedDek::new(bytes).unwrap())).await;
    let foreign = stage.row(other).await.envelope().wrapped_dek().clone();
    let row = stage.row(swapped).await;
    stage.overwrite(swapped, &row.with(foreign)).await;
    stage.overwrite(broken, b"CSGN none").await;
    stage.tenant.rotate_key().await;
    let mut before = Vec::new();
    for share in &stage.shares {
        before.push(stage.row(share).await);
    }

    let output = ended(stage.rewrap(&[])).await;
    let report = json(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!((&report["rewrapped"], &report["looked_at"]), (&9.into(), &12.into()), "{report}");
    let failed = report["failed"].as_object().unwrap();
    assert_eq!(failed.len(), 3);
    for share in [altered, swapped] {
        let why = failed[share.id()].as_str().unwrap();
        assert!(why.starts_with("KMS_REJECTED"), "{why}");
    }
    let why = failed[broken.id()].as_str().unwrap();
    assert!(why.contains("no envelope"), "{why}");
    for (share, before) in stage.shares.iter().zip(&before) {
        let after = stage.row(share).await;
        let stays = failed.contains_key(share.id());
        assert_eq!(after.envelope == before.envelope, stays);
        assert_eq!(after.revision == before.revision, stays);
    }
    // One request for all of them.
    assert_eq!(stage.tenant.count("rewrap"), 1);
    let (status, _) = stage.status().await;
    assert_eq!(status["unreadable"].as_object().unwrap().len(), 1, "{status}");
    stage.served.stop();
}

/// Without the right, without a canary that sings, in a dry run, with another process's
/// log: nothing is changed.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_unless_all_is_well() {
    let Some(stage) = Stage::set(5).await else { return };
    let known = |served: &Served| served.metric("kek_version") == Some(1);
    stage.served.until("the age of the KEK is known", known).await;
    assert!(stage.served.metric("kek_created_timestamp_seconds").unwrap() > 1_700_000_000);
    assert_eq!(stage.served.metric("kek_overdue"), Some(0));
    stage.tenant.rotate_key().await;
    let row = stage.row(&stage.shares[4]).await;
    let unchanged = async || {
        let now = stage.row(&stage.shares[4]).await;
        assert_eq!((now.envelope, now.revision), (row.envelope.clone(), row.revision));
    };

    let output = ended(stage.command(&["share", "rewrap"], &["--json", "--dry-run"])).await;
    assert_eq!(json(&output)["to_rewrap"], 5, "{}", stderr(&output));
    assert_eq!(stage.tenant.count("rewrap"), 0);

    let configured = stage.rotator.path("audit").display().to_string();
    let same = ["--audit", &*configured];
    let output = ended(stage.command(&["share", "rewrap"], &same)).await;
    assert!(stderr(&output).contains("has one of its own"), "{}", stderr(&output));

    let output = ended({
        let mut command = stage.rewrap(&["--canary", "/nonexistent/enclave.sock"]);
        command.args(["--share-id", stage.shares[0].id(), "--wallet-id", "wallet"]);
        command
    })
    .await;
    assert!(stderr(&output).contains("the canary failed"), "{}", stderr(&output));
    assert!(stderr(&output).contains("nobody answers"), "{}", stderr(&output));
    // The canary's own record moved, and no other.
    assert_eq!(json(&output)["rewrapped"], 1);
    unchanged().await;

    let wrong = ended({
        let mut command = stage.rewrap(&[]);
        command.arg("--canary").arg(stage.served.socket());
        command.args(["--share-id", stage.shares[0].id(), "--wallet-id", "another"]);
        command
    })
    .await;
    assert!(stderr(&wrong).contains("POLICY_DENIED"), "{}", stderr(&wrong));
    unchanged().await;

    stage.tenant.delete_policy(Role::Rotator).await;
    let output = ended(stage.rewrap(&[])).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("kms: Denied"), "{}", stderr(&output));
    unchanged().await;
    stage.tenant.set_policy(Role::Rotator).await;
    // At a signal it ends after the batch that is under way.
    let revisions = async || {
        let mut revisions = Vec::new();
        for share in &stage.shares {
            revisions.push(stage.row(share).await.revision);
        }
        revisions
    };
    let before = revisions().await;
    let mut command = stage.rewrap(&["--rate", "1", "--batch", "1"]);
    let stopped = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while revisions().await == before {
        sleep(Duration::from_millis(10)).await;
    }
    let pid = Pid::from_raw(stopped.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let output = stopped.wait_with_output().unwrap();
    let report = json(&output);
    assert_eq!((output.status.code(), &report["stopped"]), (Some(1), &true.into()), "{report}");
    let moved = report["rewrapped"].as_u64().unwrap();
    assert!((1..4).contains(&moved), "{report}");
    let output = ended(stage.rewrap(&[])).await;
    assert_eq!(json(&output)["rewrapped"], 4 - moved, "{}", stderr(&output));
    stage.served.stop();
}
