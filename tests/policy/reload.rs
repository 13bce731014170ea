//! Policies that change while the process runs.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign::{
    client,
    grpc::POLICIES,
    key::Algorithm,
    payload::Payload,
    policy::{Facts, GetPublicKey, Policies, Reload, Sign},
};
use rustix::process::{Signal, kill_process};
use tempfile::TempDir;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{caller, share};
use crate::support::{refused::assert_refused, served::Home};

const SIGN: &str = r#"@id("sign") permit (principal, action == Action::"Sign", resource);"#;
const READ: &str = r#"@id("read") permit (principal, action == Action::"GetPublicKey", resource);"#;

struct Directory(TempDir);

impl Directory {
    fn with(policy: &str) -> Self {
        let directory = Self(tempfile::tempdir().unwrap());
        directory.write(policy);
        directory
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, policy: &str) {
        fs::write(self.path().join("a.cedar"), policy).unwrap();
    }
}

/// Whether signing, and reading, is permitted.
fn permitted(policies: &Policies) -> (bool, bool) {
    let (caller, share) = (caller("app", &[]), share("w1", Algorithm::Ed25519));
    let payload = Payload::Message(b"message".as_slice().into());
    let policy = policies.current();
    let sign = policy.authorize(&caller, Arc::clone(&share), Sign { payload }).is_ok();
    (sign, policy.authorize(&caller, share, GetPublicKey).is_ok())
}

/// Is told of new sets, and does not care.
fn nobody(_: usize, _: [u8; 32]) {}

#[test]
fn a_new_set_is_in_force_when_it_was_seen_twice_or_asked_for() {
    let directory = Directory::with(SIGN);
    let policies = Policies::load(directory.path(), Facts::default()).unwrap();
    let first = policies.fingerprint();
    assert_eq!(
        (policies.refresh(nobody), permitted(&policies)),
        (Reload::Unchanged, (true, false))
    );

    directory.write(READ);
    assert_eq!(
        (policies.refresh(nobody), permitted(&policies)),
        (Reload::Unchanged, (true, false))
    );
    assert_eq!((policies.refresh(nobody), permitted(&policies)), (Reload::Loaded, (false, true)));
    assert_ne!(policies.fingerprint(), first);

    directory.write(SIGN);
    assert_eq!((policies.reload(nobody), permitted(&policies)), (Reload::Loaded, (true, false)));
    assert_eq!(policies.fingerprint(), first);
}

/// Files that are written one after another are no set.
#[test]
fn what_changes_between_two_looks_is_not_loaded() {
    let directory = Directory::with(SIGN);
    let policies = Policies::load(directory.path(), Facts::default()).unwrap();
    directory.write(READ);
    assert_eq!(policies.refresh(nobody), Reload::Unchanged);
    fs::write(directory.path().join("b.cedar"), SIGN).unwrap();
    assert_eq!(policies.refresh(nobody), Reload::Unchanged);
    assert_eq!(permitted(&policies), (true, false));
    assert_eq!((policies.refresh(nobody), permitted(&policies)), (Reload::Loaded, (true, true)));
}

#[test]
fn a_set_with_problems_leaves_the_old_one_and_is_told_once() {
    let directory = Directory::with(SIGN);
    let policies = Policies::load(directory.path(), Facts::default()).unwrap();
    // One good policy beside a bad one is not taken either.
    directory.write(&format!("{READ} permit (principal, action, resource);"));
    let Reload::Refused(problems) = policies.reload(nobody) else { panic!("it has no @id") };
    assert!(problems.iter().any(|problem| problem.problem.contains("@id")), "{problems:?}");
    assert_eq!((policies.reload(nobody), permitted(&policies)), (Reload::Unchanged, (true, false)));
    directory.write(SIGN);
    assert_eq!((policies.refresh(nobody), permitted(&policies)), (Reload::Restored, (true, false)));
    directory.write("permit (");
    assert!(matches!(policies.reload(nobody), Reload::Refused(_)));
    directory.write(READ);
    assert_eq!((policies.reload(nobody), permitted(&policies)), (Reload::Loaded, (false, true)));
}

