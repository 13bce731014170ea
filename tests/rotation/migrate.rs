//! From one KEK to another: a file, then a Vault, then another key of it.

use std::{fs, process::Command};

use countersign::{envelope::Envelope, kms::vault_transit::Settings};
use rusqlite::params;

use super::{ended, json, stderr};
use crate::support::{
    served::{self, Home, LOCAL, SQLITE, Served, Share, binary},
    vault::{Tenant, VaultServer},
};

/// Another configuration of the same home, with another KMS and its own file.
pub fn beside(home: &Home, name: &str, kms: &str) -> std::path::PathBuf {
    let document = fs::read_to_string(home.config()).unwrap();
    let (before, _) = document.split_once("[kms]").unwrap();
    let path = home.path("config").join(name);
    fs::write(&path, format!("{before}[kms]\n{kms}\n")).unwrap();
    path
}

pub fn migrate(home: &Home, from: &std::path::Path, to: &std::path::Path) -> Command {
    let mut command = Command::new(binary());
    command.args(["share", "migrate", "--json", "--reason", "an exercise", "--config"]).arg(from);
    // A log for each way: its key is wrapped by the KEK that the way begins at.
    let log = format!("audit-of-{}", from.file_stem().unwrap().display());
    command.arg("--to").arg(to).arg("--audit").arg(home.path(&log));
    command
}

fn envelopes(home: &Home, shares: &[Share]) -> Vec<Envelope> {
    let database = rusqlite::Connection::open(home.path("db/shares.db")).unwrap();
    let query = "SELECT encrypted_key_shares FROM server_wallet_key_shares WHERE id = ?1";
    let read = |share: &Share| {
        let id: uuid::Uuid = share.id().parse().unwrap();
        let row = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0);
        Envelope::decode(&database.query_row(query, params![id.as_bytes()], row).unwrap()).unwrap()
    };
    shares.iter().map(read).collect()
}

async fn served(home: Home) -> Served {
    let _ = fs::remove_file(home.path("log"));
    let serve = home.serve();
    home.start(serve).await
}

/// `local` to `vault-transit` and on to a second key; killed on the way and resumed. Every
/// share signs under the new configuration, and none is opened by the old one.
#[tokio::test(flavor = "multi_thread")]
async fn records_move_to_another_kek() {
    let Some(vault) = VaultServer::shared().await else { return };
    let tenant = Tenant::new(vault).await;
    let home = Home::new(tenant.environment().as_str(), LOCAL, SQLITE);
    let first = served(home).await;
    let mut shares = Vec::new();
    for _ in 0..40 {
        shares.push(first.generate().await);
    }
    let home = first.stop_keeping();
    let settings = Settings { rotator: None, ..tenant.settings() };
    let transit = served::vault(&settings, &vault.ca_file());
    let to = beside(&home, "transit.toml", &transit);
    let from = home.config();
    let before = envelopes(&home, &shares);

    // To itself there is no way.
    let same = ended(migrate(&home, &from, &from)).await;
    assert_eq!(same.status.code(), Some(78));
    assert!(stderr(&same).contains("both KEKs are local//"), "{}", stderr(&same));

    let moved = |home: &Home| {
        let all = envelopes(home, &shares);
        all.iter().filter(|envelope| envelope.header().kek.provider() == "vault-transit").count()
    };
    let mut killed = super::begun(migrate(&home, &from, &to));
    while moved(&home) < 5 {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it could be killed");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let half = moved(&home);
    assert!((1..40).contains(&half), "{half}");

    let output = ended(migrate(&home, &from, &to)).await;
    let report = json(&output);
    assert!(output.status.success(), "{report} {}", stderr(&output));
    assert_eq!(report["moved"], 40 - half, "{report}");
    assert_eq!(report["current"], half, "{report}");
    let after = envelopes(&home, &shares);
    for (old, new) in before.iter().zip(&after) {
        let (old, new) = (old.header(), new.header());
        assert_eq!(new.kek.to_string(), format!("vault-transit/transit/{}", tenant.key()));
        assert_eq!(new.identity.version.get(), 2);
        assert_eq!(
            (&new.identity.wallet, new.identity.share, &new.identity.address),
            (&old.identity.wallet, old.identity.share, &old.identity.address)
        );
        assert_ne!(old.commitment, new.commitment);
    }

    // The old configuration opens none of them; the new one, which has an instance's key
    // of its own, all.
    let old = served(home).await;
    let refused = old.sign(&shares[0]).await.unwrap_err();
    assert!(format!("{refused:?}").contains("KMS_OTHER_KEK"), "{refused:?}");
    let home = old.stop_keeping();
    fs::copy(&to, home.config()).unwrap();
    fs::rename(home.path("audit/identity.json"), home.path("audit/identity.json.local")).unwrap();
    let new = served(home).await;
    for share in &shares {
        new.sign(share).await.unwrap();
    }
    let home = new.stop_keeping();

    // To another key of the same Vault.
    tenant.create_key_called("second").await;
    let second = format!("second-{}", tenant.environment());
    let transit = transit.replace("[vault]\n", &format!("[vault]\nkey = {second:?}\n"));
    let next = beside(&home, "second.toml", &transit);
    let output = ended(migrate(&home, &to, &next)).await;
    assert_eq!(json(&output)["failed"].as_object().unwrap().len(), 40, "no right there yet");
    assert_eq!(envelopes(&home, &shares), after);
    tenant.let_use_key_called("second").await;
    let output = ended(migrate(&home, &to, &next)).await;
    assert_eq!(json(&output)["moved"], 40, "{} {}", json(&output), stderr(&output));
    fs::copy(&next, home.config()).unwrap();
    fs::rename(home.path("audit/identity.json"), home.path("audit/identity.json.first")).unwrap();
    let last = served(home).await;
    for share in &shares {
        last.sign(share).await.unwrap();
    }
    last.stop();
}
