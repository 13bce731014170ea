//! Real Postgres servers, from the machine's own binaries.
//!
//! One server is shared by all tests, each in a database of its own; a test that
//! stops a server or misconfigures it starts a dedicated one. Tests reach them
//! over TLS 1.3 with SCRAM, as in production; the administrator comes through the
//! Unix socket.

mod home;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use countersign::store::postgres::Settings;
use rustix::process::Signal;
use tokio_postgres::{Client, NoTls};

use self::home::Home;
use super::supervisor::Server;

/// What every server is started with; the strings of a configuration file.
const CONFIGURATION: &str = "
listen_addresses = '127.0.0.1, 127.0.0.2'
ssl = on
ssl_cert_file = '../server.pem'
ssl_key_file = '../server.key'
password_encryption = 'scram-sha-256'
max_connections = 80
shared_buffers = '16MB'
# Tests stop servers, but no test cuts the power.
fsync = off
";

/// Only the administrator comes without TLS and password. The role `trusted`
/// is let in without proof, which leaves nothing to bind to the channel.
const ADMISSION: &str = "
local   all all                   trust
hostssl all trusted 127.0.0.1/32 trust
hostssl all all     127.0.0.1/8  scram-sha-256
";

/// `app` owns the databases; `serve` may use what it is granted.
const ROLES: &str = "
CREATE ROLE app LOGIN PASSWORD 'correct horse';
CREATE ROLE serve LOGIN PASSWORD 'correct horse';
CREATE ROLE trusted LOGIN;
";

/// A server. Dropping it ends it and removes its data.
pub struct PostgresServer {
    home: Home,
    port: AtomicU16,
    databases: AtomicU32,
    running: Mutex<Option<Server>>,
}

/// A database of a server, for one test.
pub struct Database<'a> {
    server: &'a PostgresServer,
    name: String,
}

impl PostgresServer {
    /// The server that all tests share; none when the machine has no Postgres.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<PostgresServer>> = OnceLock::new();
        SHARED.get_or_init(Self::dedicated).as_ref()
    }

    /// A server of the test's own.
    pub fn dedicated() -> Option<Self> {
        Self::new("TLSv1.3")
    }

    /// A server that speaks TLS 1.2 and nothing newer.
    pub fn outdated() -> Option<Self> {
        Self::new("TLSv1.2")
    }

    fn new(tls_version: &str) -> Option<Self> {
        let home = Home::make(
            &format!(
                "{CONFIGURATION}
                ssl_min_protocol_version = '{tls_version}'
                ssl_max_protocol_version = '{tls_version}'"
            ),
            ADMISSION,
            ROLES,
        )?;
        fs::write(home.path().join("password"), "correct horse\n").unwrap();
        let server = Self {
            home,
            port: AtomicU16::new(0),
            databases: AtomicU32::new(0),
            running: Mutex::new(None),
        };
        server.start(free_port);
        Some(server)
    }

    /// Stops the server; its clients are cut off.
    pub fn stop(&self) {
        if let Some(server) = self.running.lock().unwrap().take() {
            server.stop(Signal::INT);
        }
    }

    /// Starts a stopped server again, on the same port.
    pub fn restart(&self) {
        let port = self.port.load(Ordering::Relaxed);
        self.start(|| port);
    }

    /// An empty database that `app` owns.
    pub async fn database(&self) -> Database<'_> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.admin("postgres")
            .await
            .batch_execute(&format!("CREATE DATABASE {name} OWNER app"))
            .await
            .unwrap();
        Database { server: self, name }
    }

    async fn admin(&self, database: &str) -> Client {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(self.home.path())
            .port(self.port.load(Ordering::Relaxed))
            .user("postgres")
            .dbname(database);
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Postgres has no way to let the kernel choose the port, so another process
    /// may take a free one first: then the next is tried.
    fn start(&self, port: impl Fn() -> u16) {
        for _ in 0..10 {
            let port = port();
            let mut command = Command::new(self.home.program("postgres"));
            command
                .arg("-D")
                .arg(self.home.data())
                .arg(format!("--port={port}"))
                .arg(format!("--unix_socket_directories={}", self.home.path().display()))
                .current_dir(self.home.path());
            let log = self.home.path().join("log");
            let server = Server::start_as(self.home.user(), &mut command, &log);
            if self.is_ready(&server) {
                self.port.store(port, Ordering::Relaxed);
                *self.running.lock().unwrap() = Some(server);
                return;
            }
        }
        let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        panic!("postgres does not start:\n{log}");
    }

    /// Waits for the last line of the pid file, as `pg_ctl` does.
    fn is_ready(&self, server: &Server) -> bool {
        let give_up = Instant::now() + Duration::from_secs(30);
        while server.is_running() && Instant::now() < give_up {
            let pid_file = fs::read_to_string(self.home.data().join("postmaster.pid"));
            if pid_file.is_ok_and(|text| {
                let mut lines = text.lines();
                lines.next() == Some(&server.pid().as_raw_pid().to_string())
                    && lines.nth(6).is_some_and(|status| status.trim() == "ready")
            }) {
                return true;
            }
            sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Database<'_> {
    /// Whether bytes stand in a file of this database's own, as they are on disk.
    pub async fn has_on_disk(&self, bytes: &[u8]) -> bool {
        let admin = self.admin().await;
        admin.batch_execute("CHECKPOINT").await.unwrap();
        let oid = "SELECT oid::text FROM pg_database WHERE datname = current_database()";
        let oid: String = admin.query_one(oid, &[]).await.unwrap().get(0);
        let files = fs::read_dir(self.server.home.data().join("base").join(oid)).unwrap();
        // One that was truncated may go while they are read.
        let mut files = files.map(|file| fs::read(file.unwrap().path()).unwrap_or_default());
        files.any(|file| file.windows(bytes.len()).any(|window| window == bytes))
    }

    /// How `app` reaches the database.
    pub fn settings(&self) -> Settings {
        let home = self.server.home.path();
        Settings {
            host: "localhost".to_owned(),
            port: self.server.port.load(Ordering::Relaxed),
            database: self.name.clone(),
            user: "app".to_owned(),
            password_file: home.join("password"),
            ca_file: home.join("ca.pem"),
            pool_size: 4,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(10),
        }
    }

    /// How `serve` does.
    pub fn serving(&self) -> Settings {
        Settings { user: "serve".to_owned(), ..self.settings() }
    }

    /// Where the administrator's socket is.
    pub fn socket(&self) -> &Path {
        self.server.home.path()
    }

    /// A client program, beside the server's or on the path.
    pub fn program(&self, name: &str) -> PathBuf {
        let beside = self.server.home.program(name);
        if beside.exists() { beside } else { name.into() }
    }

    /// What `psql` gives the administrator with these arguments.
    pub fn psql(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(self.program("psql"));
        command
            .arg("--host")
            .arg(self.server.home.path())
            .arg(format!("--port={}", self.server.port.load(Ordering::Relaxed)))
            .args(["--username=postgres", "--dbname", &self.name])
            .args(arguments);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        output.stdout
    }

    /// The administrator's connection.
    pub async fn admin(&self) -> Client {
        self.server.admin(&self.name).await
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
