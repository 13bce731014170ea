//! Records move while their shares sign; the rotator is killed and goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use countersign::{
    audit::{
        reader::{Found, Reader},
        record::{Event, Outcome},
    },
    client, proto,
};
use reqwest::Method;
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

use super::{Stage, begun, ended, json, stderr};
use crate::support::vault::VaultServer;

/// How many records; docs/rotation.md has what it says of 10,000.
fn records() -> usize {
    let asked = std::env::var("COUNTERSIGN_ROTATED_RECORDS").ok();
    asked.map_or(300, |number| number.parse().unwrap())
}

/// Records move from version 1 to version 2 while four clients sign and a fifth
/// disables and enables shares. The rotator is killed half-way, and another run goes on.
/// No signature fails, no record changes but in its wrapped DEK, none is opened by it; and
/// then the floor rises, which was refused before, and the server starts again.
#[tokio::test(flavor = "multi_thread")]
async fn records_move_while_shares_sign() {
    let records = records();
    let Some(stage) = Stage::set(records).await else { return };
    let before = stage.rows().await;
    assert_eq!(stage.wrapped_by(1).await, records as u64);
    stage.tenant.rotate_key().await;
    let (status, good) = stage.status().await;
    assert_eq!((&status["newest_version"], &status["age_days"]), (&2.into(), &0.into()));
    assert!(good, "a new version is no reason to hurry");
    let measured = ended(stage.command(&["rotation", "status"], &["--openmetrics"])).await;
    let measured = String::from_utf8(measured.stdout).unwrap();
    for line in [
        format!("countersign_records{{kek_version=\"1\"}} {records}"),
        "countersign_records{kek_version=\"2\"} 0".to_owned(),
        "countersign_records_unreadable 0".to_owned(),
        "countersign_rewrapping_overdue 0".to_owned(),
        "# EOF".to_owned(),
    ] {
        assert!(measured.lines().any(|found| found == line), "{line}: {measured}");
    }

    let stop = Arc::<AtomicBool>::default();
    let signed = Arc::<AtomicU64>::default();
    let mut clients = JoinSet::new();
    for first in 0..4 {
        let (stop, signed) = (Arc::clone(&stop), Arc::clone(&signed));
        let (socket, size) = (stage.served.socket(), stage.shares.len() - 10);
        let requests: Vec<_> =
            stage.shares.iter().map(|share| share.sign_request(b"while it moves")).collect();
        clients.spawn(async move {
            let mut client = client::enclave(&socket).await.unwrap();
            for turn in (first..).step_by(7) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                client.sign(requests[turn % size].clone()).await.unwrap();
                signed.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let writer = tokio::spawn(disable_and_enable(
        stage.served.home.path("run/custody.sock"),
        stage.shares.iter().rev().take(10).map(|share| share.id().to_owned()).collect(),
        Arc::clone(&stop),
    ));

    let decrypts = stage.tenant.count("decrypt");
    let (begun_at, batch) = (Instant::now(), (records / 15).clamp(1, 100).to_string());
    let rate = (records / 3).to_string();
    let mut killed = begun(stage.rewrap_with_canary(&["--rate", &rate, "--batch", &batch]));
    // The last ten are the writer's.
    while stage.written().await < records as i64 / 2 + 10 {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it could be killed");
        sleep(Duration::from_millis(10)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let half_way = (begun_at.elapsed(), signed.load(Ordering::Relaxed));
    let moved = stage.wrapped_by(2).await;
    assert!((1..records as u64).contains(&moved), "{moved}");
    assert_eq!(stage.wrapped_by(1).await, records as u64 - moved);

    let floor = ended(stage.command(&["rotation", "floor"], &["--to", "2"])).await;
    let behind = records as u64 - moved;
    let refused = format!("refused: {behind} records are wrapped by a version below 2");
    assert!(stderr(&floor).contains(&refused), "{}", stderr(&floor));
    assert_eq!(stage.floor().await, 1);

    let begun_at = Instant::now();
    let output = ended(stage.rewrap_with_canary(&["--rate", &rate])).await;
    let resumed = begun_at.elapsed();
    let report = json(&output);
    assert!(output.status.success(), "{report} {}", stderr(&output));
    assert_eq!(report["rewrapped"].as_u64().unwrap() + moved, records as u64, "{report}");
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    writer.await.unwrap();
    let signed = signed.load(Ordering::Relaxed);
    assert!(signed > 100, "{signed} signatures");
    // Every one is a signature's or the canary's.
    assert!(stage.tenant.count("decrypt") - decrypts >= signed as usize / 2);
    assert_eq!(stage.wrapped_by(2).await, records as u64);

    for (after, before) in stage.rows().await.iter().zip(&before) {
        let (old, new) = (before.envelope(), after.envelope());
        assert_eq!((old.header(), old.sealed()), (new.header(), new.sealed()));
        assert_eq!(
            (old.wrapped_dek().kek_version(), new.wrapped_dek().kek_version()),
            (Some(1), Some(2))
        );
        assert!(after.revision > before.revision);
    }
    the_log_says_so(&stage, records);
    let (first, signed_by_then) = half_way;
    println!(
        "{records} records, {moved} of them before the kill at {first:.1?}; the rest in {resumed:.1?}; \
         {signed} signatures meanwhile ({signed_by_then} before the kill), none failed; \
         {} requests to rewrap",
        stage.tenant.count("rewrap")
    );

    let instance = stage.instance();
    let to = ["--to", "2", "--instance", &instance];
    let floor = ended(stage.command(&["rotation", "floor"], &to)).await;
    assert!(stderr(&floor).contains("the key of the instance in"), "{}", stderr(&floor));
    assert_eq!(stage.floor().await, 1);
    let output = ended(stage.rewrap(&["--instance", &instance])).await;
    assert_eq!(json(&output)["rewrapped"], 0, "{}", stderr(&output));
    let no_right = ended(stage.command(&["rotation", "floor"], &to)).await;
    assert!(stderr(&no_right).contains("Denied"), "{}", stderr(&no_right));
    stage.tenant.let_raise_the_floor().await;
    let floor = ended(stage.command(&["rotation", "floor"], &to)).await;
    assert!(floor.status.success(), "{}", stderr(&floor));
    assert_eq!(stage.floor().await, 2);

    let Stage { served, shares, .. } = stage;
    let home = served.stop_keeping();
    std::fs::remove_file(home.path("log")).unwrap();
    let serve = home.serve();
    let served = home.start(serve).await;
    for share in shares.iter().take(3) {
        served.sign(share).await.unwrap();
    }
    served.stop();
}

/// Writes to rows that a rotator writes, too, and loses nothing by it.
async fn disable_and_enable(socket: std::path::PathBuf, ids: Vec<String>, stop: Arc<AtomicBool>) {
    let mut custody = client::custody(&socket).await.unwrap();
    while !stop.load(Ordering::Relaxed) {
        for share_id in &ids {
            let disable =
                proto::DisableShareRequest { share_id: share_id.clone(), ..Default::default() };
            let mut disabled = custody.disable_share(disable.clone()).await;
            while disabled.is_err() {
                // The rotator was there between reading and writing.
                disabled = custody.disable_share(disable.clone()).await;
            }
            let share = disabled.unwrap().into_inner().share.unwrap();
            assert_eq!(share.public_key.unwrap().state(), proto::ShareState::Disabled);
            let enable =
                proto::EnableShareRequest { share_id: share_id.clone(), ..Default::default() };
            while custody.enable_share(enable.clone()).await.is_err() {}
        }
    }
}

/// Every record has an entry that says from where to where; what the kill left open is
/// closed.
fn the_log_says_so(stage: &Stage<'_>, records: usize) {
    let mut reader = Reader::new(&stage.log());
    let (mut requests, mut done, mut indeterminate, mut started) = (0, 0, 0, 0);
    while let Some(found) = reader.advance().unwrap() {
        let Found::Record(record) = found else { panic!("a line is no record") };
        match &record.event {
            Event::Started(_) => started += 1,
            Event::Request(request) => {
                requests += 1;
                assert_eq!((&*request.caller, &*request.action), ("rotator", "RewrapShare"));
                assert_eq!(
                    (request.record_version, request.wallet.as_deref()),
                    (Some(1), Some("wallet"))
                );
            }
            Event::Outcome { ended, .. } if ended.outcome == Outcome::Done => {
                done += 1;
                assert_eq!((ended.kek_version, ended.new_kek_version), (Some(1), Some(2)));
            }
            Event::Outcome { ended, .. } => {
                assert_eq!(ended.outcome, Outcome::Indeterminate);
                indeterminate += 1;
            }
            _ => {}
        }
    }
    assert_eq!(started, 2);
    assert_eq!(requests, done + indeterminate);
    assert!(requests >= records && indeterminate <= 100, "{requests} {indeterminate}");
}

impl Stage<'_> {
    /// The floor, as Vault has it.
    async fn floor(&self) -> u64 {
        let vault = VaultServer::shared().await.unwrap();
        let path = format!("transit/keys/{}", self.tenant.key());
        let key = vault.root(Method::GET, &path, Value::Null).await;
        key["min_decryption_version"].as_u64().unwrap()
    }
}
