//! `share shred`: what was destroyed opens from no backup any more, and all else does from
//! the fresh one.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use countersign::{
    audit::{
        reader::{Found, Reader},
        record::{Event, Outcome},
    },
    client,
    envelope::Envelope,
    proto,
};
use serde_json::Value;

use super::{Stage, ended, stderr};
use crate::support::served::{Share, binary};

/// With requests that take a second at most, for the sake of the wait.
async fn stage(records: usize) -> Option<Stage<'static>> {
    let stage = Stage::set(records).await?;
    stage.rotator.add("[limits]\ndeadline = \"1s\"\nlongest_deadline = \"1s\"");
    Some(stage)
}

impl Stage<'_> {
    fn shred(&self, share: &Share, backup: &Path, more: &[&str]) -> Command {
        let mut command = self.command(&["share", "shred", share.id()], &["--audit"]);
        command.arg(self.log()).arg("--backup").arg(backup);
        command.arg("--instance").arg(self.instance()).args(more);
        command
    }

    async fn share(&self, verb: &str, arguments: &[&OsStr]) -> Output {
        let mut command = Command::new(binary());
        command.args(["share", verb]).args(arguments);
        ended(command).await
    }

    async fn back_up(&self, out: &Path) {
        let (config, out) = (self.rotator.config(), out.as_os_str());
        let arguments = ["--config".as_ref(), config.as_os_str(), "--out".as_ref(), out];
        let output = self.share("backup", &arguments).await;
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// Through all of a share's life.
    async fn destroy(&self, share: &Share) {
        let socket = self.served.home.path("run/custody.sock");
        let mut custody = client::custody(&socket).await.unwrap();
        let (share_id, reason) = (share.id().to_owned(), "its wallet is closed".to_owned());
        let (id, why) = (|| share_id.clone(), || reason.clone());
        let disable = proto::DisableShareRequest { share_id: id(), ..Default::default() };
        custody.disable_share(disable).await.unwrap();
        let schedule = proto::ScheduleDestructionRequest {
            share_id: id(),
            reason: why(),
            ..Default::default()
        };
        custody.schedule_destruction(schedule).await.unwrap();
        let destroy =
            proto::DestroyShareRequest { share_id: id(), reason: why(), ..Default::default() };
        custody.destroy_share(destroy).await.unwrap();
    }
}

/// The envelope in a file of a backup.
fn backed_up(directory: &Path, share: &Share) -> Option<Envelope> {
    let file = fs::read(directory.join(format!("{}.json", share.id()))).ok()?;
    let document: Value = serde_json::from_slice(&file).unwrap();
    let text = document["encrypted_key_shares"].as_str().unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    Some(Envelope::decode(&bytes).unwrap())
}

