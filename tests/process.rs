//! The real binary as a process: commands, sockets, signals, hardening.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::MetadataExt, fs::PermissionsExt, net::UnixListener, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use crate::support::{enclave::PERMISSIVE, served::binary};

/// A directory that a server of another user can use, too.
struct Home {
    dir: TempDir,
    uid: Option<u32>,
}

/// A `countersign serve` that is ready. Killed with the value.
struct Served {
    child: Child,
    home: Home,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
        fs::create_dir(dir.path().join("policies")).unwrap();
        let home = Self { dir, uid: None };
        fs::write(home.path("policies/test.cedar"), PERMISSIVE).unwrap();
        let uid = getuid().as_raw();
        let at = home.dir.path().display();
        let config = format!(
            r#"
            environment = "test"
            [listen]
            enclave = "{at}/enclave.sock"
            custody = "{at}/custody.sock"
            [[caller]]
            name = "app"
            uid = {uid}
            [policy]
            directory = "{at}/policies"
            [store]
            kind = "sqlite"
            path = "{at}/shares.db"
            [kms]
            kind = "local"
            kek_file = "{at}/kek"
            [audit]
            directory = "{at}/audit"
            [metrics]
            listen = "127.0.0.1:0"
            [runtime]
            workers = 2
            "#
        );
        fs::write(home.path("config.toml"), config).unwrap();
        home
    }

    /// Gives the directory to a user without privileges when this is root.
    fn unprivileged(mut self) -> Self {
        if getuid().is_root() {
            let uid = 12345;
            std::os::unix::fs::chown(self.dir.path(), Some(uid), Some(uid)).unwrap();
            self.uid = Some(uid);
        }
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.dir.path());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn serve(self) -> Served {
        let mut child = self
            .command(&["serve", "--config", "config.toml"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"Ready\"") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
        }
        // Somebody must go on reading, or the server would block on its log.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Served { child, home: self }
    }
}

impl Served {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        let give_up = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < give_up, "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_demo_runs_without_configuration() {
    let home = Home::new();
    let report: serde_json::Value =
        serde_json::from_str(&ok(&home.run(&["demo", "--json"]))).unwrap();
    let keys = report["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| key["verified"] == true));
    let reasons: Vec<_> = report["refusals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refusal| refusal["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["CALLER_UNKNOWN", "ENVELOPE_MISMATCH", "ENVELOPE_UNOPENED"]);
    let summary = ok(&home.run(&["demo"]));
    assert!(summary.contains("68 signatures with 4 keys verified"), "{summary}");
}

#[test]
fn the_commands_speak_to_a_served_enclave() {
    let served = Home::new().serve();
    let home = &served.home;
    ok(&home.run(&["health", "--socket", "enclave.sock"]));
    ok(&home.run(&["health", "--socket", "custody.sock", "--liveness"]));
    let custody = ["--socket", "custody.sock", "--json"];
    let generate = ["share", "generate", "--wallet-id", "w", "--algorithm", "ed25519"];
    let made = ok(&home.run(&[&generate[..], &custody].concat()));
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let id = made["share_id"].as_str().unwrap();
    let sign = ["sign", "--socket", "enclave.sock", "--share-id", id, "--wallet-id", "w"];
    let signature = ok(&home.run(&[&sign[..], &["--message", "hello"]].concat()));
    let signature = hex::decode(signature.trim()).unwrap();
    let key = hex::decode(made["public_key"].as_str().unwrap()).unwrap();
    ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key)
        .verify(b"hello", &signature)
        .unwrap();

