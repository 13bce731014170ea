//! What protects secret memory: where a real server says it, and what becomes of
//! one on a kernel without `memfd_secret`.

use std::{fs, process::Command, time::Duration};

use countersign::{
    client,
    config::{Config, KmsConfig},
    enclave::level,
    kms::vault_transit::{Login, Settings, Timeouts},
    memory::Level,
};
use tokio_stream::StreamExt;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    residue::rights::may_look,
    support::{
        enclave::{Enclave, Setup},
        kernel::{lacking, without},
        pki::Authority,
        served::{Home, SQLITE, Served, binary, vault},
    },
};

const MEMFD_SECRET: [i64; 1] = [libc::SYS_memfd_secret];

/// A Vault where nobody answers, `{at}` being the home's directory.
fn nobody(ca_file: &str) -> Settings {
    Settings {
        addresses: vec!["https://localhost:1".to_owned()],
        ca_file: ca_file.into(),
        namespace: None,
        mount: "transit".to_owned(),
        key: "countersign-test".to_owned(),
        signer: Some(Login::AppRole {
            mount: "approle".to_owned(),
            role_id: "role".to_owned(),
            secret_id_file: "{at}/config/secret-id".into(),
        }),
        custodian: None,
        rotator: None,
        timeouts: Timeouts::default(),
    }
}

fn requiring(level: Level) -> String {
    format!("[memory]\nrequire = \"{}\"", level.as_str())
}

/// Whether this kernel has `memfd_secret`; if not, says so loudly.
fn has_memfd_secret() -> bool {
    let (level, why) = level();
    if let Some(why) = why {
        lacking(&format!("memfd_secret(2): {why}"));
    }
    level == Level::MemfdSecret
}

// === refused ===

