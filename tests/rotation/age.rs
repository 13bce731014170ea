//! The age of the KEK, on a real Vault: what a server and `rotation status` say past 90 days,
//! and that the documented set-up does not let it come to that.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::kms::vault_transit::Settings;
use humantime::format_rfc3339;
use reqwest::Method;
use serde_json::{Value, json as value};

use super::{ended, json, stderr};
use crate::support::{
    served::{self, Home, SQLITE, binary},
    vault::{Tenant, VaultServer},
};

const DAY: u64 = 24 * 3600;

/// Makes the only version of a key as old as this: Vault lets nobody set the clock, but takes
/// a backup back that says when its versions were made.
async fn age(vault: &VaultServer, key: &str, days: u64) {
    let path = |what: &str| format!("transit/{what}/{key}");
    let config = format!("{}/config", path("keys"));
    let all =
        value!({"exportable": true, "allow_plaintext_backup": true, "deletion_allowed": true});
    vault.root(Method::POST, &config, all).await;
    let backup = vault.root(Method::GET, &path("backup"), Value::Null).await;
    let backup = STANDARD.decode(backup["backup"].as_str().unwrap()).unwrap();
    let mut backup: Value = serde_json::from_slice(&backup).unwrap();
    let made = std::time::SystemTime::now() - std::time::Duration::from_secs(days * DAY);
    let seconds = made.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let version = &mut backup["policy"]["keys"]["1"];
    assert!(version["time"].is_string() && version["creation_time"].is_number(), "{version}");
    version["time"] = value!(format_rfc3339(made).to_string());
    version["creation_time"] = value!(seconds);
    vault.root(Method::DELETE, &path("keys"), Value::Null).await;
    let backup = STANDARD.encode(backup.to_string());
    vault.root(Method::POST, &path("restore"), value!({"backup": backup})).await;
}

/// 90 days are not too many, 91 are: the log of a server warns, its metric is 1, and
/// `rotation status` fails. A new version ends all of it.
#[tokio::test(flavor = "multi_thread")]
async fn past_90_days_server_and_status_warn() {
    let Some(vault) = VaultServer::shared().await else { return };
    let tenant = Tenant::new(vault).await;
    let home = |settings: &Settings| {
        let kms = served::vault(settings, &vault.ca_file());
        Home::new(tenant.environment().as_str(), &kms, SQLITE)
    };
    let serves = home(&Settings { rotator: None, ..tenant.settings() });
    let rotator = home(&Settings { signer: None, custodian: None, ..tenant.settings() });
    let status = async || {
        let mut command = std::process::Command::new(binary());
        command.args(["rotation", "status", "--json", "--config"]).arg(rotator.config());
        ended(command).await
    };
    let mut serves = Some(serves);
    for (days, version, overdue) in [(90, 1, 0), (91, 1, 1), (0, 2, 0)] {
        match days {
            0 => tenant.rotate_key().await,
            days => age(vault, &tenant.key(), days).await,
        }
        let output = status().await;
        let told = json(&output);
        assert_eq!(told["age_days"], days, "{told}");
        assert_eq!(output.status.code(), Some(overdue), "{told} {}", stderr(&output));
        let home = serves.take().unwrap();
        let _ = fs::remove_file(home.path("log"));
        let serve = home.serve();
        let served = home.start(serve).await;
        let is_known = |served: &served::Served| served.metric("kek_version") == Some(version);
        served.until("the age of the KEK is known", is_known).await;
        assert_eq!(served.metric("kek_overdue"), Some(u64::try_from(overdue).unwrap()));
        let created = served.metric("kek_created_timestamp_seconds").unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!((now.as_secs() - created) / DAY, days);
        let home = served.stop_keeping();
        let log = home.log();
        let warning = log.lines().find(|line| line.contains("older than 90 days"));
        assert_eq!(warning.is_some(), overdue == 1, "{log}");
        if let Some(warning) = warning {
            let warning: Value = serde_json::from_str(warning).unwrap();
            assert_eq!(warning["level"], "WARN", "{warning}");
            let fields = warning.get("fields").unwrap_or(&warning);
            assert_eq!((&fields["version"], &fields["days"]), (&value!(1), &value!(91)));
        }
        serves = Some(home);
    }
}

/// The commands of the documents, as Vault takes them: a new key renews itself every 90 days,
/// and so does one that was there before.
#[tokio::test]
async fn the_documented_key_renews_itself_every_90_days() {
    let Some(vault) = VaultServer::shared().await else { return };
    let tenant = Tenant::new(vault).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let command = |document: &str, path: &str| {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let start = format!("vault write {path} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        let line = line.unwrap_or_else(|| panic!("{document} has no {start}"));
        let words = line.split(' ').map(|word| word.split_once('=').unwrap());
        // As the command line sends them: as text.
        let words: serde_json::Map<_, _> =
            words.map(|(name, word)| (name.to_owned(), value!(word))).collect();
        Value::Object(words)
    };
    let documented = "transit/keys/countersign-staging";
    let renews = async |key: &str| {
        let read = vault.root(Method::GET, &format!("transit/keys/{key}"), Value::Null).await;
        assert_eq!(read["auto_rotate_period"], 90 * DAY, "{read}");
        assert_eq!((&read["derived"], &read["type"]), (&value!(true), &value!("aes256-gcm96")));
        for never in ["exportable", "allow_plaintext_backup", "deletion_allowed"] {
            assert_eq!(read[never], false, "{never}");
        }
    };
    for (name, document) in [("of-readme", "README.md"), ("of-docs", "docs/vault.md")] {
        let key = format!("{name}-{}", tenant.environment());
        let path = format!("transit/keys/{key}");
        vault.root(Method::POST, &path, command(document, documented)).await;
        renews(&key).await;
    }
    // The tenant's own was made without.
    let config = command("docs/rotation.md", &format!("{documented}/config"));
    vault.root(Method::POST, &format!("transit/keys/{}/config", tenant.key()), config).await;
    renews(&tenant.key()).await;
}