    let listed = ok(&home.run(&["share", "list", "--socket", "custody.sock"]));
    assert!(listed.contains(id) && listed.contains("enabled"), "{listed}");
    ok(&home.run(&[&["share", "disable", id][..], &custody].concat()));
    let refused = home.run(&[&sign[..], &["--message", "hello"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).starts_with("SHARE_DISABLED: "));
    let shown = ok(&home.run(&[&["share", "show", id][..], &custody].concat()));
    assert!(shown.contains("\"state\":\"disabled\""), "{shown}");
    ok(&home.run(&[&["share", "enable", id][..], &custody].concat()));
    ok(&home.run(&[&sign[..], &["--message-file", "config.toml"]].concat()));
    let binary = binary();
    let piped = format!("{binary} share list --socket custody.sock | true");
    let mut shell = Command::new("/bin/bash");
    shell.args(["-o", "pipefail", "-c", &piped]).current_dir(home.dir.path());
    let piped = shell.output().unwrap();
    assert_eq!(text(&piped.stderr), "", "a reader that has seen enough is no fault");
    let two = home.run(&[&sign[..], &["--message", "a", "--digest", "00"]].concat());
    assert_eq!(two.status.code(), Some(2), "one payload only");
}

#[test]
fn sigterm_drains_and_removes_the_sockets() {
    let mut served = Home::new().serve();
    for socket in ["enclave.sock", "custody.sock"] {
        let mode = fs::metadata(served.home.path(socket)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
    }
    served.signal(Signal::TERM);
    assert!(served.wait().success());
    for socket in ["enclave.sock", "custody.sock"] {
        assert!(!served.home.path(socket).exists());
    }
    let dead = served.home.run(&["health", "--socket", "enclave.sock"]);
    assert_eq!(dead.status.code(), Some(1));
    assert!(text(&dead.stderr).contains("cannot connect"));
}

/// After `kill -9` the sockets are still there and nobody answers: replaced.
#[test]
fn stale_sockets_are_replaced() {
    let mut served = Home::new().serve();
    served.signal(Signal::KILL);
    served.wait();
    assert!(served.home.path("enclave.sock").exists());
    let home = Home::new();
    let home = std::mem::replace(&mut served.home, home);
    let again = home.serve();
    ok(&again.home.run(&["health", "--socket", "enclave.sock"]));
}

#[test]
fn sockets_that_answer_are_not_taken() {
    let home = Home::new();
    let socket = home.path("enclave.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let refused = home.run(&["serve", "--config", "config.toml"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("another process answers on this socket"));
    assert!(listener.local_addr().is_ok() && socket.exists());

    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "precious").unwrap();
    let refused = home.run(&["serve", "--config", "config.toml"]);
    assert!(text(&refused.stderr).contains("is there and not a socket"));
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn without_locked_memory_nothing_starts() {
    let home = Home::new().unprivileged();
    let binary = binary();
    let command = format!("ulimit -l 64; exec {binary} serve --config config.toml");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &command]).current_dir(home.dir.path());
    if let Some(uid) = home.uid {
        shell.uid(uid).gid(uid);
    }
    let refused = shell.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let log = text(&refused.stderr);
    assert!(log.contains("RLIMIT_MEMLOCK allows 64 KiB"), "{log}");
    assert!(log.contains("Raise it to at least 1780 KiB"), "{log}");
    assert!(!home.path("enclave.sock").exists(), "nothing was bound");
}

#[test]
fn the_process_is_hardened() {
    let served = Home::new().unprivileged();
    let uid = served.uid;
    // The caller is this test's uid; the server may be another user's.
    let served = served.serve();
    let proc = PathBuf::from(format!("/proc/{}", served.child.id()));
    let status = fs::read_to_string(proc.join("status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"));
    let limits = fs::read_to_string(proc.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    if uid.is_some() {
        // A process that is not dumpable has its /proc files owned by root (proc(5)).
        assert_eq!(fs::metadata(proc.join("environ")).unwrap().uid(), 0);
    }
}

#[test]
fn check_prints_the_budget_and_every_problem() {
    let home = Home::new();
    let checked = ok(&home.run(&["check", "--config", "config.toml", "--online"]));
    let memory = format!(
        "secret memory  1780 KiB to be locked; {}, at least mlock required\n",
        countersign::enclave::level().0.as_str()
    );
    assert!(checked.contains(&memory), "{checked}");
    assert!(checked.contains("kms            answers, local//countersign-test"), "{checked}");

    // The same without asking anybody, and how far this kernel confines a process.
    let alone = ok(&home.run(&["check", "--config", "config.toml"]));
    for line in ["secret memory  1780 KiB to be locked; ", "landlock       ", "seccomp        "] {
        for printed in [&checked, &alone] {
            let found = printed.lines().filter(|printed| printed.starts_with(line));
            assert_eq!(found.count(), 1, "{line:?}: {printed}");
        }
    }

    fs::write(home.path("policies/bad.cedar"), "permit (principal, action, resource);").unwrap();
    let refused = home.run(&["check", "--config", "config.toml"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(text(&refused.stderr).contains("has no @id"));

    let five = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/five-mistakes.toml");
    let refused = home.run(&["check", "--config", five.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(78));
    assert_eq!(text(&refused.stderr).lines().count(), 5);
    let missing = home.run(&["serve", "--config", "missing.toml"]);
    assert_eq!(missing.status.code(), Some(78));
}

#[test]
fn the_kek_file_must_be_private_and_whole() {
    let home = Home::new();
    let kek = home.path("kek");
    fs::write(&kek, [7; 32]).unwrap();
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = home.run(&["serve", "--config", "config.toml"]);
    assert!(text(&refused.stderr).contains("has mode 0644: run `chmod 0600` on it"));
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o600)).unwrap();
    for length in [0, 31, 33, 4097, 8192] {
        fs::write(&kek, vec![7; length]).unwrap();
        let refused = home.run(&["serve", "--config", "config.toml"]);
        assert!(text(&refused.stderr).contains("32 bytes per version"), "{length}");
    }
}

#[test]
fn the_contract_is_printed_as_a_descriptor_set() {
    let home = Home::new();
    let printed = home.run(&["proto"]).stdout;
    let set: prost_types::FileDescriptorSet = prost::Message::decode(&printed[..]).unwrap();
    let files: Vec<_> = set.file.iter().map(|file| file.name()).collect();
    for file in ["countersign/v1/enclave.proto", "countersign/v1/custody.proto"] {
        assert!(files.contains(&file), "{files:?}");
    }
    let types = set.file.iter().flat_map(|file| &file.message_type);
    assert!(types.into_iter().any(|message| message.name() == "ErrorInfo"), "{files:?}");
}

#[test]
fn metrics_are_served_on_loopback_and_count() {
    let home = Home::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = fs::read_to_string(home.path("config.toml")).unwrap();
    let config = config.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    fs::write(home.path("config.toml"), config).unwrap();
    let served = home.serve();
    let unknown = ["sign", "--socket", "enclave.sock", "--wallet-id", "w", "--message", "m"];
    served.home.run(&[&unknown[..], &["--share-id", "none"]].concat());
    let get = |request: &str| {
        use std::io::Write;

        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let metrics = get("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(metrics.starts_with("HTTP/1.1 200 OK"), "{metrics}");
    let counted = "countersign_requests_total{method=\"Sign\",code=\"INVALID_ARGUMENT\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("countersign_ready 1"), "{metrics}");
    assert!(get("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").starts_with("HTTP/1.1 404"));
    assert!(
        get("POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
            .starts_with("HTTP/1.1 405")
    );
}
