//! How much memory is locked: what a configuration takes, what `check` says, and
//! what the kernel counts while as many requests are in flight as may be.

use std::{fs, process::Command, sync::Arc, time::Duration};

use countersign::{
    client,
    config::Config,
    enclave::level,
    kms::vault_transit::{Login, Role, Settings},
};
use futures_util::future::join_all;
use tokio::{sync::Barrier, task::JoinSet};
use tonic::Request;

use crate::support::{
    pki::Authority,
    served::{Home, SQLITE, Served, binary, vault},
    vault::{Tenant, VaultServer},
};

/// Half of what a kernel since 5.16 allows: the defaults never need a raised limit
/// there. In KiB.
const FOUR_MEBIBYTES: usize = 4096;

const LOCAL: &str = "kind = \"local\"\nkek_file = \"{at}/kek/kek\"";
const VAULT: &str = "kind = \"vault-transit\"\n[vault]\naddresses = [\"https://localhost:1\"]\n\
                     ca_file = \"{at}/config/ca.pem\"\n[vault.signer]\nmethod = \"token-file\"\n\
                     token_file = \"{at}/config/token\"";

#[test]
fn check_prints_what_is_locked() {
    // Pages of 4 KiB: 256 requests, 64 streams, 8 more, the log's key, 4 for imports, 8 for a
    // local KEK;
    // 2 × 64 KiB; 144 KiB a worker; 1,472 KiB for the client of Vault.
    let cases = [
        (LOCAL, "[runtime]\nworkers = 1", 1636),
        (LOCAL, "[runtime]\nworkers = 8", 2644),
        (VAULT, "[runtime]\nworkers = 1", 3076),
        (VAULT, "[runtime]\nworkers = 8", 4084),
        (VAULT, "[runtime]\nworkers = 9", 4228),
        (VAULT, "[runtime]\nworkers = 8\n[limits]\nin_flight = 900\nstreams = 900", 10004),
    ];
    let level = level().0.as_str();
    for (kms, tables, kib) in cases {
        let home = Home::new("test", kms, SQLITE);
        Authority::new().write_certificate(&home.path("config"));
        home.add(tables);
        let config = Config::load(&home.config()).unwrap();
        assert_eq!(config.budget().kib(), kib, "{tables}");
        let mut check = Command::new(binary());
        let checked = check.args(["check", "--config"]).arg(home.config()).output().unwrap();
        let checked = String::from_utf8(checked.stdout).unwrap();
        let line =
            format!("secret memory  {kib} KiB to be locked; {level}, at least mlock required\n");
        assert!(checked.contains(&line), "{line}: {checked}");
    }
}

/// On any machine: more than eight workers have to be asked for.
#[test]
fn the_defaults_stay_below_four_mebibytes() {
    for kms in [LOCAL, VAULT] {
        let home = Home::new("test", kms, SQLITE);
        let mut config = Config::load(&home.config()).unwrap();
        assert!(config.workers <= 8);
        config.workers = 8;
        assert!(config.budget().kib() < FOUR_MEBIBYTES);
    }
}

/// With that much the server starts and signs; with a page less it is refused, and
/// says how much it takes.
#[tokio::test(flavor = "multi_thread")]
async fn the_budget_is_exact() {
    for workers in [1, 3] {
        let home = Home::embedded().unprivileged();
        home.add(&format!("[runtime]\nworkers = {workers}"));
        let kib = Config::load(&home.config()).unwrap().budget().kib();
        let refused = home.output(home.serve_within(kib - 4));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let needed = format!(
            "cannot lock {kib} KiB of secret memory: RLIMIT_MEMLOCK allows {} KiB. Raise it to at \
             least {kib} KiB (`ulimit -l`, ",
            kib - 4
        );
        assert!(said.contains(&needed), "{said}");
        assert!(!home.path("run/enclave.sock").exists());
        let command = home.serve_within(kib);
        let served = home.start(command).await;
        let share = served.generate().await;
        served.sign(&share).await.unwrap();
        served.stop();
    }
}

const AT_ONCE: usize = 256;
const CONNECTIONS: usize = 8;
/// Longer than Vault is frozen.
const LONG: &str = "[vault]\nconnect_timeout = \"30s\"\nrequest_timeout = \"30s\"\n";

