//! Clients of other languages against the real binary.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use crate::support::{python, served::binary};

/// Killed with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Python's gRPC is the C core, as Ruby's, PHP's and C++'s are.
#[test]
fn a_python_client_signs_and_openssl_agrees() {
    let Some(interpreter) = python::interpreter() else {
        return;
    };
    let dir = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
    let mut demo = Command::new(binary());
    demo.args(["demo", "--json", "--serve", "--dir"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .process_group(0);
    let mut demo = Running(demo.spawn().unwrap());
    let mut keys = String::new();
    for line in BufReader::new(demo.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        keys.push_str(&line);
        // The document's last line.
        if line == "}" {
            break;
        }
    }

    let root = env!("CARGO_MANIFEST_DIR");
    let mut client = Command::new(interpreter)
        .arg(format!("{root}/tests/grpc_client.py"))
        .arg(format!("{root}/proto"))
        .arg(dir.path().join("enclave.sock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    let finished = client.wait_with_output().unwrap();
    let mut log = String::new();
    finished.stderr.as_slice().read_to_string(&mut log).unwrap();
    assert!(finished.status.success(), "{log}");
    assert_eq!(String::from_utf8(finished.stdout).unwrap().trim(), "4 keys");
}
