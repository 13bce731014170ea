//! A person with a certificate and the command line, against the real binary.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use countersign::{
    audit::{
        reader::{Found, Reader},
        record::{Decision, Event},
    },
    client::Address,
    grpc::Service,
};
use rcgen::CertificateParams;
use rustls::{
    ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use serde_json::Value;

use crate::{
    hardened::serving::assert_confined,
    import::importer::key,
    support::{
        pki::{Authority, Pair, svid},
        served::{Home, Served, binary, free_port},
        tls::TlsFiles,
    },
};

const ALICE: &str = "spiffe://example.org/people/alice";
const BOB: &str = "spiffe://example.org/people/bob";

const PEOPLE: &str = r#"
[[caller]]
name = "alice"
spiffe_id = "spiffe://example.org/people/alice"
[[caller]]
name = "bob"
spiffe_id = "spiffe://example.org/people/bob"
[custody]
destroy_after = "0s"
"#;

const POLICY: &str = r#"
@id("alice-keeps") permit (principal == Caller::"alice", action in [Action::"GenerateShare",
    Action::"GetImportKey", Action::"ImportShare", Action::"ListShares", Action::"GetShare",
    Action::"DisableShare", Action::"EnableShare", Action::"ScheduleDestruction",
    Action::"DestroyShare", Action::"ReencryptShare"], resource);
@id("alice-signs") permit (principal == Caller::"alice", action == Action::"Sign", resource);
"#;

/// A server with both listeners, trusting one authority, and a directory of a person's.
struct Office {
    served: Served,
    files: TlsFiles,
    directory: tempfile::TempDir,
}

/// Who runs a command, where to.
struct Desk<'a> {
    office: &'a Office,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    server: String,
    more: Vec<String>,
}

impl Office {
    async fn open() -> Self {
        let home = Home::embedded();
        let files = TlsFiles::new();
        home.tls(&files.files(Service::Signing), "spiffe://example.org/app");
        home.listen(&files.files(Service::Custody));
        home.add(PEOPLE);
        fs::write(home.path("config/policies/people.cedar"), POLICY).unwrap();
        let command = home.serve();
        let served = home.start(command).await;
        Self { served, files, directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The place of whoever has this certificate.
    fn desk(&self, name: &str, pair: &Pair) -> Desk<'_> {
        let (certificate, key) =
            (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&certificate, &pair.certificate).unwrap();
        fs::write(&key, &pair.key).unwrap();
        let ca = self.path("ca.pem");
        fs::write(&ca, self.files.authority.pem()).unwrap();
        let server = format!("https://localhost:{}", self.served.home.custody_tls);
        Desk { office: self, certificate, key, ca, server, more: Vec::new() }
    }

    fn person(&self, spiffe_id: &str) -> Desk<'_> {
        let name = spiffe_id.rsplit('/').next().unwrap();
        self.desk(name, &self.files.authority.svid(spiffe_id))
    }

    /// The requests of the log: who, what, and what policy said.
    fn requests(&self) -> Vec<(String, String, Decision)> {
        let mut reader = Reader::new(&self.served.home.path("audit"));
        let mut requests = Vec::new();
        while let Some(found) = reader.advance().unwrap() {
            if let Found::Record(record) = found
                && let Event::Request(request) = record.event
            {
                requests.push((request.caller, request.action, request.decision));
            }
        }
        requests
    }
}

impl Desk<'_> {
    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.args(words).args(["--server", &self.server]);
        command.arg("--certificate-file").arg(&self.certificate);
        command.arg("--key-file").arg(&self.key).arg("--ca-file").arg(&self.ca);
        command.args(&self.more).output().unwrap()
    }

    /// `countersign share …`, which succeeds.
    #[track_caller]
    fn share(&self, words: &[&str]) -> String {
        let output = self.run(&[&["share"], words].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {errors}\n{}", self.office.served.home.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is said of a command that fails, which is never the key.
    #[track_caller]
    fn refused(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!errors.contains("PRIVATE KEY"), "{errors}");
        errors
    }
}

