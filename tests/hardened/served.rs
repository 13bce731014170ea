//! A real `countersign serve` and the configuration that it is given.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use countersign::{
    client,
    key::{Algorithm, ShareId},
    kms::vault_transit::{Login, Settings},
    proto,
    store::postgres,
};
use rustix::process::{Pid, Signal, getuid};
use tempfile::TempDir;
use tokio::time::sleep;
use tonic::Status;

use crate::support::{enclave::PERMISSIVE, supervisor::Server};

pub const BINARY: &str = env!("CARGO_BIN_EXE_countersign");
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with a configuration and what it names, each in a directory of
/// its own.
pub struct Home {
    directory: TempDir,
    /// The port of the metrics.
    pub metrics: u16,
}

/// A server that is ready. Ends with the value.
pub struct Served {
    pub home: Home,
    server: Server,
}

/// A share that was made through custody.
pub struct Share {
    id: String,
    key: Vec<u8>,
}

impl Home {
    /// `kms` and `store` are tables of a configuration.
    pub fn new(environment: &str, kms: &str, store: &str) -> Self {
        // Not the build directory, which is long: a socket's path is short.
        let home = Self {
            directory: tempfile::Builder::new().prefix("cs").tempdir().unwrap(),
            metrics: free_port(),
        };
        let metrics = home.metrics;
        for directory in ["config", "config/policies", "run", "db", "kek"] {
            fs::create_dir(home.path(directory)).unwrap();
        }
        fs::write(home.path("config/policies/test.cedar"), PERMISSIVE).unwrap();
        let at = home.directory.path().display();
        let uid = getuid().as_raw();
        let kms = kms.replace("{at}", &at.to_string());
        let store = store.replace("{at}", &at.to_string());
        let document = format!(
            r#"
            environment = "{environment}"
            [listen]
            enclave = "{at}/run/enclave.sock"
            custody = "{at}/run/custody.sock"
            [[caller]]
            name = "app"
            uid = {uid}
            [policy]
            directory = "{at}/config/policies"
            [store]
            {store}
            [metrics]
            listen = "127.0.0.1:{metrics}"
            [kms]
            {kms}
            "#
        );
        fs::write(home.config(), document).unwrap();
        home
    }

    /// The embedded default.
    pub fn embedded() -> Self {
        let kms = "kind = \"local\"\nkek_file = \"{at}/kek/kek\"";
        Self::new("test", kms, SQLITE)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("config/countersign.toml")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `countersign serve`, to be started as it is or by another program.
    pub fn serve(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config"]).arg(self.config());
        command
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self, mut command: Command) -> Served {
        let server = Server::start(&mut command, &self.path("log"));
        let served = Served { home: self, server };
        let logged = |served: &Served| served.home.log().contains("\"Ready\"");
        served.until("it is ready", logged).await;
        served
    }
}

impl Served {
    pub fn pid(&self) -> Pid {
        self.server.pid()
    }

    /// A share that the server makes.
    pub async fn generate(&self) -> Share {
        let id = ShareId::random().to_string();
        let request = proto::GenerateShareRequest {
            share_id: id.clone(),
            wallet_id: "wallet".to_owned(),
            algorithm: Algorithm::Ed25519.number().into(),
        };
        let socket = self.home.path("run/custody.sock");
        let mut custody = client::custody(&socket).await.unwrap();
        let made = custody.generate_share(request).await.unwrap();
        let key = made.into_inner().share.unwrap().public_key.unwrap().key;
        Share { id, key: key.to_vec() }
    }

    /// Signs, and verifies the signature.
    pub async fn sign(&self, share: &Share) -> Result<(), Status> {
        let message = b"under full hardening";
        let kind = proto::payload::Kind::Message(message.to_vec().into());
        let request = proto::SignRequest {
            share_id: share.id.clone(),
            wallet_id: "wallet".to_owned(),
            payload: Some(proto::Payload { kind: Some(kind) }),
            ..Default::default()
        };
        let socket = self.home.path("run/enclave.sock");
        let mut enclave = client::enclave(&socket).await.unwrap();
        let answer = enclave.sign(request).await?.into_inner();
        ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &share.key)
            .verify(message, &answer.signature.unwrap().value)
            .unwrap();
        Ok(())
    }

    /// Waits for something to be so, for as long as the server runs.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(self.server.is_running(), "{}", self.home.log());
            assert!(Instant::now() < give_up, "{what}: {}", self.home.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM; the server drains, and has broken no rule until its end.
    pub fn stop(self) {
        self.server.stop(Signal::TERM);
        let log = self.home.log();
        assert!(log.contains("\"Stopped\""), "{log}");
        assert!(!log.contains("allow-list"), "{log}");
        assert!(!self.home.path("run/enclave.sock").exists());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// `[store]` of the embedded default.
pub const SQLITE: &str = "kind = \"sqlite\"\npath = \"{at}/db/shares.db\"";

/// `[store]` of a database, under another name of its host.
pub fn postgres(settings: &postgres::Settings) -> String {
    format!(
        "kind = \"postgres\"\nhost = {:?}\nport = {}\ndatabase = {:?}\nuser = {:?}\n\
         password_file = {:?}\nca_file = {:?}",
        settings.host,
        settings.port,
        settings.database,
        settings.user,
        settings.password_file,
        settings.ca_file
    )
}

/// The inside of `[kms]`, and `[vault]` with its logins.
pub fn vault(settings: &Settings, ca_file: &Path) -> String {
    let logins = [("signer", &settings.signer), ("custodian", &settings.custodian)];
    let logins = logins.map(|(role, login)| login.as_ref().map(|login| table(role, login)));
    format!(
        "kind = \"vault-transit\"\n[vault]\naddresses = {:?}\nca_file = {ca_file:?}\n{}",
        settings.addresses,
        logins.into_iter().flatten().collect::<String>()
    )
}

fn table(role: &str, login: &Login) -> String {
    let (method, fields) = match login {
        Login::Kubernetes { mount, role, token_file } => (
            "kubernetes",
            format!("mount = {mount:?}\nrole = {role:?}\ntoken_file = {token_file:?}"),
        ),
        Login::AppRole { mount, role_id, secret_id_file } => (
            "approle",
            format!(
                "mount = {mount:?}\nrole_id = {:?}\nsecret_id_file = {secret_id_file:?}",
                role_id.trim()
            ),
        ),
        _ => unreachable!("no test has another one"),
    };
    format!("[vault.{role}]\nmethod = {method:?}\n{fields}\n")
}
