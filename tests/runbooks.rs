//! The pages of `docs/runbooks`, followed from the first command to the last on real
//! servers, after what each page is about has happened.

mod machine;
mod page;
mod shell;

use std::{collections::BTreeSet, fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::envelope::KekContext;
use rustix::process::getuid;

use self::machine::Machine;
use crate::support::{kernel::lacking, namespace::unshare};

/// The pages, by their names; each has its test below.
const PAGES: [&str; 8] = [
    "disk-full",
    "exposure",
    "failed-rotation",
    "kek-compromise",
    "leaked-vault-token",
    "lost-database",
    "lost-vault",
    "operator-leaves",
];

#[test]
fn every_page_is_followed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name());
    let pages: BTreeSet<_> = files.map(|file| file.into_string().unwrap()).collect();
    let tested = PAGES.map(|page| format!("{page}.md")).into_iter();
    assert_eq!(pages, tested.chain(["README.md".to_owned()]).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn exposure() {
    let Some(mut machine) = Machine::start().await else { return };
    let share = machine.shares[1].clone();
    machine.set("SHARE", &share);
    machine.sign(&share);
    machine.follow("exposure").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaked_vault_token() {
    let Some(mut machine) = Machine::start().await else { return };
    machine.sign(&machine.shares[1].clone());
    // Somebody takes the secret id, logs in, and unwraps what he found in the database.
    let envelope = machine.envelope(&machine.shares[1]).await;
    let wrapped = std::str::from_utf8(envelope.wrapped_dek().as_bytes()).unwrap();
    let context = KekContext::of(&envelope.header().identity);
    machine.set("WRAPPED", wrapped);
    machine.set("CONTEXT", &STANDARD.encode(context.as_bytes()));
    machine.run(
        "vault write -field=token auth/approle/login role_id=@\"$SECRETS/signer.role-id\" \
         secret_id=@\"$SECRETS/signer.secret-id\" > \"$SECRETS/leaked-token\"",
    );
    machine.run(
        "VAULT_TOKEN=$(cat \"$SECRETS/leaked-token\") vault write -field=plaintext \
         transit/decrypt/countersign-staging ciphertext=\"$WRAPPED\" context=\"$CONTEXT\" > /dev/null",
    );
    machine.follow("leaked-vault-token").await;
    // What was unwrapped since was asked for, each of it: of a share that is sealed anew two.
    let again = "jq -r 'select(.type == \"response\" and .error == null and \
                 .request.path == \"transit/decrypt/countersign-staging\") | .request.id' \
                 \"$VAULT_AUDIT\" | sort > \"$SECRETS/unwrapped\" && countersign audit show \"$AUDIT\" \
                 --json | jq -r '.. | objects | .kms_request_id, .new_kms_request_id | values' | \
                 sort | comm -23 \"$SECRETS/unwrapped\" - | wc -l";
    assert_eq!(machine.run(again).trim(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn kek_compromise() {
    let Some(mut machine) = Machine::start().await else { return };
    machine.follow("kek-compromise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_vault() {
    let Some(mut machine) = Machine::start().await else { return };
    machine.run("vault operator raft snapshot save \"$SECRETS/snapshot\"");
    machine.set("SNAPSHOT", &format!("{}/snapshot", machine.files().display()));
    let key = machine.vault.unseal_key().to_owned();
    fs::write(machine.files().join("unseal-key"), key).unwrap();
    machine.vault.stop();
    let data = machine.vault.data();
    fs::remove_dir_all(&data).unwrap();
    fs::create_dir(&data).unwrap();
    machine.follow("lost-vault").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_database() {
    let Some(mut machine) = Machine::start().await else { return };
    machine.run("countersign share backup --config \"$CONFIG\" --out \"$BACKUP\"");
    machine.run("sleep 1; export SINCE=$(date -u +%FT%TZ)");
    let disabled = machine.shares[2].clone();
    machine.set("DISABLED", &disabled);
    machine.run(
        "countersign share disable --socket \"$CUSTODY\" \"$DISABLED\" --reason \"its owner left\"",
    );
    machine.run("psql -q \"$DATABASE\" -c 'DROP OWNED BY app CASCADE'");
    machine.run("psql -q \"$DATABASE\" -c 'ALTER SCHEMA public OWNER TO app'");
    machine.follow("lost-database").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_rotation() {
    let Some(mut machine) = Machine::start().await else { return };
    machine.run("countersign share backup --config \"$CONFIG\" --out \"$BACKUP\"");
    let [share, other] = [1, 2].map(|share| machine.shares[share].clone());
    machine.run("vault write -force transit/keys/countersign-staging/rotate");
    // Somebody put the wrapped DEK of one record into another.
    machine.take_wrapped_dek(&share, &other).await;
    machine.set("SHARE", &share);
    machine.follow("failed-rotation").await;
}

/// A file system of 2 MiB, on which somebody leaves what fills it.
#[tokio::test(flavor = "multi_thread")]
async fn disk_full() {
    let Some(command) = unshare() else { return };
    let mount = "mkdir -p \"$AUDIT\" && mount -t tmpfs -o size=2m,mode=0700 tmpfs \"$AUDIT\"";
    let Some(mut machine) = Machine::start_in(command, mount).await else { return };
    machine.run("! cat /dev/zero > \"$AUDIT/core.4711\"");
    // There is room for some more on the last page.
    machine.run(
        "while countersign sign --socket \"$SOCKET\" --share-id \"$CANARY\" --wallet-id wallet \
         --message test; do :; done > /dev/null 2>&1",
    );
    machine.follow("disk-full").await;
}

/// The operator has another uid than the application.
#[tokio::test(flavor = "multi_thread")]
async fn operator_leaves() {
    if !getuid().is_root() {
        return lacking("root, to be another user as well");
    }
    let Some(mut machine) = Machine::start().await else { return };
    machine.run(
        "cat >> \"$CONFIG\" <<'END'
[[caller]]
name = \"maria\"
uid = 12345
END",
    );
    machine.run(
        "cat > \"$POLICIES/people.cedar\" <<'END'
@id(\"maria-keeps-shares\")
permit (principal == Caller::\"maria\",
    action in [Action::\"DisableShare\", Action::\"ScheduleDestruction\"], resource);
END",
    );
    machine.systemctl("restart countersign").await;
    machine.run(
        "chmod 0755 \"$(dirname \"$(dirname \"$CUSTODY\")\")\" \"$(dirname \"$CUSTODY\")\" && \
         chmod 0666 \"$CUSTODY\"",
    );
    let share = machine.shares[1].clone();
    machine.set("SHARE", &share);
    for verb in ["disable", "schedule-destruction"] {
        machine.run(&format!(
            "setpriv --reuid=12345 --clear-groups \"$(readlink -f \"$(command -v countersign)\")\" share \
             {verb} --socket \"$CUSTODY\" \"$SHARE\" --reason \"its wallet is closed\""
        ));
    }
    machine.follow("operator-leaves").await;
}