/// From the beginning of shares to their end; the log names who it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_the_whole_of_custody_and_is_named() {
    let office = Office::open().await;
    assert_confined(&office.served);
    let alice = office.person(ALICE);
    let ed25519 = ["generate", "--wallet-id", "wallet", "--algorithm", "ed25519", "--json"];
    let made: Value = serde_json::from_str(&alice.share(&ed25519)).unwrap();
    let id = made["share_id"].as_str().unwrap();
    assert!(alice.share(&["list"]).contains(id));
    assert!(alice.share(&["show", id]).contains("enabled"));
    assert!(alice.share(&["reencrypt", id, "--json"]).contains("\"record_version\":2"));
    assert!(alice.share(&["disable", id]).contains("disabled"));
    assert!(alice.share(&["enable", id]).contains("enabled"));
    alice.share(&["disable", id]);
    alice.share(&["schedule-destruction", id, "--reason", "it is over"]);
    alice.share(&["destroy", id, "--reason", "as scheduled"]);
    assert!(!alice.share(&["list"]).contains(id));

    office.served.until("its key is in its log", |served| key(served).is_some()).await;
    fs::write(office.path("trust"), key(&office.served).unwrap()).unwrap();
    fs::write(office.path("secret"), "2a".repeat(32)).unwrap();
    let (trust, secret) = (office.path("trust"), office.path("secret"));
    let import = ["import", "--trust", trust.to_str().unwrap(), "--secret"];
    let what = [secret.to_str().unwrap(), "--format", "hex", "--wallet-id", "wallet"];
    let imported = alice.share(&[&import[..], &what, &["--algorithm", "ed25519"]].concat());
    assert!(imported.contains("ed25519"), "{imported}");

    let requests = office.requests();
    let actions = [
        "GenerateShare",
        "ListShares",
        "GetShare",
        "ReencryptShare",
        "DisableShare",
        "EnableShare",
        "ScheduleDestruction",
        "DestroyShare",
        "GetImportKey",
        "ImportShare",
    ];
    for action in actions {
        let of_it: Vec<_> = requests.iter().filter(|request| request.1 == action).collect();
        assert!(!of_it.is_empty(), "{action}: {requests:?}");
        let named = |request: &&(String, String, Decision)| {
            (&*request.0, request.2) == ("alice", Decision::Permitted)
        };
        assert!(of_it.iter().all(named), "{action}: {requests:?}");
    }
    assert_confined(&office.served);
    office.served.stop();
}

/// A person without a permission learns the reason, and the log has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_a_permission_is_refused() {
    let office = Office::open().await;
    let bob = office.person(BOB);
    let generate = ["share", "generate", "--wallet-id", "wallet", "--algorithm", "ed25519"];
    let said = bob.refused(&generate);
    assert!(said.starts_with("POLICY_DENIED: "), "{said}");
    let stranger = office.person("spiffe://example.org/people/mallory");
    let said = stranger.refused(&generate);
    assert!(said.starts_with("CALLER_UNKNOWN: "), "{said}");
    let expected = ("bob".to_owned(), "GenerateShare".to_owned(), Decision::Denied);
    assert_eq!(office.requests(), [expected]);
    assert!(!office.person(ALICE).share(&["list"]).contains("ed25519"));
    office.served.stop();
}

/// Signing goes over the other listener with the same options.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_can_be_had_the_same_way() {
    let office = Office::open().await;
    let share = office.served.generate().await;
    let mut alice = office.person(ALICE);
    let sign = ["sign", "--share-id", share.id(), "--wallet-id", "wallet", "--message", "hello"];
    let said = alice.refused(&sign);
    assert!(said.contains("this listener does not offer what was asked for"), "{said}");
    let said = Desk { server: format!("https://localhost:{}", office.served.home.tls), ..alice };
    assert!(said.refused(&["share", "list"]).contains("[listen.custody_tls]"));
    alice = said;
    let signed = alice.run(&sign);
    assert!(signed.status.success(), "{signed:?}");
    assert_eq!(signed.stdout.len(), 129);
    office.served.stop();
}

