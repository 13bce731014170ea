//! The examples in Python and Node.js, against a real server, with keys that were there
//! before; and what they must refuse. Nothing of ours is in them, but for the contract.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use countersign::{audit::note::Name, client, key::Algorithm, proto};
use k256::pkcs8::LineEnding;
use tempfile::TempDir;

use super::{Foreign, importer::Importer};
use crate::support::{node, python};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// RFC 8410 §10.3, which also has the public key.
const ED25519: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
const ED25519_PUBLIC: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

/// The account of the private key 1, as everybody knows it.
const ONE: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

/// The example, with what it generates from the contract, as its README says.
struct Python {
    interpreter: &'static Path,
    generated: TempDir,
}

impl Python {
    fn new() -> Option<Self> {
        let interpreter = python::interpreter()?;
        let generated = tempfile::tempdir().unwrap();
        let at = generated.path().to_str().unwrap();
        let mut compile = Command::new(interpreter);
        compile.args(["-m", "grpc_tools.protoc", "-I", &format!("{ROOT}/proto")]);
        compile.args([&format!("--python_out={at}"), &format!("--grpc_python_out={at}")]);
        compile.args(["share", "enclave", "custody"].map(|n| format!("countersign/v1/{n}.proto")));
        let compiled = compile.output().unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Some(Self { interpreter, generated })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.interpreter);
        command.arg("-B").arg(format!("{ROOT}/examples/clients/python/import_share.py"));
        command.env("PYTHONPATH", self.generated.path());
        command
    }
}

impl Importer {
    /// Runs an example, and gives it a key on its standard input.
    fn run(&self, mut example: Command, trust: &str, more: &[&str], input: &[u8]) -> Output {
        let enclave = self.served.socket();
        example.args(["--trust", trust, "--custody", &self.socket(), "--wallet-id", "wallet-1"]);
        example.arg("--enclave").arg(enclave).args(more);
        let piped = example.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // One that does not read it may have ended.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    async fn shares(&self) -> Vec<proto::Share> {
        let mut custody = client::custody(Path::new(&self.socket())).await.unwrap();
        let list = custody.list_shares(proto::ListSharesRequest::default());
        list.await.unwrap().into_inner().shares
    }

    /// Files with keys that must not be trusted here, and what is wrong with them.
    fn strangers(&self) -> Vec<(String, &'static str)> {
        let right = Name::parse(&fs::read_to_string(self.path("trust")).unwrap()).unwrap();
        // Another key under the right name, and the right key under another name: good
        // keys both, of somebody else.
        let other_key = Name::new(right.origin().to_owned(), [0x2a; 32]).to_string();
        let other_name = Name::new("countersign/test/another".to_owned(), *right.key()).to_string();
        let mixed = right.to_string().replace("countersign/test/", "countersign/production/");
        let keys = [
            (other_key, "the trusted key did not sign the statement"),
            (other_name, "the trusted key did not sign the statement"),
            (mixed, "has another hash"),
            (String::new(), "not of the form"),
        ];
        let files = keys.into_iter().enumerate().map(|(number, (key, said))| {
            let file = self.path(&format!("stranger-{number}"));
            fs::write(&file, key).unwrap();
            (file, said)
        });
        files.collect()
    }

    /// Nothing is sealed, and the secret not so much as looked for.
    async fn refuses_strangers(&self, example: impl Fn() -> Command) {
        let before = self.shares().await.len();
        for (trust, said) in self.strangers() {
            let output = self.run(example(), &trust, &["--key", "/nonexistent"], b"");
            let log = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{log}");
            assert!(log.contains("nothing was sealed: ") && log.contains(said), "{said}: {log}");
            assert!(output.stdout.is_empty());
        }
        assert_eq!(self.shares().await.len(), before);
    }
}

#[track_caller]
fn verified(output: &Output) -> String {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(said.ends_with("verified\n"), "{said}{log}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn python_imports_and_signs() {
    let Some(python) = Python::new() else {
        return;
    };
    let importer = Importer::start().await;
    let trust = importer.path("trust");
    let run = |key: &[&str], input: &str| {
        verified(&importer.run(python.command(), &trust, key, input.as_bytes()))
    };
    let file = importer.path("key.pem");
    fs::write(&file, ED25519).unwrap();
    assert!(run(&["--key", &file], "").contains(ED25519_PUBLIC));
    let foreign = Foreign::new(Algorithm::EcdsaSecp256k1);
    let secret = k256::SecretKey::from_slice(&foreign.secret).unwrap();
    let pem = secret.to_sec1_pem(LineEnding::LF).unwrap();
    let said = run(&["--key", "-"], &pem);
    assert!(said.contains(&hex::encode(foreign.public_key.as_bytes())));
    run(&[], "");
    let shares = importer.shares().await;
    assert_eq!(shares.len(), 3);
    assert!(shares.iter().all(|share| share.binding == i32::from(proto::Binding::Derived)));
    importer.refuses_strangers(|| python.command()).await;
    importer.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn node_imports_and_signs() {
    let example = || {
        let mut example = node::example("import-share.mjs")?;
        example.arg("--proto").arg(format!("{ROOT}/proto"));
        Some(example)
    };
    if example().is_none() {
        return;
    }
    let example = || example().unwrap();
    let importer = Importer::start().await;
    let trust = importer.path("trust");
    let one = format!("{:064x}\n", 1);
    let file = importer.path("key");
    fs::write(&file, &one).unwrap();
    for key in [&file, "-"] {
        let said = verified(&importer.run(example(), &trust, &["--key", key], one.as_bytes()));
        assert!(said.contains(ONE), "{said}");
    }
    verified(&importer.run(example(), &trust, &[], b""));
    let shares = importer.shares().await;
    assert_eq!(shares.len(), 3);
    let address = |share: &proto::Share| share.public_key.clone().unwrap().account_address;
    assert_eq!(shares.iter().filter(|share| address(share) == ONE).count(), 2);
    importer.refuses_strangers(example).await;
    importer.served.stop();
}

/// What each of them believes and refuses, and what it writes as `info`, is what the
/// vectors say.
#[test]
fn both_agree_with_the_vectors() {
    let vectors = format!("{ROOT}/tests/vectors/import.json");
    let said = "38 statements, 121 infos";
    let example = format!("{ROOT}/examples/clients/python");
    if let Some(printed) = python::run("import_vectors.py", &[&example, &vectors]) {
        assert_eq!(printed.trim(), said);
    }
    if let Some(example) = node::examples() {
        let script = format!("{ROOT}/tests/import_vectors.mjs");
        let mut node = Command::new("node");
        node.arg(script).arg(example.join("import-share.mjs")).arg(&vectors);
        let output = node.env_remove("NODE_OPTIONS").env_remove("NODE_PATH").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), said);
    }
}
