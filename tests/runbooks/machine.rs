//! What a runbook is about: a Vault, a Postgres and a signer of the environment "staging",
//! and a shell on the machine where they run.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use countersign::{
    envelope::Envelope,
    kms::vault_transit::{Login, Settings, Timeouts},
};
use rustix::process::{Signal, getuid};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::{page, shell::Shell};
use crate::support::{
    go,
    kernel::lacking,
    postgres::{Database, PostgresServer},
    served::{self, Home, binary},
    supervisor::Server,
    vault::VaultServer,
};

const SET_UP: &str = include_str!("set-up.sh");

/// The machine.
pub struct Machine {
    pub vault: VaultServer,
    pub database: Database<'static>,
    pub signer: Home,
    pub rotator: Home,
    /// The ids of the shares; the first is the canary's.
    pub shares: Vec<String>,
    pub shell: Shell,
    files: TempDir,
    server: Option<Server>,
    /// Whether the shell has namespaces of its own.
    is_apart: bool,
}

impl Machine {
    /// With three shares; none without the servers.
    pub async fn start() -> Option<Self> {
        Self::start_in(Command::new("env"), ":").await
    }

    /// The same in the namespaces of a command, after some words to its shell.
    pub async fn start_in(mut shell: Command, words: &str) -> Option<Self> {
        let shell_is_apart = shell.get_program() != "env";
        if go::on_path("jq").is_none() {
            lacking("jq, which the runbooks use");
            return None;
        }
        let vault = VaultServer::dedicated().await?;
        let database = PostgresServer::shared()?.database().await;
        let files = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
        let programs = files.path().join("bin");
        fs::create_dir(&programs).unwrap();
        symlink(binary(), programs.join("countersign")).unwrap();
        symlink(VaultServer::program().unwrap(), programs.join("vault")).unwrap();
        let beside = database.program("psql").parent().unwrap().to_owned();
        let path = std::env::var("PATH").unwrap();
        shell.arg("env");
        shell.arg(format!("PATH={}:{path}:{}", programs.display(), beside.display()));
        shell.arg(format!("FILES={}", files.path().display()));
        shell.arg(format!("VAULT_ADDR={}", vault.url()));
        shell.arg(format!("VAULT_CACERT={}", vault.ca_file().display()));
        // In the environment and not in the arguments.
        shell.env("VAULT_TOKEN", vault.root_token()).env_remove("VAULT_NAMESPACE");
        let mut shell = Shell::start(shell);
        let (said, status) = shell.run(SET_UP);
        assert_eq!(status, 0, "{said}");

        let login = |role: &str| {
            let file = |kind| files.path().join(format!("{role}.{kind}"));
            let role_id = fs::read_to_string(file("role-id")).unwrap().trim().to_owned();
            let mount = "approle".to_owned();
            Some(Login::AppRole { mount, role_id, secret_id_file: file("secret-id") })
        };
        let settings = |signer, custodian, rotator| Settings {
            addresses: vec![vault.url()],
            ca_file: vault.ca_file(),
            namespace: None,
            mount: "transit".to_owned(),
            key: "countersign-staging".to_owned(),
            signer,
            custodian,
            rotator,
            timeouts: Timeouts::default(),
        };
        let store = served::postgres(&database.settings());
        let home = |settings: &Settings| {
            let home = Home::new("staging", &served::vault(settings, &vault.ca_file()), &store);
            home.add("[limits]\ndeadline = \"2s\"\nlongest_deadline = \"2s\"");
            home.add("[custody]\ndestroy_after = \"0s\"");
            home
        };
        let signer = home(&settings(login("signer"), login("custodian"), None));
        let rotator = home(&settings(None, None, login("rotator")));
        let (shares, server, is_apart) = (Vec::new(), None, shell_is_apart);
        let mut machine =
            Self { vault, database, signer, rotator, shares, shell, files, server, is_apart };
        machine.export();
        machine.run(words);
        machine.start_signer();
        for _ in 0..3 {
            let made = machine.run(
                "countersign share generate --socket \"$CUSTODY\" --json --wallet-id wallet \
                 --algorithm ed25519",
            );
            let made: Value = serde_json::from_str(&made).unwrap();
            machine.shares.push(made["share_id"].as_str().unwrap().to_owned());
        }
        let canary = machine.shares[0].clone();
        machine.set("CANARY", &canary);
        machine.set("CANARY_WALLET", "wallet");
        Some(machine)
    }

    /// What docs/runbooks/README.md has the reader set.
    fn export(&mut self) {
        let socket = self.database.settings();
        let psql = format!(
            "host={} port={} user=postgres dbname={}",
            self.database.socket().display(),
            socket.port,
            socket.database
        );
        for (name, value) in [
            ("CONFIG", self.signer.config()),
            ("ROTATOR", self.rotator.config()),
            ("AUDIT", self.signer.path("audit")),
            ("ROTATOR_AUDIT", self.rotator.path("rotator-audit")),
            ("SOCKET", self.signer.path("run/enclave.sock")),
            ("CUSTODY", self.signer.path("run/custody.sock")),
            ("POLICIES", self.signer.path("config/policies")),
            ("SECRETS", self.files.path().to_owned()),
            ("BACKUP", self.files.path().join("backup")),
            ("VAULT_AUDIT", self.vault.audit_file()),
            ("DATABASE", PathBuf::from(psql)),
        ] {
            self.set(name, value.to_str().unwrap());
        }
    }