#[test]
fn a_directory_that_goes_takes_nothing_along() {
    let directory = Directory::with(SIGN);
    let policies = Policies::load(directory.path(), Facts::default()).unwrap();
    fs::remove_file(directory.path().join("a.cedar")).unwrap();
    assert!(matches!(policies.reload(nobody), Reload::Refused(_)), "an empty set denies all");
    fs::remove_dir(directory.path()).unwrap();
    assert!(matches!(policies.reload(nobody), Reload::Refused(_)));
    assert_eq!(permitted(&policies), (true, false));
}

/// Two sets that contradict each other in two policies: whoever decides sees one of
/// them, never one policy of each.
#[test]
fn sets_are_never_mixed() {
    let directory = Directory::with(SIGN);
    let policies = Arc::new(Policies::load(directory.path(), Facts::default()).unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let deciders: Vec<_> = (0..2)
        .map(|_| {
            let (policies, done) = (Arc::clone(&policies), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut seen = [0, 0];
                while !done.load(Ordering::SeqCst) {
                    match permitted(&policies) {
                        (true, false) => seen[0] += 1,
                        (false, true) => seen[1] += 1,
                        mixed => panic!("{mixed:?}"),
                    }
                }
                seen
            })
        })
        .collect();
    for round in 0..100 {
        directory.write(if round % 2 == 0 { READ } else { SIGN });
        assert_eq!(policies.reload(nobody), Reload::Loaded);
    }
    done.store(true, Ordering::SeqCst);
    for decider in deciders {
        let [signing, reading] = decider.join().unwrap();
        assert!(signing + reading > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_takes_new_policies_and_says_what_it_does_not_take() {
    let home = Home::embedded();
    let serve = home.serve();
    let served = home.start(serve).await;
    let share = served.generate().await;
    served.sign(&share).await.unwrap();
    let file = served.home.path("config/policies/test.cedar");
    let good = fs::read_to_string(&file).unwrap();
    let health = async |service: &str| {
        let channel = client::connect(&served.socket()).await.unwrap();
        let request = HealthCheckRequest { service: service.to_owned() };
        HealthClient::new(channel).check(request).await.unwrap().into_inner().status()
    };
    assert_eq!(health(POLICIES).await, ServingStatus::Serving);
    assert_eq!(served.metric("policies_stale"), Some(0));

    // A bad set: the old one stays, and it is said everywhere.
    fs::write(&file, "permit (principal, action, resource);").unwrap();
    kill_process(served.pid(), Signal::HUP).unwrap();
    served.until("it is refused", |served| served.metric("policies_stale") == Some(1)).await;
    served.sign(&share).await.unwrap();
    assert_eq!(health(POLICIES).await, ServingStatus::NotServing);
    assert_eq!(health("readiness").await, ServingStatus::Serving);
    let log = served.home.log();
    assert!(log.contains("has no @id") && log.contains("the old ones stay in force"), "{log}");

    // A good one that no longer permits, without a signal.
    fs::write(&file, good.replace("Action::\"Sign\", ", "")).unwrap();
    served.until("it is loaded", |served| served.metric("policies_stale") == Some(0)).await;
    let denied = served.sign(&share).await.unwrap_err();
    assert_refused(&denied, Code::PermissionDenied, "POLICY_DENIED");
    assert_eq!(health(POLICIES).await, ServingStatus::Serving);

    // And back, at once.
    fs::write(&file, &good).unwrap();
    kill_process(served.pid(), Signal::HUP).unwrap();
    let mut waited = Duration::ZERO;
    while served.sign(&share).await.is_err() {
        assert!(waited < Duration::from_secs(20), "{}", served.home.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += Duration::from_millis(50);
    }
    served.stop();
}
