//! A real Vault: TLS 1.3, one unseal key, an audit log, on a port of its own.
//!
//! Tests share one server and have a [`Tenant`] each; a test that seals, stops
//! or limits the server takes one of its own.

mod audit;
mod binary;
mod tenant;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{https::HttpsServer, pki::Authority, supervisor::Server, token_review};

pub use audit::Answers;
pub use tenant::Tenant;

/// A Vault server.
pub struct VaultServer {
    directory: TempDir,
    process: Mutex<Option<Server>>,
    port: u16,
    http: reqwest::Client,
    unseal_key: String,
    root_token: String,
    token_review: HttpsServer,
}

impl VaultServer {
    /// The server that tests share, or none where there is no Vault.
    pub async fn shared() -> Option<&'static Self> {
        static SHARED: OnceCell<Option<VaultServer>> = OnceCell::const_new();
        SHARED.get_or_init(Self::dedicated).await.as_ref()
    }

    /// A server that one test may break.
    pub async fn dedicated() -> Option<Self> {
        // Finding may mean building, which takes minutes.
        let binaries = tokio::task::spawn_blocking(binary::find).await.unwrap()?;
        let directory = tempfile::Builder::new()
            .prefix("vault-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let path = directory.path();
        let authority = Authority::new();
        authority.write_certificate(path);
        authority.write_server_certificate(path);
        fs::create_dir(path.join("data")).unwrap();
        let (process, port) = start(binaries, path, 0);
        let ca = fs::read(path.join("ca.pem")).unwrap();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&ca))
            .no_proxy()
            // Every test has a runtime of its own, and a connection belongs to one.
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let mut server = Self {
            token_review: token_review::start(path),
            directory,
            process: Mutex::new(Some(process)),
            port,
            http,
            unseal_key: String::new(),
            root_token: String::new(),
        };
        let one = json!({"secret_shares": 1, "secret_threshold": 1});
        let (_, keys) = server.call(Method::PUT, "sys/init", "", Some(one)).await;
        server.unseal_key = text(&keys["keys_base64"][0]);
        server.root_token = text(&keys["root_token"]);
        server.unseal().await;
        server.set_up(binaries).await;
        Some(server)
    }

    /// What an operator sets up once.
    async fn set_up(&self, binaries: &binary::Binaries) {
        let log = self.audit_file();
        let audit = json!({"type": "file", "options": {"file_path": log, "mode": "0600"}});
        self.root(Method::PUT, "sys/audit/file", audit).await;
        let transit = json!({"type": "transit"});
        self.root(Method::POST, "sys/mounts/transit", transit).await;
        let no_upsert = json!({"disable_upsert": true});
        self.root(Method::POST, "transit/config/keys", no_upsert).await;
        if let Some(plugins) = &binaries.plugins {
            let plugin = fs::read(plugins.join(PLUGIN)).unwrap();
            let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&plugin));
            let entry = json!({"sha256": sha256, "command": PLUGIN});
            let path = format!("sys/plugins/catalog/auth/{PLUGIN}");
            self.root(Method::PUT, &path, entry).await;
        }
    }

    /// Mounts a KV engine, and waits until it serves.
    pub async fn mount_kv(&self, mount: &str, version: &str) {
        let kv = json!({"type": "kv", "options": {"version": version}});
        self.root(Method::POST, &format!("sys/mounts/{mount}"), kv).await;
        if version != "2" {
            return;
        }
        let config = format!("{mount}/config");
        let give_up = Instant::now() + Duration::from_secs(20);
        let required = json!({"cas_required": true});
        while self.call_as_root(Method::POST, &config, required.clone()).await.0 >= 300 {
            assert!(Instant::now() < give_up, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The program, which is its client, too; none where there is no Vault.
    pub fn program() -> Option<&'static Path> {
        binary::find().map(|binaries| &*binaries.vault)
    }

    /// Its audit log.
    pub fn audit_file(&self) -> PathBuf {
        self.directory.path().join("audit.log")
    }

    /// The key that unseals it.
    pub fn unseal_key(&self) -> &str {
        &self.unseal_key
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The token that may do everything.
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The certificate of the authority that signed the server's.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The Kubernetes API server that this Vault asks.
    pub fn token_review(&self) -> &HttpsServer {
        &self.token_review
    }

    /// Whether the Kubernetes method is a plugin of its own.
    async fn has_plugin(&self) -> bool {
        let path = format!("sys/plugins/catalog/auth/{PLUGIN}");
        let plugin = self.call_as_root(Method::GET, &path, Value::Null).await;
        plugin.0 == 200
    }

    /// What the audit log says so far.
    pub fn answers(&self) -> Answers {
        Answers::read(&self.audit_file())
    }

    /// A request as root, which has to succeed; its `data`, or the whole answer
    /// where there is none.
    pub async fn root(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call_as_root(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        match answer.get("data") {
            Some(data) if !data.is_null() => data.clone(),
            _ => answer,
        }
    }

    /// A request as root, which may fail; status and body.
    pub async fn call_as_root(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = Some(body).filter(|body| !body.is_null());
        self.call(method, path, &self.root_token, body).await
    }

    /// A request with any token; status and body.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.url()));
        if !token.is_empty() {
            request = request.header("x-vault-token", token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Seals.
    pub async fn seal(&self) {
        self.root(Method::PUT, "sys/seal", Value::Null).await;
    }

    /// Unseals and waits until it serves.
    pub async fn unseal(&self) {
        let key = json!({"key": self.unseal_key});
        self.call(Method::PUT, "sys/unseal", "", Some(key)).await;
        let give_up = Instant::now() + Duration::from_secs(20);
        while self.call(Method::GET, "sys/health", "", None).await.0 != 200 {
            assert!(Instant::now() < give_up, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops the process as a debugger would: connections are there, and nobody
    /// answers. Or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(self.process().as_ref().unwrap().pid(), signal).unwrap();
    }

    /// Ends the process.
    pub fn stop(&self) {
        if let Some(process) = self.process().take() {
            process.stop(Signal::TERM);
        }
    }

    /// Starts it again on the same port, sealed as it then is.
    pub fn restart(&self) {
        self.stop();
        let binaries = binary::find().unwrap();
        let (process, _) = start(binaries, self.directory.path(), self.port);
        *self.process() = Some(process);
    }

    fn process(&self) -> MutexGuard<'_, Option<Server>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("vault.log")).unwrap_or_default()
    }
}

const PLUGIN: &str = "vault-plugin-auth-kubernetes";

/// The string at the end of an answer's path.
fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn tls(ca: &[u8]) -> rustls::ClientConfig {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Starts the process, on a free port when `port` is 0, and waits until it
/// listens.
fn start(binaries: &binary::Binaries, directory: &Path, port: u16) -> (Server, u16) {
    let config = directory.join("vault.hcl");
    fs::write(&config, configuration(binaries, directory, port)).unwrap();
    let mut command = Command::new(&binaries.vault);
    command.arg("server").arg(format!("-config={}", config.display()));
    // The developer's own Vault is none of the server's business.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if ["VAULT_", "BAO_"].iter().any(|own| name.starts_with(own)) {
            command.env_remove(&*name);
        }
    }
    let log = directory.join("vault.log");
    let server = Server::start(&mut command, &log);
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(port) = listening_port(server.pid()) {
            return (server, port);
        }
        assert!(Instant::now() < give_up, "{}", fs::read_to_string(&log).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Raft, because a minimal build has no file storage; its multiplier shortens
/// the election of the only node. The two addresses may not be the same text.
fn configuration(binaries: &binary::Binaries, directory: &Path, port: u16) -> String {
    let plugins = binaries.plugins.as_ref().map_or_else(String::new, |path| {
        format!("plugin_directory = {:?}\n", path.display().to_string())
    });
    let directory = directory.display();
    format!(
        r#"disable_mlock = true
ui = false
api_addr = "https://localhost:1"
cluster_addr = "https://127.0.0.1:0"
max_lease_ttl = "768h"
{plugins}
storage "raft" {{
  path = "{directory}/data"
  node_id = "one"
  performance_multiplier = 1
}}

listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:0"
  tls_cert_file = "{directory}/server.pem"
  tls_key_file = "{directory}/server.key"
  tls_min_version = "tls13"
}}
"#
    )
}

/// The port on which a process listens: the socket of its own that the kernel
/// lists in state 0A. Before the unsealing there is only one.
fn listening_port(pid: Pid) -> Option<u16> {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let sockets: Vec<_> = fs::read_dir(process.join("fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?;
            Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = fs::read_to_string(process.join("net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let listens = fields[3] == "0A" && sockets.iter().any(|socket| socket == fields[9]);
        let (_, port) = fields[1].split_once(':')?;
        listens.then(|| u16::from_str_radix(port, 16).unwrap())
    })
}
