//! The same where the records are in Vault's KV engine, which keeps what is written over:
//! what was left behind is destroyed there as well.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    client,
    envelope::Envelope,
    kms::vault_transit::Settings,
    proto,
    store::vault_kv::policy::{Access, hcl},
};
use reqwest::Method;
use serde_json::{Value, json as value};
use tokio::time::sleep;

use super::{begun, ended, json, migrate::beside, stderr};
use crate::support::{
    served::{self, Home, LOCAL, Served, Share, binary},
    vault::{Tenant, VaultServer},
};

/// A server that signs, and a rotator, with logins of their own to the same records.
struct Stage<'a> {
    vault: &'a VaultServer,
    tenant: Tenant<'a>,
    served: Served,
    rotator: Home,
    shares: Vec<Share>,
}

impl<'a> Stage<'a> {
    /// With so many records that version 1 wraps; none without a Vault.
    async fn set(count: usize) -> Option<Stage<'a>> {
        let vault = VaultServer::shared().await?;
        let tenant = Tenant::new(vault).await;
        tenant.mount_kv().await;
        let signing = Settings { rotator: None, ..tenant.settings() };
        let rotating = Settings { signer: None, custodian: None, ..tenant.settings() };
        let served = serve(home(&tenant, &signing, Access::Write).await).await;
        let rotator = home(&tenant, &rotating, Access::Rotate).await;
        let mut shares = Vec::new();
        for _ in 0..count {
            shares.push(served.generate().await);
        }
        Some(Stage { vault, tenant, served, rotator, shares })
    }

    fn command(&self, words: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(words).arg("--config").arg(self.rotator.config()).args(arguments);
        command
    }

    fn rewrap(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["share", "rewrap"], &["--json"]);
        command.arg("--audit").arg(self.rotator.path("rotator-audit")).args(arguments);
        command
    }

    fn instance(&self) -> String {
        self.served.home.path("audit").display().to_string()
    }

    /// The envelopes of all shares, in their order.
    async fn envelopes(&self) -> Vec<Envelope> {
        let mut envelopes = Vec::new();
        for share in &self.shares {
            envelopes.push(envelope(&secret(self.vault, &self.tenant, share).await));
        }
        envelopes
    }

    /// How many records version 2 wraps.
    async fn moved(&self) -> usize {
        let envelopes = self.envelopes().await;
        let moved = |envelope: &&Envelope| envelope.wrapped_dek().kek_version() == Some(2);
        envelopes.iter().filter(moved).count()
    }

    async fn assert_no_history(&self) {
        for share in &self.shares {
            assert_eq!(kept(self.vault, &self.tenant, share).await.len(), 1, "{}", share.id());
        }
    }
}

async fn home(tenant: &Tenant<'_>, settings: &Settings, access: Access) -> Home {
    let records = tenant.records(access, tenant.environment()).await;
    let [store, login] = served::records(&records);
    let kms = served::vault(settings, &settings.ca_file) + &login;
    Home::new(tenant.environment().as_str(), &kms, &store)
}

async fn serve(home: Home) -> Served {
    let _ = std::fs::remove_file(home.path("log"));
    let serve = home.serve();
    home.start(serve).await
}

fn path(tenant: &Tenant<'_>, kind: &str, share: &Share) -> String {
    tenant.secret(kind, tenant.environment(), share.id().parse().unwrap())
}

/// The secret of a share, as it is now.
async fn secret(vault: &VaultServer, tenant: &Tenant<'_>, share: &Share) -> Value {
    vault.root(Method::GET, &path(tenant, "data", share), Value::Null).await["data"].clone()
}

fn envelope(secret: &Value) -> Envelope {
    let text = secret["record"]["encrypted_key_shares"].as_str().unwrap();
    Envelope::decode(&STANDARD.decode(text).unwrap()).unwrap()
}

/// The numbers of the versions that Vault gives out, to root.
async fn kept(vault: &VaultServer, tenant: &Tenant<'_>, share: &Share) -> Vec<u64> {
    let metadata = vault.root(Method::GET, &path(tenant, "metadata", share), Value::Null).await;
    let newest = metadata["current_version"].as_u64().unwrap();
    let mut kept = Vec::new();
    for version in 1..=newest {
        let data = format!("{}?version={version}", path(tenant, "data", share));
        let (status, _) = vault.call_as_root(Method::GET, &data, Value::Null).await;
        assert!(matches!(status, 200 | 404), "{status}");
        // What is not given out is gone, and not only marked as deleted.
        let is_destroyed = &metadata["versions"][version.to_string()]["destroyed"];
        assert_eq!(*is_destroyed, value!(status == 404), "{metadata}");
        if status == 200 {
            kept.push(version);
        }
    }
    kept
}

