//! A real `countersign serve` and the configuration that it is given.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
    time::{Duration, Instant},
};

use countersign::{
    client,
    grpc::{Files, Service},
    key::{Algorithm, ShareId},
    kms::vault_transit::{Login, Server as VaultServer, Settings},
    proto,
    store::{postgres, vault_kv},
};
use rustix::process::{Pid, Signal, getuid};
use tempfile::TempDir;
use tokio::time::sleep;
use tonic::Status;

use super::{
    enclave::{PERMISSIVE, frame},
    supervisor::Server,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// The program that is tested: the one of this build, or the one that `COUNTERSIGN_BINARY` names,
/// such as that of an image.
pub fn binary() -> &'static str {
    static BINARY: OnceLock<String> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var("COUNTERSIGN_BINARY") {
        Ok(named) => fs::canonicalize(named).unwrap().into_os_string().into_string().unwrap(),
        Err(_) => env!("CARGO_BIN_EXE_countersign").to_owned(),
    })
}

/// A directory with a configuration and what it names, each in a directory of
/// its own.
pub struct Home {
    directory: TempDir,
    /// The port of the metrics.
    pub metrics: u16,
    /// The ports of the TLS listeners, where there are any.
    pub tls: u16,
    pub custody_tls: u16,
    /// Who serves, when it is not this process's user.
    user: Option<u32>,
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
            tls: free_port(),
            custody_tls: free_port(),
            user: None,
        };
        let metrics = home.metrics;
        for directory in DIRECTORIES {
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
            [audit]
            directory = "{at}/audit"
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
        Self::new("test", LOCAL, SQLITE)
    }

    /// Adds tables to the configuration.
    pub fn add(&self, tables: &str) {
        let document = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), format!("{document}\n{tables}\n")).unwrap();
    }

    /// Adds keys to `[audit]`.
    pub fn add_to_audit(&self, keys: &str) {
        let document = fs::read_to_string(self.config()).unwrap();
        let (table, added) = ("[audit]\n", format!("[audit]\n{keys}\n"));
        assert!(document.contains(table));
        fs::write(self.config(), document.replace(table, &added)).unwrap();
    }

    /// Adds a TLS listener on these files, and this SPIFFE ID to the caller.
    pub fn tls(&self, files: &Files, spiffe_id: &str) {
        let document = fs::read_to_string(self.config()).unwrap();
        let caller = "name = \"app\"\n";
        assert!(document.contains(caller));
        let document = document.replace(caller, &format!("{caller}spiffe_id = {spiffe_id:?}\n"));
        fs::write(self.config(), document).unwrap();
        self.listen(files);
    }

    /// Adds a TLS listener on these files.
    pub fn listen(&self, files: &Files) {
        let Files { service, certificate, key, client_ca } = files;
        let port = match service {
            Service::Signing => self.tls,
            Service::Custody => self.custody_tls,
        };
        self.add(&format!(
            "[{}]\naddress = \"127.0.0.1:{port}\"\ncertificate_file = {certificate:?}\n\
             key_file = {key:?}\nclient_ca_file = {client_ca:?}",
            service.table()
        ));
    }

    /// When this is root, the server is another user's, who has no privilege.
    pub fn unprivileged(mut self) -> Self {
        if getuid().is_root() {
            let user = 12345;
            for directory in DIRECTORIES.into_iter().chain([""]) {
                chown(self.path(directory), Some(user), Some(user)).unwrap();
            }
            self.user = Some(user);
        }
        self
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
        let mut command = Command::new(binary());
        command.args(["serve", "--config"]).arg(self.config());
        command
    }

    /// The same with so many KiB of RLIMIT_MEMLOCK.
    pub fn serve_within(&self, kib: usize) -> Command {
        let serve = self.serve();
        let mut limited = Command::new("/bin/sh");
        limited.args(["-c", &format!("ulimit -l {kib} && exec \"$0\" \"$@\"")]);
        limited.arg(serve.get_program()).args(serve.get_args());
        limited
    }

    /// Runs it to its end, as the user who serves.
    pub fn output(&self, mut command: Command) -> Output {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.output().unwrap()
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self, mut command: Command) -> Served {
        let user = self.user.map(|user| (user, user));
        let server = Server::start_as(user, &mut command, &self.path("log"));
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
        let mut enclave = client::enclave(&self.socket()).await.unwrap();
        let answer = enclave.sign(share.sign_request(message)).await?;
        share.verify(message, &answer.into_inner());
        Ok(())
    }

    /// The application's socket.
    pub fn socket(&self) -> PathBuf {
        self.home.path("run/enclave.sock")
    }

    /// What the metrics' listener answers.
    pub fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.home.metrics)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A metric without labels, by its name after the prefix.
    pub fn metric(&self, name: &str) -> Option<u64> {
        let start = format!("countersign_{name} ");
        let metrics = self.scrape();
        let value = metrics.lines().find_map(|line| line.strip_prefix(&start))?;
        Some(value.parse().unwrap())
    }

    /// A line of /proc/PID/status, without its name.
    pub fn status(&self, name: &str) -> String {
        let status = format!("/proc/{}/status", self.pid().as_raw_pid());
        let status = fs::read_to_string(status).unwrap();
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        lines.find(|line| line.0 == name).unwrap().1.trim().to_owned()
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

    /// SIGKILL; what it leaves is there to be started again.
    pub fn kill(self) -> Home {
        self.server.stop(Signal::KILL);
        fs::remove_file(self.home.path("log")).unwrap();
        self.home
    }

    /// SIGTERM; the server drains, and has broken no rule until its end.
    pub fn stop(self) {
        drop(self.stop_keeping());
    }

    /// The same; what it leaves is there to be looked at.
    pub fn stop_keeping(self) -> Home {
        self.server.stop(Signal::TERM);
        let log = self.home.log();
        assert!(log.contains("\"Stopped\""), "{log}");
        assert!(!log.contains("allow-list"), "{log}");
        assert!(!self.home.path("run/enclave.sock").exists());
        self.home
    }
}

