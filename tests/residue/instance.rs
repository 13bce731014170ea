//! A `countersign serve` of its own process, and what it has stored, opened
//! outside of it.

use std::{
    fs,
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use countersign::{
    key::{Algorithm, ShareId},
    kms::vault_transit::{Login, Settings},
    proto,
};
use rustix::process::{Pid, getuid};
use tempfile::TempDir;

use super::tool::needle::{self, Needle};
use crate::support::{
    enclave::{PERMISSIVE, Share},
    python,
    served::binary,
    supervisor::Server,
};

/// The KMS of an instance, and how a reader outside gets at the DEKs.
#[derive(Clone)]
pub enum Custodian {
    /// A KEK in a file.
    Local,
    /// A Vault, and a token that may decrypt.
    Vault(Box<Settings>, String),
}

/// A running server. Killed with the value.
pub struct Instance {
    dir: TempDir,
    server: Server,
    custodian: Custodian,
}

impl Instance {
    /// Starts the binary, and waits until it is ready.
    pub fn start(environment: &str, custodian: &Custodian) -> Self {
        Self::start_as(None, environment, custodian)
    }

    /// Starts it as another user, where one is given.
    pub fn start_as(user: Option<u32>, environment: &str, custodian: &Custodian) -> Self {
        let dir = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
        fs::create_dir(dir.path().join("policies")).unwrap();
        fs::write(dir.path().join("policies/test.cedar"), PERMISSIVE).unwrap();
        let config = config(dir.path(), environment, custodian);
        fs::write(dir.path().join("config.toml"), config).unwrap();
        if let Some(uid) = user {
            chown(dir.path(), Some(uid), Some(uid)).unwrap();
        }
        let log = dir.path().join("log");
        let mut command = Command::new(binary());
        command.args(["serve", "--config", "config.toml"]).current_dir(dir.path());
        let server = Server::start_as(user.map(|uid| (uid, uid)), &mut command, &log);
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            let text = fs::read_to_string(&log).unwrap();
            if text.contains("\"Ready\"") {
                break;
            }
            assert!(server.is_running() && Instant::now() < give_up, "{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let custodian = custodian.clone();
        Self { dir, server, custodian }
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        self.server.pid()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.server.is_running()
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&self, signal: rustix::process::Signal) {
        self.server.stop(signal);
    }

    /// A file of its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Has a share of each algorithm made.
    pub async fn shares(&self) -> Vec<Share> {
        let mut shares = Vec::new();
        for algorithm in Algorithm::ALL {
            shares.push(self.share(algorithm).await);
        }
        shares
    }

    /// Has a share made.
    pub async fn share(&self, algorithm: Algorithm) -> Share {
        let request = generate(algorithm);
        let socket = self.path("custody.sock");
        let mut custody = countersign::client::custody(&socket).await.unwrap();
        let made = custody.generate_share(request).await.unwrap();
        Share::of(algorithm, made.into_inner())
    }

    /// The secrets of these shares, read from the database by the independent
    /// reader. None where there is no Python, said loudly.
    pub fn needles<'a>(&self, shares: impl IntoIterator<Item = &'a str>) -> Option<Vec<Needle>> {
        needles(self.dir.path(), &self.custodian, shares)
    }
}

/// A request for a new share.
pub fn generate(algorithm: Algorithm) -> proto::GenerateShareRequest {
    proto::GenerateShareRequest {
        share_id: ShareId::random().to_string(),
        wallet_id: "w".to_owned(),
        algorithm: algorithm.number().into(),
    }
}

/// The secrets of shares in `shares.db` of a directory. They come through pipes
/// and stay in this process.
pub fn needles<'a>(
    directory: &Path,
    custodian: &Custodian,
    shares: impl IntoIterator<Item = &'a str>,
) -> Option<Vec<Needle>> {
    let read = read(directory, custodian, shares)?;
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{said}");
    let text = String::from_utf8(read.stdout).unwrap();
    Some(needle::parse(&text).unwrap_or_else(|error| panic!("{error}")))
}

/// What the reader says.
pub fn read<'a>(
    directory: &Path,
    custodian: &Custodian,
    shares: impl IntoIterator<Item = &'a str>,
) -> Option<Output> {
    let mut reader = Command::new(python::interpreter()?);
    reader
        .args(["-I", "-B"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/envelope_reader.py"))
        .arg("needles")
        .arg(directory.join("shares.db"));
    let token = match custodian {
        Custodian::Local => {
            reader.arg("local").arg(directory.join("kek"));
            ""
        }
        Custodian::Vault(settings, token) => {
            let address = &settings.addresses[0];
            reader.arg("vault").arg(address).arg(&settings.ca_file);
            token
        }
    };
    let mut reader = reader
        .args(shares)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = reader.stdin.take().unwrap();
    // The reader of a local KEK does not read this.
    let _ = stdin.write_all(token.as_bytes());
    drop(stdin);
    Some(reader.wait_with_output().unwrap())
}

fn config(at: &Path, environment: &str, custodian: &Custodian) -> String {
    let at = at.display();
    let uid = getuid().as_raw();
    let kms = match custodian {
        Custodian::Local => format!("[kms]\nkind = \"local\"\nkek_file = \"{at}/kek\"\n"),
        Custodian::Vault(settings, _) => vault(settings),
    };
    format!(
        r#"
        environment = "{environment}"
        [listen]
        enclave = "{at}/enclave.sock"
        custody = "{at}/custody.sock"
        mode = "0666"
        [[caller]]
        name = "app"
        uid = {uid}
        [policy]
        directory = "{at}/policies"
        [store]
        kind = "sqlite"
        path = "{at}/shares.db"
        [audit]
        directory = "{at}/audit"
        {kms}
        "#
    )
}

fn vault(settings: &Settings) -> String {
    let Settings { addresses, ca_file, mount, key, .. } = settings;
    // By name, as in production: names are looked up on threads of ordinary memory,
    // which the thread that speaks to Vault starts.
    let addresses: Vec<_> =
        addresses.iter().map(|address| address.replace("127.0.0.1", "localhost")).collect();
    let mut text = format!(
        "[kms]\nkind = \"vault-transit\"\n[vault]\naddresses = {addresses:?}\nca_file = {ca_file:?}\n\
         mount = {mount:?}\nkey = {key:?}\n"
    );
    for (role, login) in [("signer", &settings.signer), ("custodian", &settings.custodian)] {
        let Some(Login::AppRole { mount, role_id, secret_id_file }) = login else {
            panic!("the instance logs in by AppRole")
        };
        text += &format!(
            "[vault.{role}]\nmethod = \"approle\"\nmount = {mount:?}\nrole_id = {role_id:?}\n\
             secret_id_file = {secret_id_file:?}\n"
        );
    }
    text
}
