//! The commands, against a real server, with keys that OpenSSL has made: three steps that
//! share files alone, or all of them at once.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use super::importer::Importer;
use crate::support::{kernel::lacking, served::binary};

impl Importer {
    /// `countersign share …`, in words.
    fn share(&self, words: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(binary())
            .arg("share")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What every sealing says, and `more`.
    fn seal<'a>(&'a self, trust: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["--trust", trust, "--wallet-id", "wallet-1"], more].concat()
    }
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn openssl(words: &[&str], out: &Path) {
    let mut command = Command::new("openssl");
    let made = command.args(words).arg("-out").arg(out).output().expect("openssl is installed");
    assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
}

/// The public key that OpenSSL gives to a private key.
fn public_key(private: &Path, bytes: usize) -> String {
    let mut command = Command::new("openssl");
    command.args(["pkey", "-pubout", "-outform", "DER"]);
    if bytes == 33 {
        command.args(["-ec_conv_form", "compressed"]);
    }
    let der = command.arg("-in").arg(private).output().unwrap().stdout;
    hex::encode(&der[der.len() - bytes..])
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_openssl_come_in_and_sign() {
    if Command::new("openssl").arg("version").output().is_err() {
        lacking("openssl, on the PATH");
        return;
    }
    let importer = Importer::start().await;
    let (trust, socket) = (importer.path("trust"), importer.socket());
    let pem = importer.directory.path().join("key.pem");
    let der = importer.directory.path().join("key.der");
    let cases: [(&str, usize, &[&str]); 4] = [
        ("ed25519", 32, &["genpkey", "-algorithm", "ed25519"]),
        ("ecdsa-p256", 33, &["ecparam", "-genkey", "-noout", "-name", "prime256v1"]),
        ("ecdsa-secp256k1", 33, &["ecparam", "-genkey", "-noout", "-name", "secp256k1"]),
        (
            "ecdsa-secp256k1",
            33,
            &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        ),
    ];
    for (algorithm, bytes, words) in cases {
        openssl(words, &pem);
        openssl(&["pkey", "-outform", "DER", "-in", pem.to_str().unwrap()], &der);
        let key = public_key(&pem, bytes);
        for (file, format) in [(&pem, "pem"), (&der, "der")] {
            let file = file.to_str().unwrap();
            let of = ["--algorithm", algorithm, "--secret", file, "--format", format];
            let declared = [&of[..], &["--public-key", &key]].concat();
            let seal = importer.seal(&trust, &declared);
            let words = [&["import", "--json", "--socket", &socket], &*seal].concat();
            let printed = done(&importer.share(&words, b""));
            let share: serde_json::Value = serde_json::from_str(&printed).unwrap();
            assert_eq!(share["public_key"], key);
            assert_eq!(share["algorithm"], algorithm);
        }
    }
    importer.served.stop();
}

/// On a machine without the socket, with files that hold nothing secret.
#[tokio::test(flavor = "multi_thread")]
async fn three_steps_share_files_alone() {
    let importer = Importer::start().await;
    let (trust, socket) = (importer.path("trust"), importer.socket());
    let secret = "2a".repeat(32);
    let statement = done(&importer.share(&["import-key", "--socket", &socket], b""));
    let file = importer.path("statement");
    fs::write(&file, &statement).unwrap();
    let of = ["--algorithm", "ed25519", "--secret", "-", "--format", "hex"];
    let seal = importer.seal(&trust, &of);
    let words = [&["seal", "--statement", &file], &*seal].concat();
    let sealed = done(&importer.share(&words, secret.as_bytes()));
    assert!(!sealed.contains(&secret));
    let submit = ["submit", "--json", "--socket", &socket, "-"];
    let share = done(&importer.share(&submit, sealed.as_bytes()));
    let share: serde_json::Value = serde_json::from_str(&share).unwrap();
    // RFC 8032's public key of that seed, by a library that is not the signer's.
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[0x2a; 32]).unwrap();
    assert_eq!(share["public_key"], hex::encode(pair.public_key()));
    // The same again is told so, and another wallet's is refused.
    assert!(failed(&importer.share(&submit, sealed.as_bytes())).contains("SHARE_EXISTS"));
    let other = sealed.replace("wallet-1", "wallet-2");
    let refused = failed(&importer.share(&submit, other.as_bytes()));
    assert!(refused.contains("SHARE_ID_TAKEN"), "{refused}");

    let log = fs::read_to_string(importer.served.home.path("log")).unwrap();
    assert!(!log.contains(&secret));
    importer.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_not_sealed() {
    let importer = Importer::start().await;
    let (trust, socket) = (importer.path("trust"), importer.socket());
    let secret = "2a".repeat(32);
    let stranger = importer.path("stranger");
    let key = fs::read_to_string(&trust).unwrap();
    let other = "PeerOfNobody+00000000+".to_owned() + key.rsplit('+').next().unwrap();
    fs::write(&stranger, other).unwrap();
    let run = |trust: &str, algorithm: &str, more: &[&str], input: &str| {
        let of = ["--algorithm", algorithm, "--secret", "-", "--format", "hex"];
        let of = [&of[..], more].concat();
        let seal = importer.seal(trust, &of);
        let words = [&["import", "--socket", &socket], &*seal].concat();
        failed(&importer.share(&words, input.as_bytes()))
    };
    assert!(run(&stranger, "ed25519", &[], &secret).contains("no key of the form"));
    assert!(run(&importer.path("none"), "ed25519", &[], &secret).contains("No such file"));
    assert!(run(&trust, "ed25519", &[], "2a2a").contains("32 bytes"));
    assert!(run(&trust, "ecdsa-p256", &[], &"00".repeat(32)).contains("is no key of"));
    let wrong = ["--public-key", &"00".repeat(32)];
    let said = run(&trust, "ed25519", &wrong, &secret);
    assert!(said.contains("--public-key is none of"), "{said}");
    // RFC 8032 §7.1, TEST 1.
    let another = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let said = run(&trust, "ed25519", &["--public-key", another], &secret);
    assert!(said.contains("another public key") && said.contains("Nothing was sealed"), "{said}");
    let address = ["--account-address", "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"];
    let said = run(&trust, "ecdsa-secp256k1", &address, &secret);
    assert!(said.contains("another public key") && said.contains("Nothing was sealed"), "{said}");
    assert!(!said.contains(&secret));
    let lower = ["--account-address", "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"];
    assert!(run(&trust, "ecdsa-secp256k1", &lower, &secret).contains("EIP-55"));
    importer.served.stop();
}
