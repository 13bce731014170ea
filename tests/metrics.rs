//! What a scrape says, of a real process beside a real Vault.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use countersign::{
    audit::record::{Ended, Refused},
    client,
    grpc::Service,
    kms::KmsLogin,
    proto,
    telemetry::Metrics,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{
    served::{self, Home, SQLITE, Served},
    vault::{Tenant, VaultServer},
};

/// The value of a line that begins so.
fn value(served: &Served, line: &str) -> Option<f64> {
    let scrape = served.scrape();
    let value = scrape.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
    value.map(|value| value.trim().parse().unwrap())
}

async fn start(vault: &VaultServer, tables: &str) -> Served {
    let tenant = Tenant::new(vault).await;
    let settings = countersign::kms::vault_transit::Settings { rotator: None, ..tenant.settings() };
    let kms = served::vault(&settings, &vault.ca_file());
    let home = Home::new(tenant.environment().as_str(), &kms, SQLITE);
    home.add(tables);
    let serve = home.serve();
    home.start(serve).await
}

/// Who asked, for what, what became of it and why; where the time went; what the process
/// depends on.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_what_became_of_them() {
    let Some(vault) = VaultServer::shared().await else { return };
    let served = start(vault, "").await;
    let share = served.generate().await;
    for _ in 0..3 {
        served.sign(&share).await.unwrap();
    }
    let mut client = client::enclave(&served.socket()).await.unwrap();
    let digest = proto::payload::Kind::Digest(vec![7; 32].into());
    let mut denied = share.sign_request(b"");
    denied.payload = Some(proto::Payload { kind: Some(digest) });
    client.sign(denied).await.unwrap_err();
    let other =
        proto::SignRequest { wallet_id: "no/wallet".to_owned(), ..share.sign_request(b"x") };
    client.sign(other).await.unwrap_err();
    let (frames, received) = mpsc::channel(6);
    for frame in share.frames(5) {
        frames.send(frame).await.unwrap();
    }
    let received = ReceiverStream::new(received);
    let mut answers = client.use_share(received).await.unwrap().into_inner();
    for _ in 0..6 {
        answers.message().await.unwrap().unwrap();
    }
    assert_eq!(value(&served, "countersign_streams"), Some(1.0));
    drop(frames);
    assert!(answers.message().await.unwrap().is_none());

    let outcome = |action: &str, outcome: &str, reason: &str| {
        format!(
            "countersign_outcomes_total{{caller=\"app\",action=\"{action}\",outcome=\"{outcome}\",\
             reason=\"{reason}\"}}"
        )
    };
    let is = |line: &str, expected: f64| {
        let line = line.to_owned();
        move |served: &Served| value(served, &line) == Some(expected)
    };
    for (line, count) in [
        (outcome("GenerateShare", "done", ""), 1.0),
        // Three calls and five frames.
        (outcome("Sign", "signed", ""), 8.0),
        (outcome("SignDigest", "denied", "POLICY_DENIED"), 1.0),
        (outcome("UseShare", "done", ""), 1.0),
        ("countersign_refusals_total{caller=\"app\",reason=\"INVALID_REQUEST\"}".to_owned(), 1.0),
        ("countersign_streams".to_owned(), 0.0),
        ("countersign_backend_up{backend=\"store\"}".to_owned(), 1.0),
        ("countersign_backend_up{backend=\"kms\"}".to_owned(), 1.0),
    ] {
        served.until(&line, is(&line, count)).await;
    }
    for (stage, least) in
        [("decide", 3.0), ("fetch", 4.0), ("unwrap", 4.0), ("section", 3.0), ("audit", 3.0)]
    {
        let line = format!("countersign_stage_duration_seconds_count{{stage=\"{stage}\"}}");
        let count = value(&served, &line).unwrap();
        assert!(count >= least, "{line} {count}");
    }
    // Tokens live for twenty minutes here.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    for role in ["signer", "custodian"] {
        let line = format!("countersign_kms_login_expiry_timestamp_seconds{{role=\"{role}\"}}");
        let left = value(&served, &line).unwrap() - now;
        assert!((60.0..1300.0).contains(&left), "{role}: {left}");
    }
    let scrape = served.scrape();
    let build = format!("countersign_build_info{{version={:?}}} 1", env!("CARGO_PKG_VERSION"));
    assert!(scrape.contains(&build), "{scrape}");
    let slots = value(&served, "countersign_secret_slots").unwrap();
    let free = value(&served, "countersign_secret_slots_free").unwrap();
    assert!(free > 0.0 && free <= slots, "{free} of {slots}");
    assert!(!scrape.contains(share.id()) && !scrape.contains("no/wallet"), "{scrape}");
    served.stop();
}

/// A KMS that is away for a moment is no reason to take the process out of service; one
/// that stays away is, and it comes back by itself.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_waits_for_a_kms_that_is_away() {
    let Some(vault) = VaultServer::dedicated().await else { return };
    let served = start(&vault, "[health]\nunready_after = \"8s\"").await;
    let up = |served: &Served| value(served, "countersign_backend_up{backend=\"kms\"}");
    vault.stop();
    let stopped = Instant::now();
    served.until("it is seen", |served| up(served) == Some(0.0)).await;
    assert_eq!(served.metric("ready"), Some(1));
    served.until("readiness is off", |served| served.metric("ready") == Some(0)).await;
    // It had answered at most one period and one patience before.
    assert!(stopped.elapsed() > Duration::from_secs(3), "{:?}", stopped.elapsed());
    vault.restart();
    vault.unseal().await;
    served.until("readiness is back", |served| served.metric("ready") == Some(1)).await;
    assert_eq!(up(&served), Some(1.0));
    served.stop();
}

/// `docs/metrics.md` has every metric that there is, and no other.
#[test]
fn every_metric_is_documented() {
    let metrics = Metrics::with_tls(&[Service::Custody]);
    metrics.set_tls_certificate(Service::Custody, SystemTime::now());
    // Families show with their first value.
    metrics.answered("Sign", "OK", Duration::ZERO);
    metrics.ended("app", "Sign", &Ended::default());
    metrics.refused(&Refused { caller: None, reason: String::new(), count: 1 });
    metrics.set_backends(true, true);
    metrics.set_kms_login(&KmsLogin { role: "signer", expires: None });
    metrics.policies_reloaded(true);
    let scrape = metrics.encode().unwrap();
    let there: BTreeSet<_> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            format!("{name}{suffix}")
        })
        .collect();
    let page = include_str!("../docs/metrics.md");
    let documented = page.lines().filter_map(|line| line.strip_prefix("| `countersign_"));
    let documented: BTreeSet<_> = documented
        .map(|line| format!("countersign_{}", line.split(['`', '{']).next().unwrap()))
        .collect();
    assert_eq!(documented, there);
}