/// Records move while their shares sign; the rotator is killed half-way and another run
/// goes on. The floor does not rise before. No wrapping by the old version is left in the
/// history of any record, not even of one that the killed run had written.
#[tokio::test(flavor = "multi_thread")]
async fn records_in_vault_move_while_shares_sign() {
    let Some(stage) = Stage::set(30).await else { return };
    let Stage { tenant, vault, .. } = &stage;
    let mut custody = client::custody(&stage.served.home.path("run/custody.sock")).await.unwrap();
    let share_id = stage.shares[3].id().to_owned();
    let disable = proto::DisableShareRequest { share_id: share_id.clone(), ..Default::default() };
    custody.disable_share(disable).await.unwrap();
    let enable = proto::EnableShareRequest { share_id, ..Default::default() };
    custody.enable_share(enable).await.unwrap();
    assert_eq!(kept(vault, tenant, &stage.shares[3]).await, [1, 2, 3]);
    let before = stage.envelopes().await;
    tenant.rotate_key().await;

    let (stop, signed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&signed));
    let mut enclave = client::enclave(&stage.served.socket()).await.unwrap();
    let requests: Vec<_> = stage.shares.iter().map(|share| share.sign_request(b"moving")).collect();
    let signing = tokio::spawn(async move {
        for request in requests.iter().cycle() {
            if stopped.load(Ordering::Relaxed) {
                return;
            }
            enclave.sign(request.clone()).await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });

    let mut killed = begun(stage.rewrap(&["--rate", "10", "--batch", "3"]));
    while stage.moved().await < 6 {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it could be killed");
        sleep(Duration::from_millis(10)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let moved = stage.moved().await;
    assert!((6..30).contains(&moved), "{moved}");
    tenant.let_raise_the_floor().await;
    let instance = stage.instance();
    let floor = ["--to", "2", "--instance", &instance];
    let refused = ended(stage.command(&["rotation", "floor"], &floor)).await;
    let why = format!("refused: {} records are wrapped by a version below 2", 30 - moved);
    assert!(stderr(&refused).contains(&why), "{}", stderr(&refused));

    leave(vault, tenant, &stage.shares[0], &before[0]).await;

    let output = ended(stage.rewrap(&["--instance", &instance])).await;
    let report = json(&output);
    assert!(output.status.success(), "{report} {}", stderr(&output));
    assert_eq!(report["rewrapped"].as_u64().unwrap() + moved as u64, 30, "{report}");
    stop.store(true, Ordering::Relaxed);
    signing.await.unwrap();
    assert!(signed.load(Ordering::Relaxed) > 30);
    stage.assert_no_history().await;
    for (old, new) in before.iter().zip(&stage.envelopes().await) {
        assert_eq!((old.header(), old.sealed()), (new.header(), new.sealed()));
        assert_eq!(new.wrapped_dek().kek_version(), Some(2));
    }

    let floor = ended(stage.command(&["rotation", "floor"], &floor)).await;
    assert!(floor.status.success(), "{}", stderr(&floor));
    let Stage { served, shares, .. } = stage;
    let served = serve(served.stop_keeping()).await;
    for share in shares.iter().take(3) {
        served.sign(share).await.unwrap();
    }
    served.stop();
}

/// Leaves an envelope in the history, as a kill between writing and destroying does.
async fn leave(vault: &VaultServer, tenant: &Tenant<'_>, share: &Share, old: &Envelope) {
    let now = secret(vault, tenant, share).await;
    let mut as_it_was = now.clone();
    as_it_was["record"]["encrypted_key_shares"] = value!(STANDARD.encode(old.encode()));
    let metadata = vault.root(Method::GET, &path(tenant, "metadata", share), Value::Null).await;
    let newest = metadata["current_version"].as_u64().unwrap();
    for (cas, data) in (newest..).zip([as_it_was, now]) {
        let body = value!({"data": data, "options": {"cas": cas}});
        vault.root(Method::POST, &path(tenant, "data", share), body).await;
    }
    assert!(kept(vault, tenant, share).await.len() >= 3);
}

/// A login that may not destroy moves the records all the same, says of each what is left,
/// and fails; with the right another run destroys it.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_destroyed_is_told() {
    let Some(stage) = Stage::set(3).await else { return };
    let Stage { tenant, vault, .. } = &stage;
    let whole = hcl(Access::Rotate, &tenant.kv(), "countersign", tenant.environment());
    let (before, destroy) = whole.split_once("\n# The versions of a record before").unwrap();
    let (_, after) = destroy.split_once("}\n").unwrap();
    tenant.permit_records(Access::Rotate, &format!("{before}{after}")).await;
    tenant.rotate_key().await;
    for _ in 0..2 {
        let output = ended(stage.rewrap(&[])).await;
        let report = json(&output);
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert_eq!(stage.moved().await, 3);
        assert_eq!(tenant.count("rewrap"), 1, "once");
        for share in &stage.shares {
            let why = report["failed"][share.id()].as_str().unwrap();
            assert!(
                why.starts_with("STORE_") && why.contains("older versions of it stay"),
                "{why}"
            );
            assert!(why.contains("store-rotator"), "{why}");
            assert_eq!(kept(vault, tenant, share).await, [1, 2]);
        }
    }
    tenant.permit_records(Access::Rotate, &whole).await;
    let output = ended(stage.rewrap(&[])).await;
    assert_eq!(json(&output)["current"], 3, "{}", stderr(&output));
    stage.assert_no_history().await;
    // And it makes and removes nothing.
    for right in ["create", "delete"] {
        assert!(!whole.contains(right), "{whole}");
    }
    stage.served.stop();
}

/// A share that is sealed anew leaves no envelope under the old DEK in Vault.
#[tokio::test(flavor = "multi_thread")]
async fn sealing_anew_leaves_no_old_envelope_in_vault() {
    let Some(stage) = Stage::set(1).await else { return };
    let share = &stage.shares[0];
    let before = stage.envelopes().await.remove(0);
    for version in [2, 3] {
        let mut command = Command::new(binary());
        command.args(["share", "reencrypt", "--json", "--reason", "an exercise", "--socket"]);
        command.arg(stage.served.home.path("run/custody.sock")).arg(share.id());
        let output = ended(command).await;
        assert!(output.status.success(), "{}", stderr(&output));
        let after = stage.envelopes().await.remove(0);
        assert_eq!(after.header().identity.version.get(), version);
        assert_ne!((before.header(), before.sealed()), (after.header(), after.sealed()));
        assert_eq!(kept(stage.vault, &stage.tenant, share).await, [u64::from(version)]);
        stage.served.sign(share).await.unwrap();
    }
    stage.served.stop();
}

/// From a KEK in a file to Vault's, killed and resumed, with the records in Vault.
#[tokio::test(flavor = "multi_thread")]
async fn records_in_vault_move_to_another_kek() {
    let Some(vault) = VaultServer::shared().await else { return };
    let tenant = Tenant::new(vault).await;
    tenant.mount_kv().await;
    let records = tenant.records(Access::Write, tenant.environment()).await;
    let [store, login] = served::records(&records);
    let kms = [LOCAL, &served::server(&records.server), &login].concat();
    let first = serve(Home::new(tenant.environment().as_str(), &kms, &store)).await;
    let mut shares = Vec::new();
    for _ in 0..12 {
        shares.push(first.generate().await);
    }
    let home = first.stop_keeping();
    let settings = Settings { rotator: None, ..tenant.settings() };
    let transit = served::vault(&settings, &vault.ca_file()) + &login;
    let (from, to) = (home.config(), beside(&home, "transit.toml", &transit));
    let envelopes = async || {
        let mut envelopes = Vec::new();
        for share in &shares {
            envelopes.push(envelope(&secret(vault, &tenant, share).await));
        }
        envelopes
    };
    let is_moved = |envelope: &Envelope| envelope.header().kek.provider() == "vault-transit";
    let moved = async || envelopes().await.iter().filter(|envelope| is_moved(envelope)).count();
    let before = envelopes().await;
    // Another place in the same Vault is another store.
    let elsewhere = beside(&home, "elsewhere.toml", &transit);
    let document = std::fs::read_to_string(&elsewhere).unwrap();
    let document = document.replace("prefix = \"countersign\"", "prefix = \"elsewhere\"");
    std::fs::write(&elsewhere, document).unwrap();
    let refused = ended(super::migrate::migrate(&home, &from, &elsewhere)).await;
    assert_eq!(refused.status.code(), Some(78));
    assert!(stderr(&refused).contains("have different stores"), "{}", stderr(&refused));

    let mut killed = begun(super::migrate::migrate(&home, &from, &to));
    while moved().await < 2 {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it could be killed");
        sleep(Duration::from_millis(1)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let half = moved().await;
    let one = envelopes().await.iter().position(is_moved).unwrap();
    leave(vault, &tenant, &shares[one], &before[one]).await;
    let output = ended(super::migrate::migrate(&home, &from, &to)).await;
    let report = json(&output);
    assert!(output.status.success(), "{report} {}", stderr(&output));
    assert_eq!((&report["moved"], &report["current"]), (&value!(12 - half), &value!(half)));
    for share in &shares {
        // The killed run's last one, too, whether or not it came to destroy it.
        assert_eq!(kept(vault, &tenant, share).await.len(), 1);
    }
    std::fs::copy(&to, home.config()).unwrap();
    std::fs::rename(home.path("audit/identity.json"), home.path("audit/identity.json.local"))
        .unwrap();
    let served = serve(home).await;
    for share in &shares {
        served.sign(share).await.unwrap();
    }
    served.stop();
}