/// Nothing is bound, opened or made by a process that may not run.
#[track_caller]
fn assert_refused(home: &Home, mut command: Command) {
    let refused = without(&MEMFD_SECRET, || command.output().unwrap());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for part in [
        "memfd_secret is not available (Function not implemented",
        "memory.require asks for it, as it does by default in a production environment",
        "It takes Linux 5.14",
        "secretmem.enable=1",
        "`memory.require = \"mlock\"` accepts locked memory, which root and a tracer can read",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for directory in ["run", "db", "kek"] {
        let files = fs::read_dir(home.path(directory)).unwrap();
        assert_eq!(files.count(), 0, "{directory}");
    }
}

fn check_online(home: &Home) -> Command {
    let mut check = Command::new(binary());
    check.args(["check", "--online", "--config"]).arg(home.config());
    check
}

#[test]
fn without_memfd_secret_one_that_requires_it_does_not_start() {
    let home = Home::embedded();
    home.add(&requiring(Level::MemfdSecret));
    assert_refused(&home, home.serve());
    assert_refused(&home, check_online(&home));
}

#[test]
fn without_memfd_secret_production_does_not_start() {
    let kms = vault(&nobody(""), "{at}/config/ca.pem".as_ref());
    let home = Home::new("eu-prod", &kms, SQLITE);
    Authority::new().write_certificate(&home.path("config"));
    assert_refused(&home, home.serve());
    assert_refused(&home, check_online(&home));
}

// === served ===

fn health(served: &Served) -> String {
    let mut health = Command::new(binary());
    health.args(["health", "--socket"]).arg(served.socket());
    let answer = health.output().unwrap();
    assert!(answer.status.success());
    String::from_utf8(answer.stdout).unwrap()
}

/// Everywhere it is said, it is said to be `level`; and the kernel agrees.
async fn assert_level(served: &Served, level: Level) {
    let [other] = Level::ALL.into_iter().filter(|other| *other != level).collect::<Vec<_>>()[..]
    else {
        unreachable!("there are two")
    };
    let name = level.as_str();
    let told =
        format!("readiness: serving\nsecret memory: {name}\npolicies: as in their directory\n");
    assert_eq!(health(served), told);
    let log = served.home.log();
    let starting = log.lines().find(|line| line.contains("\"Starting\"")).unwrap();
    let config = Config::load(&served.home.config()).unwrap();
    let kib = config.budget().kib();
    for field in [format!("\"memory\":\"{name}\""), format!("\"locked_kib\":{kib}")] {
        assert!(starting.contains(&field), "{field}: {starting}");
    }
    let metrics = served.scrape();
    let line = format!("countersign_secret_memory_info{{level=\"{name}\"}} 1\n");
    assert!(metrics.contains(&line), "{metrics}");
    assert!(!metrics.contains(other.as_str()), "{metrics}");

    let channel = client::connect(&served.socket()).await.unwrap();
    assert_services(channel, level).await;
    assert_eq!(served.status("VmLck"), format!("{kib} kB"));
}

async fn assert_services(channel: tonic::transport::Channel, level: Level) {
    let mut health = HealthClient::new(channel);
    for other in Level::ALL {
        let request = HealthCheckRequest { service: format!("memory.{}", other.as_str()) };
        let found = health.check(request).await.unwrap().into_inner().status();
        let expected =
            if other == level { ServingStatus::Serving } else { ServingStatus::NotServing };
        assert_eq!(found, expected, "{other:?}");
    }
}

/// KiB of mappings that are locked, left out of dumps, and not a fork's (proc(5),
/// smaps).
fn protected_kib(served: &Served, level: Level) -> usize {
    let smaps = format!("/proc/{}/smaps", served.pid().as_raw_pid());
    let smaps = fs::read_to_string(smaps).unwrap();
    let on_fork = match level {
        Level::MemfdSecret => "dc",
        Level::Mlock => "wf",
    };
    let (mut is_secret, mut size, mut total) = (false, 0, 0);
    for line in smaps.lines() {
        if line.split(' ').next().is_some_and(|word| word.contains('-')) {
            is_secret = line.contains("/secretmem");
        }
        if let Some(kib) = line.strip_prefix("Size:") {
            size = kib.trim().trim_end_matches(" kB").parse().unwrap();
        }
        let Some(flags) = line.strip_prefix("VmFlags: ") else {
            continue;
        };
        let flags: Vec<_> = flags.split_whitespace().collect();
        if ["lo", "dd", on_fork].iter().all(|flag| flags.contains(flag)) {
            assert_eq!(is_secret, level == Level::MemfdSecret);
            total += size;
        }
    }
    total
}

async fn serve(tables: &str) -> Served {
    let home = Home::embedded();
    home.add(tables);
    let command = home.serve();
    home.start(command).await
}

fn serve_without(tables: &str) -> Served {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| without(&MEMFD_SECRET, || runtime.block_on(serve(tables))))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_memfd_secret_locked_memory_serves() {
    for tables in [String::new(), requiring(Level::Mlock)] {
        let served = serve_without(&tables);
        let share = served.generate().await;
        served.sign(&share).await.unwrap();
        assert_level(&served, Level::Mlock).await;
        served.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_memfd_secret_it_serves() {
    if !has_memfd_secret() {
        return;
    }
    for level in Level::ALL {
        let served = serve(&requiring(level)).await;
        // The stronger one, also where the weaker would do.
        assert_level(&served, Level::MemfdSecret).await;
        served.stop();
    }
}

/// The kernel's own word for it, page by page: all of the budget, and all of it at
/// that level.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_budget_is_protected() {
    if !may_look(module_path!(), "every_page_of_the_budget_is_protected") {
        return;
    }
    let check = |served: Served, level| {
        let config = Config::load(&served.home.config()).unwrap();
        assert_eq!(protected_kib(&served, level), config.budget().kib());
        served.stop();
    };
    check(serve_without(""), Level::Mlock);
    if has_memfd_secret() {
        check(serve("").await, Level::MemfdSecret);
    }
}

/// The level is no matter of readiness.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_ready_says_its_level() {
    let here = tempfile::tempdir().unwrap();
    Authority::new().write_certificate(here.path());
    let settings = nobody(here.path().join("ca.pem").to_str().unwrap());
    let kms = Some(KmsConfig::VaultTransit(Box::new(settings)));
    let enclave = Enclave::with(Setup { kms, ..Setup::default() }).await;
    let channel = client::connect(&enclave.socket()).await.unwrap();
    let request = HealthCheckRequest { service: "readiness".to_owned() };
    let mut health = HealthClient::new(channel.clone());
    let found = health.check(request).await.unwrap().into_inner().status();
    assert_eq!(found, ServingStatus::NotServing);
    assert_services(channel, level().0).await;
}

#[test]
fn the_demo_says_it() {
    let demo = |arguments: &[&str]| {
        let shown = Command::new(binary()).arg("demo").args(arguments).output().unwrap();
        assert!(shown.status.success());
        String::from_utf8(shown.stdout).unwrap()
    };
    let summary = without(&MEMFD_SECRET, || demo(&[]));
    assert!(summary.contains("secret memory: mlock\n"), "{summary}");
    if !has_memfd_secret() {
        return;
    }
    assert!(demo(&[]).contains("secret memory: memfd_secret\n"));
    let report: serde_json::Value = serde_json::from_str(&demo(&["--json"])).unwrap();
    assert_eq!(report["protection"], "memfd_secret");
}

/// The gauge is read after the traffic: it is written together with that of the
/// slots, one of which a stream had taken.
#[tokio::test(flavor = "multi_thread")]
async fn traffic_leaks_nothing() {
    let served = serve("").await;
    let free = |served: &Served| served.metric("secret_slots_free");
    let before = free(&served).unwrap();
    let share = served.generate().await;
    for _ in 0..20 {
        served.sign(&share).await.unwrap();
    }
    let mut client = client::enclave(&served.socket()).await.unwrap();
    let (frames, received) = tokio::sync::mpsc::channel(32);
    for frame in share.frames(20) {
        frames.send(frame).await.unwrap();
    }
    let received = tokio_stream::wrappers::ReceiverStream::new(received);
    let mut answers = client.use_share(received).await.unwrap().into_inner();
    for _ in 0..21 {
        answers.next().await.unwrap().unwrap();
    }
    let keep = async {
        // A stream that says nothing for ten seconds is ended.
        let mut id = 1000;
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            id += 1;
            let _ = frames.send(share.frame(id)).await;
            let _ = answers.next().await;
        }
    };
    tokio::select! {
        () = served.until("a slot is taken", |served| free(served) == Some(before - 1)) => {}
        () = keep => {}
    }
    drop((frames, answers));
    served.until("it is free again", |served| free(served) == Some(before)).await;
    assert_eq!(served.metric("secret_sections_leaked"), Some(0));
    served.stop();
}