/// Of six shares one is destroyed, while the others sign without a failure. Before, its
/// envelope in an older backup unwraps at Vault, for who may; after, it does for nobody,
/// and neither does any other of that backup. The fresh one is restored, and signs.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_destroyed_opens_from_no_backup() {
    let Some(stage) = stage(6).await else { return };
    let (lost, others) = stage.shares.split_first().unwrap();
    let (older, fresh) = (stage.rotator.path("older"), stage.rotator.path("fresh"));
    stage.back_up(&older).await;
    stage.destroy(lost).await;
    for share in &stage.shares {
        assert!(stage.tenant.unwraps(&backed_up(&older, share).unwrap()).await);
    }
    stage.tenant.let_shred().await;

    let (stop, signed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let signing = tokio::spawn({
        let (stop, signed, socket) =
            (Arc::clone(&stop), Arc::clone(&signed), stage.served.socket());
        let requests: Vec<_> =
            others.iter().map(|share| share.sign_request(b"meanwhile")).collect();
        async move {
            let mut client = client::enclave(&socket).await.unwrap();
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                client.sign(requests[turn % requests.len()].clone()).await.unwrap();
                signed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let canary = stage.served.socket().display().to_string();
    let mut arguments = vec!["--yes", "--reason", "its wallet is closed", "--canary", &*canary];
    arguments.extend(["--share-id", others[0].id(), "--wallet-id", "wallet"]);
    let output = ended(stage.shred(lost, &fresh, &arguments)).await;
    stop.store(true, Ordering::Relaxed);
    signing.await.unwrap();
    assert!(signed.load(Ordering::Relaxed) > 10);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", stderr(&output));
    let steps: Vec<_> = said.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let expected =
        ["rotated", "rewrapped", "waited", "rewrapped", "backed up", "raised", "trimmed"];
    assert_eq!(steps, expected, "{said}");
    assert!(said.contains("5 records and 1 instances' keys"), "{said}");
    assert!(said.contains("every backup older than this one is unreadable"), "{said}");

    for share in &stage.shares {
        assert!(!stage.tenant.unwraps(&backed_up(&older, share).unwrap()).await, "{}", share.id());
    }
    assert!(backed_up(&fresh, lost).is_none());
    for share in others {
        assert!(stage.tenant.unwraps(&backed_up(&fresh, share).unwrap()).await);
        stage.served.sign(share).await.unwrap();
    }
    let (status, _) = stage.status().await;
    assert_eq!((&status["floor"], &status["kept"]), (&2.into(), &2.into()), "{status}");

    // A row that somebody puts back from the older backup opens for nobody.
    let config = stage.served.home.config();
    let restore = ["--config".as_ref(), config.as_os_str(), older.as_os_str()];
    let keep: [&OsStr; 2] = ["--differing".as_ref(), "keep".as_ref()];
    let output = stage.share("restore", &[&restore[..], &keep[..]].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let refused = stage.served.sign(lost).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    // Its own key opens at the next start, too.
    let log = stage.log();
    let home = stage.served.stop_keeping();
    fs::remove_file(home.path("log")).unwrap();
    let serve = home.serve();
    let served = home.start(serve).await;
    served.sign(&others[1]).await.unwrap();
    served.stop();

    let mut reader = Reader::new(&log);
    let (mut asked, mut done) = (None, false);
    while let Some(found) = reader.advance().unwrap() {
        let Found::Record(record) = found else { panic!("a line is no record") };
        match &record.event {
            Event::Request(request) if request.action == "ShredShare" => {
                assert_eq!(request.share.as_deref(), Some(lost.id()));
                assert_eq!(request.why.as_deref(), Some("its wallet is closed"));
                asked = Some(record.seq);
            }
            Event::Outcome { of, ended } if Some(*of) == asked => {
                assert_eq!((ended.outcome, ended.new_kek_version), (Outcome::Done, Some(2)));
                done = true;
            }
            _ => {}
        }
    }
    assert!(done);
}

/// A share that is there, a directory that is not empty, no word that it is meant, a login
/// without the right, a record that stays behind: each older backup can be read still, and
/// no version goes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_unless_all_is_well() {
    let Some(stage) = stage(3).await else { return };
    let (lost, others) = stage.shares.split_first().unwrap();
    let (older, fresh) = (stage.rotator.path("older"), stage.rotator.path("fresh"));
    stage.back_up(&older).await;
    let refused = async |backup: &Path, more: &[&str], why: &str| {
        let output = ended(stage.shred(lost, backup, more)).await;
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(why), "{why}: {}", stderr(&output));
        for share in &stage.shares {
            assert!(stage.tenant.unwraps(&backed_up(&older, share).unwrap()).await, "{why}");
        }
        let (status, _) = stage.status().await;
        assert_eq!((&status["floor"], &status["kept"]), (&1.into(), &1.into()), "{status}");
        status["newest_version"].as_u64().unwrap()
    };
    stage.tenant.let_shred().await;
    assert_eq!(refused(&fresh, &["--yes"], "is in the store: its record").await, 1);
    stage.destroy(lost).await;
    assert_eq!(refused(&older, &["--yes"], "is not empty").await, 1);
    assert_eq!(refused(&fresh, &[], "nothing was done: --yes does it").await, 1);
    assert!(!fresh.exists() || fs::read_dir(&fresh).unwrap().next().is_none());

    stage.tenant.set_policy(countersign::kms::vault_transit::Role::Rotator).await;
    assert_eq!(refused(&fresh, &["--yes"], "kms: Denied").await, 1);
    stage.tenant.let_shred().await;

    let row = stage.row(&others[1]).await;
    let other = stage.row(&others[0]).await.envelope().wrapped_dek().clone();
    stage.overwrite(&others[1], &row.with(other)).await;
    assert_eq!(refused(&fresh, &["--yes"], "1 records stay behind").await, 2);
    stage.overwrite(&others[1], &row.envelope).await;

    let output = ended(stage.shred(lost, &fresh, &["--yes"])).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stage.tenant.unwraps(&backed_up(&older, lost).unwrap()).await);
    stage.served.sign(&others[1]).await.unwrap();
    stage.served.stop();
}