impl Share {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A request to sign a message.
    pub fn sign_request(&self, message: &[u8]) -> proto::SignRequest {
        let kind = proto::payload::Kind::Message(message.to_vec().into());
        proto::SignRequest {
            share_id: self.id.clone(),
            wallet_id: "wallet".to_owned(),
            payload: Some(proto::Payload { kind: Some(kind) }),
            ..Default::default()
        }
    }

    /// A frame that signs a message.
    pub fn frame(&self, id: u64) -> proto::UseShareRequest {
        let payload = self.sign_request(b"in a stream").payload;
        let sign = proto::SignFrame { id, payload, ..Default::default() };
        frame(proto::use_share_request::Frame::Sign(sign))
    }

    /// The frame that opens a stream, and so many that sign.
    pub fn frames(&self, sign: u64) -> Vec<proto::UseShareRequest> {
        let open = proto::OpenFrame {
            share_id: self.id.clone(),
            wallet_id: "wallet".to_owned(),
            ..Default::default()
        };
        let open = frame(proto::use_share_request::Frame::Open(open));
        std::iter::once(open).chain((1..=sign).map(|id| self.frame(id))).collect()
    }

    /// Fails unless the answer holds this share's signature of the message.
    #[track_caller]
    pub fn verify(&self, message: &[u8], answer: &proto::SignResponse) {
        ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &self.key)
            .verify(message, &answer.signature.as_ref().unwrap().value)
            .unwrap();
    }
}

/// Of a home: each can be mounted, and reached, by itself.
const DIRECTORIES: [&str; 5] = ["config", "config/policies", "run", "db", "kek"];

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// `[kms]` of the embedded default.
pub const LOCAL: &str = "kind = \"local\"\nkek_file = \"{at}/kek/kek\"";

/// `[store]` of the embedded default.
pub const SQLITE: &str = "kind = \"sqlite\"\npath = \"{at}/db/shares.db\"";

/// `[store]` of a database, under another name of its host.
pub fn postgres(settings: &postgres::Settings) -> String {
    format!("kind = \"postgres\"\n{}", database(settings))
}

/// The keys of a database.
pub fn database(settings: &postgres::Settings) -> String {
    format!(
        "host = {:?}\nport = {}\ndatabase = {:?}\nuser = {:?}\n\
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
    let logins = [
        ("signer", &settings.signer),
        ("custodian", &settings.custodian),
        ("rotator", &settings.rotator),
    ];
    let logins = logins.map(|(role, login)| login.as_ref().map(|login| table(role, login)));
    format!(
        "kind = \"vault-transit\"\n[vault]\naddresses = {:?}\nca_file = {ca_file:?}\n{}",
        settings.addresses,
        logins.into_iter().flatten().collect::<String>()
    )
}

/// `[store]` of a KV engine, and `[vault.store]` with its login.
pub fn records(settings: &vault_kv::Settings) -> [String; 2] {
    let vault_kv::Settings { mount, prefix, login, .. } = settings;
    let store = format!("kind = \"vault-kv\"\nmount = {mount:?}\nprefix = {prefix:?}");
    [store, table("store", login)]
}

/// `[vault]` without a KMS.
pub fn server(server: &VaultServer) -> String {
    format!("\n[vault]\naddresses = {:?}\nca_file = {:?}\n", server.addresses, server.ca_file)
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
