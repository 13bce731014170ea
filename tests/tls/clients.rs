//! Clients and certificates of other makers.

use std::{path::Path, process::Command};

use countersign::grpc::{Files, Service};

use crate::support::{kernel::lacking, python, served::Home};

/// The shell block of docs/callers.md that makes certificates with OpenSSL.
fn documented() -> &'static str {
    let document = include_str!("../../docs/callers.md");
    let blocks = document.split("```sh\n").skip(1);
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains("openssl")).unwrap()
}

/// OpenSSL's certificates, as the documentation has them made, and Python's gRPC.
#[tokio::test(flavor = "multi_thread")]
async fn openssl_makes_what_a_python_client_signs_with() {
    let Some(interpreter) = python::interpreter() else {
        return;
    };
    if Command::new("openssl").arg("version").output().is_err() {
        lacking("openssl, on the PATH");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut made = Command::new("bash");
    made.args(["-euo", "pipefail", "-c", documented()]).current_dir(directory.path());
    let made = made.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let path = |name: &str| directory.path().join(name);
    let files = Files {
        service: Service::Signing,
        certificate: path("server.pem"),
        key: path("server.key"),
        client_ca: path("ca.pem"),
    };
    let home = Home::embedded();
    home.tls(&files, "spiffe://example.org/payments");
    home.listen(&Files { service: Service::Custody, ..files });
    let command = home.serve();
    let served = home.start(command).await;
    let share = served.generate().await;
    let request = share.sign_request(&std::array::from_fn::<u8, 32, _>(|index| index as u8));

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut client = Command::new(interpreter);
    client.arg("-B").arg(root.join("tests/tls_client.py")).arg(root.join("proto"));
    client.args([served.home.tls, served.home.custody_tls].map(|port| format!("localhost:{port}")));
    client.arg(directory.path());
    client.args([&request.share_id, &request.wallet_id]);
    let finished = client.output().unwrap();
    let printed = String::from_utf8(finished.stdout).unwrap();
    let log = String::from_utf8_lossy(&finished.stderr);
    assert!(finished.status.success(), "{log}\n{}", served.home.log());

    let mut local = countersign::client::enclave(&served.socket()).await.unwrap();
    let expected = local.sign(request).await.unwrap().into_inner().signature.unwrap();
    assert_eq!(printed.trim(), hex::encode(expected.value), "Ed25519 is deterministic");
    served.stop();
}
