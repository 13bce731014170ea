//! Rotation: the rotator's commands against a real Vault and a real Postgres, beside a
//! server that signs.

mod age;
mod in_vault;
mod migrate;
mod reencrypt;
mod shred;
mod stays;
mod while_signing;

use std::{
    collections::HashMap,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use countersign::{
    envelope::{Envelope, WrappedDek},
    kms::vault_transit::Settings,
};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{
    postgres::{Database, PostgresServer},
    served::{self, Home, Served, Share, binary},
    vault::{Tenant, VaultServer},
};

/// A server that signs, and a rotator with a configuration of its own.
struct Stage<'a> {
    tenant: Tenant<'a>,
    database: Database<'a>,
    served: Served,
    shares: Vec<Share>,
    rotator: Home,
}

/// Of a row: the envelope and the revision.
struct Row {
    envelope: Vec<u8>,
    revision: i64,
}

impl<'a> Stage<'a> {
    /// With so many records that version 1 wraps; none without the servers.
    async fn set(count: usize) -> Option<Stage<'a>> {
        let vault = VaultServer::shared().await?;
        let postgres = PostgresServer::shared()?;
        let tenant = Tenant::new(vault).await;
        let database = postgres.database().await;
        let environment = tenant.environment().to_string();
        let store = served::postgres(&database.settings());
        let home = |settings: &Settings| {
            Home::new(&environment, &served::vault(settings, &vault.ca_file()), &store)
        };
        let signing = home(&Settings { rotator: None, ..tenant.settings() });
        let rotator = home(&Settings { signer: None, custodian: None, ..tenant.settings() });
        signing.add("[custody]\ndestroy_after = \"0s\"");
        let serve = signing.serve();
        let served = signing.start(serve).await;
        let making = stream::iter(0..count).map(|_| served.generate()).buffer_unordered(4);
        let shares = making.collect().await;
        Some(Stage { tenant, database, served, shares, rotator })
    }

    /// Where the server's audit log and its key are.
    fn instance(&self) -> String {
        self.served.home.path("audit").display().to_string()
    }

    /// The rotator's own log.
    fn log(&self) -> PathBuf {
        self.rotator.path("rotator-audit")
    }

    /// A command of the rotator's.
    fn command(&self, words: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(words).arg("--config").arg(self.rotator.config()).args(arguments);
        command
    }

    fn rewrap(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["share", "rewrap"], &["--json"]);
        command.arg("--audit").arg(self.log()).args(arguments);
        command
    }

    /// With the first share as the canary's.
    fn rewrap_with_canary(&self, arguments: &[&str]) -> Command {
        let mut command = self.rewrap(arguments);
        command.arg("--canary").arg(self.served.socket());
        command.args(["--share-id", self.shares[0].id(), "--wallet-id", "wallet"]);
        command
    }

    /// What `rotation status` says, and whether all is as it should be.
    async fn status(&self) -> (Value, bool) {
        let output = ended(self.command(&["rotation", "status"], &["--json"])).await;
        (json(&output), output.status.success())
    }

    /// How many records a version wraps.
    async fn wrapped_by(&self, version: u64) -> u64 {
        let (status, _) = self.status().await;
        let versions = status["versions"].as_array().unwrap().iter();
        let mut versions = versions.filter(|of| of["version"] == version);
        versions.next().map_or(0, |of| of["records"].as_u64().unwrap())
    }

    async fn row(&self, share: &Share) -> Row {
        let query = "SELECT encrypted_key_shares, revision FROM server_wallet_key_shares
                     WHERE id = $1";
        let id: Uuid = share.id().parse().unwrap();
        let row = self.database.admin().await.query_one(query, &[&id]).await.unwrap();
        Row { envelope: row.get(0), revision: row.get(1) }
    }

    /// The rows of all shares, in their order.
    async fn rows(&self) -> Vec<Row> {
        let query = "SELECT id, encrypted_key_shares, revision FROM server_wallet_key_shares";
        let rows = self.database.admin().await.query(query, &[]).await.unwrap();
        let row = |row: tokio_postgres::Row| {
            let id: Uuid = row.get(0);
            (id.to_string(), Row { envelope: row.get(1), revision: row.get(2) })
        };
        let mut rows: HashMap<_, _> = rows.into_iter().map(row).collect();
        self.shares.iter().map(|share| rows.remove(share.id()).unwrap()).collect()
    }

    /// How many rows were written since they were made.
    async fn written(&self) -> i64 {
        let query = "SELECT count(*) FROM server_wallet_key_shares WHERE revision > 1";
        self.database.admin().await.query_one(query, &[]).await.unwrap().get(0)
    }

    /// Does what a writer to the database can do.
    async fn overwrite(&self, share: &Share, envelope: &[u8]) {
        let update = "UPDATE server_wallet_key_shares SET encrypted_key_shares = $2 WHERE id = $1";
        let id: Uuid = share.id().parse().unwrap();
        self.database.admin().await.execute(update, &[&id, &envelope]).await.unwrap();
    }
}

impl Row {
    fn envelope(&self) -> Envelope {
        Envelope::decode(&self.envelope).unwrap()
    }

    /// The same with another wrapped DEK.
    fn with(&self, wrapped: WrappedDek) -> Vec<u8> {
        let envelope = self.envelope();
        Envelope::new(envelope.header().clone(), wrapped, envelope.sealed().clone()).encode()
    }
}

/// Runs a command to its end, while this runtime goes on.
async fn ended(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Starts a command that is to be killed.
fn begun(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What a command printed.
#[track_caller]
fn json(output: &Output) -> Value {
    let told = || String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told()))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