/// A user without privileges, whom RLIMIT_MEMLOCK binds, with a real Vault. It is
/// frozen until all requests are in flight; every one is signed then.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_and_fifty_six_requests_within_four_mebibytes() {
    let Some(server) = VaultServer::dedicated().await else {
        return;
    };
    let tenant = Tenant::new(&server).await;
    // In files that another user can read.
    let own = |login: Login| match login {
        Login::AppRole { mount, role_id, secret_id_file } => {
            let secret = fs::read(&secret_id_file).unwrap();
            let name = secret_id_file.file_name().unwrap().to_str().unwrap().to_owned();
            let secret_id_file = format!("{{at}}/config/{name}").into();
            (Login::AppRole { mount, role_id, secret_id_file }, name, secret)
        }
        _ => unreachable!("a tenant logs in by AppRole"),
    };
    let [signer, custodian] = [Role::Signer, Role::Custodian].map(|role| own(tenant.login(role)));
    let files = [(signer.1, signer.2), (custodian.1, custodian.2)];
    let settings =
        Settings { signer: Some(signer.0), custodian: Some(custodian.0), ..tenant.settings() };
    let kms = vault(&settings, "{at}/config/ca.pem".as_ref()).replace("[vault]\n", LONG);
    let home = Home::new(tenant.environment().as_str(), &kms, SQLITE);
    // The callers here are one.
    home.add("[runtime]\nworkers = 8\n[limits]\nin_flight_per_caller = 256");
    fs::copy(server.ca_file(), home.path("config/ca.pem")).unwrap();
    for (name, secret) in files {
        fs::write(home.path("config").join(name), secret).unwrap();
    }
    let home = home.unprivileged();
    let limited = home.serve_within(FOUR_MEBIBYTES);
    let kib = Config::load(&home.config()).unwrap().budget().kib();
    let served = home.start(limited).await;

    let limits = format!("/proc/{}/limits", served.pid().as_raw_pid());
    let limits = fs::read_to_string(limits).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max locked memory")).unwrap();
    assert_eq!(limit.split_whitespace().nth(3), Some("4194304"), "{limit}");
    let privileges = served.status("CapEff");
    assert_eq!(privileges.trim_matches('0'), "", "CAP_IPC_LOCK would lift the limit");
    assert!(kib < FOUR_MEBIBYTES);
    let locked = format!("{kib} kB");
    assert_eq!(served.status("VmLck"), locked);

    let share = served.generate().await;
    served.sign(&share).await.unwrap();
    let free = served.metric("secret_slots_free").unwrap();
    server.freeze(true);
    let socket = served.socket();
    let clients = join_all((0..CONNECTIONS).map(|_| client::enclave(&socket))).await;
    let barrier = Arc::new(Barrier::new(AT_ONCE));
    let mut requests = JoinSet::new();
    for number in 0..AT_ONCE {
        let mut client = clients[number % CONNECTIONS].as_ref().unwrap().clone();
        let message = format!("one of many: {number}").into_bytes();
        let mut request = Request::new(share.sign_request(&message));
        request.set_timeout(Duration::from_secs(30));
        let barrier = Arc::clone(&barrier);
        requests.spawn(async move {
            barrier.wait().await;
            (client.sign(request).await, message)
        });
    }
    // Each has its slot, and waits for its DEK.
    let all = Some(free - AT_ONCE as u64);
    served.until("all are in flight", |served| served.metric("secret_slots_free") == all).await;
    assert_eq!(served.status("VmLck"), locked);
    server.freeze(false);
    let mut signed = 0;
    while let Some(answer) = requests.join_next().await {
        let (answer, message) = answer.unwrap();
        share.verify(&message, &answer.unwrap().into_inner());
        signed += 1;
    }
    assert_eq!(signed, AT_ONCE);
    assert_eq!(served.status("VmLck"), locked);
    let is_free = |served: &Served| served.metric("secret_slots_free") == Some(free);
    served.until("all slots are free", is_free).await;
    assert_eq!(served.metric("secret_sections_leaked"), Some(0));
    served.stop();
}