    /// Sets a variable of the shell's.
    pub fn set(&mut self, name: &str, value: &str) {
        self.run(&format!("export {name}='{value}'"));
    }

    /// Gives a command that succeeds and is no part of the page; what it prints.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> String {
        let (said, status) = self.shell.run(command);
        assert_eq!(status, 0, "{command}: {said}");
        said
    }

    /// Where the secrets lie.
    pub fn files(&self) -> &Path {
        self.files.path()
    }

    /// The record of a share, as the database has it.
    pub async fn envelope(&self, share: &str) -> Envelope {
        let query = "SELECT encrypted_key_shares FROM server_wallet_key_shares WHERE id = $1";
        let id: Uuid = share.parse().unwrap();
        let row = self.database.admin().await.query_one(query, &[&id]).await.unwrap();
        Envelope::decode(row.get(0)).unwrap()
    }

    /// Does what a writer to the database can do: one record's wrapped DEK becomes another's.
    pub async fn take_wrapped_dek(&self, share: &str, other: &str) {
        let (envelope, other) = (self.envelope(share).await, self.envelope(other).await);
        let (header, sealed) = (envelope.header().clone(), envelope.sealed().clone());
        let bytes = Envelope::new(header, other.wrapped_dek().clone(), sealed).encode();
        let update = "UPDATE server_wallet_key_shares SET encrypted_key_shares = $2 WHERE id = $1";
        let id: Uuid = share.parse().unwrap();
        self.database.admin().await.execute(update, &[&id, &bytes]).await.unwrap();
    }

    /// Has a share sign.
    #[track_caller]
    pub fn sign(&mut self, share: &str) {
        self.run(&format!(
            "countersign sign --socket \"$SOCKET\" --share-id {share} --wallet-id wallet --message test"
        ));
    }

    /// Goes through a page from its first command to its last.
    pub async fn follow(&mut self, page: &str) {
        let file = format!("docs/runbooks/{page}.md");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        for page::Step { line, command, prints, status } in page::steps(&path) {
            let (printed, ended) = match command.strip_prefix("systemctl ") {
                Some(words) => (self.systemctl(words).await, 0),
                None => self.shell.run(&command),
            };
            // Seen where the page is wrong, and with --nocapture.
            println!("$ {command}\n{printed}[{ended}]");
            let prints: String = prints.lines().map(pattern).collect();
            // Empty lines at the end are nobody's business.
            let (seen, expected) = (printed.trim_end(), prints.trim_end());
            let same = snapbox::Assert::new().try_eq(None, seen.into(), expected.into());
            let told = || format!("{file}:{line}: $ {command}\n{printed}[{ended}]");
            assert_eq!(ended, status, "{}\n{}", told(), self.signer.log());
            if let Err(difference) = same {
                panic!("{}\n{difference}", told());
            }
        }
    }

    /// What systemd would do: the test holds the processes.
    pub async fn systemctl(&mut self, words: &str) -> String {
        match words {
            "stop countersign" => self.stop_signer(),
            "start countersign" => self.start_signer(),
            "restart countersign" => {
                self.stop_signer();
                self.start_signer();
            }
            "stop vault" => self.vault.stop(),
            "start vault" => self.vault.restart(),
            _ => panic!("systemctl {words}: not something that these machines have"),
        }
        String::new()
    }

    fn start_signer(&mut self) {
        let serve = self.signer.serve();
        let mut command = match self.is_apart {
            false => Command::new("env"),
            true => nsenter(self.shell.pid()),
        };
        command.arg(serve.get_program()).args(serve.get_args());
        let log = self.signer.path("log");
        let before = fs::read_to_string(&log).unwrap_or_default().len();
        let server = Server::start(&mut command, &log);
        let give_up = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !fs::read_to_string(&log).unwrap_or_default()[before..].contains("\"Ready\"") {
            assert!(
                server.is_running() && std::time::Instant::now() < give_up,
                "{}",
                self.signer.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        self.server = Some(server);
    }

    fn stop_signer(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop(Signal::TERM);
        }
    }
}

/// Begins a command in the namespaces of a process.
fn nsenter(pid: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--target={pid}")).arg("--mount");
    if !getuid().is_root() {
        command.args(["--user", "--preserve-credentials"]);
    }
    command
}

/// A line that a page expects, as the library that compares writes it.
fn pattern(line: &str) -> String {
    match line {
        "…" => "...\n".to_owned(),
        line => line.replace('…', "[..]") + "\n",
    }
}