/// Each way in which there is no connection, and what a person is told to do.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said() {
    let office = Office::open().await;
    let list = ["share", "list"];
    let authority = &office.files.authority;
    let alice = || office.person(ALICE);
    let at = |server: String| Desk { server, ..alice() };
    let home = &office.served.home;

    let said = office.desk("other", &Authority::new().svid(ALICE)).refused(&list);
    assert!(said.contains("refuses the certificate of `--certificate-file`"), "{said}");
    assert!(said.contains("DecryptError"), "{said}");

    let other = office.path("other-ca.pem");
    fs::write(&other, Authority::new().pem()).unwrap();
    let said = Desk { ca: other, ..alice() }.refused(&list);
    assert!(said.contains("an authority that is not in `--ca-file`"), "{said}");

    // As behind a forwarded port.
    let mut forwarded = at(format!("https://127.0.0.1:{}", home.custody_tls));
    let said = forwarded.refused(&list);
    assert!(said.contains("not valid for name") && said.contains("--server-name"), "{said}");
    forwarded.more = vec!["--server-name".to_owned(), "localhost".to_owned()];
    forwarded.share(&["list"]);

    let said = at(format!("https://localhost:{}", free_port())).refused(&list);
    assert!(said.contains("Connection refused") && said.contains("the port forwarded"), "{said}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let said = at(format!("https://localhost:{port}")).refused(&list);
    assert!(said.contains("no answer within 10s"), "{said}");

    let said = at(format!("https://localhost:{}", home.metrics)).refused(&list);
    assert!(said.contains("this is no gRPC server over TLS 1.3"), "{said}");

    let mut expired = svid(&[ALICE]);
    expired.not_before = (SystemTime::now() - Duration::from_secs(7200)).into();
    expired.not_after = (SystemTime::now() - Duration::from_secs(3600)).into();
    let said = office.desk("expired", &authority.issue(&expired)).refused(&list);
    assert!(said.contains("`--certificate-file`: ") && said.contains("expired at "), "{said}");

    // Every problem with the files at once.
    let pair = Pair { certificate: "none".to_owned(), key: "none".to_owned() };
    let said = Desk { ca: office.path("nowhere"), ..office.desk("none", &pair) }.refused(&list);
    for expected in [
        "none.pem holds no PEM certificate",
        "none.key holds no PEM private key",
        "`--ca-file`: ",
        "nowhere cannot be read: entity not found",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let own = authority.svid(ALICE);
    let pair = Pair { key: authority.svid(ALICE).key, ..own };
    let said = office.desk("mixed", &pair).refused(&list);
    assert!(said.contains("is not the key of the first certificate in `--certificate-file`"));
    assert_eq!(office.requests().len(), 1, "the one list that came in");
    office.served.stop();
}

/// Where somebody serves TLS with this certificate, once, who is not the enclave.
fn other_server(pair: &Pair, version: &'static SupportedProtocolVersion, alpn: &[u8]) -> String {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut session = ServerConnection::new(Arc::new(config)).unwrap();
        // Until the client goes, or its half of the handshake is over.
        while session.is_handshaking() && session.complete_io(&mut stream).is_ok() {}
    });
    format!("https://localhost:{port}")
}

/// Nobody else is taken for the enclave.
#[tokio::test(flavor = "multi_thread")]
async fn other_servers_are_refused() {
    let office = Office::open().await;
    let authority = &office.files.authority;
    let alice = |server| Desk { server, ..office.person(ALICE) };
    let list = ["share", "list"];
    let good = authority.server();
    let mut expired = CertificateParams::new(["localhost".to_owned()]).unwrap();
    expired.not_before = (SystemTime::now() - Duration::from_secs(7200)).into();
    expired.not_after = (SystemTime::now() - Duration::from_secs(3600)).into();
    let expired = authority.issue(&expired);
    let cases = [
        (other_server(&expired, &TLS13, b"h2"), "the server's certificate is refused"),
        (other_server(&good, &TLS12, b"h2"), "this is no gRPC server over TLS 1.3"),
        (other_server(&good, &TLS13, b"http/1.1"), "this is no gRPC server over TLS 1.3"),
        (
            other_server(&good, &TLS13, b"h2"),
            "the server ended the connection (unexpected end of file)",
        ),
    ];
    for (server, expected) in cases {
        let said = alice(server).refused(&list);
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(office.requests(), []);
    office.served.stop();
}

/// A host of IPv6 stands in brackets, which are not of its name in a certificate.
#[test]
fn an_address_may_be_ipv6() {
    let address: Address = "https://[::1]:8444".parse().unwrap();
    assert_eq!((address.host(), &*address.to_string()), ("::1", "https://[::1]:8444"));
}

/// The command line: a socket or a server, and a server with all of its files.
#[test]
fn options_go_together() {
    let files = ["--certificate-file", "a", "--key-file", "b", "--ca-file", "c"];
    let server = ["--server", "https://custody.internal:8444"];
    let socket = ["--socket", "custody.sock"];
    let cases: [(Vec<&str>, &str); 8] = [
        (vec![], "--socket <PATH>"),
        ([&socket[..], &server, &files].concat(), "cannot be used with"),
        (server.to_vec(), "--certificate-file <FILE>"),
        ([&socket[..], &files[..2]].concat(), "--server"),
        ([&["--server", "http://localhost:1"], &files[..]].concat(), "write it as https://"),
        ([&["--server", "https://localhost"], &files[..]].concat(), "write it as https://"),
        ([&["--server", "https://a@localhost:1/b"], &files[..]].concat(), "write it as https://"),
        ([&server[..], &files, &["--server-name", "no name"]].concat(), "no DNS name"),
    ];
    for (words, expected) in cases {
        let output = Command::new(binary()).args(["share", "list"]).args(&words).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {errors}");
        assert!(errors.contains(expected), "{words:?}: {errors}");
    }
}
