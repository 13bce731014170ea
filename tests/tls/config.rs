//! `[listen.tls]` and callers by SPIFFE ID: what is refused, and `check`.

use std::{fs, process::Command};

use countersign::{
    config::Config,
    grpc::Service,
    policy::{Facts, Policy},
};

use super::instance::APP;
use crate::support::{
    pki::Authority,
    served::{Home, binary},
    tls::TlsFiles,
};

const GOOD: &str = r#"
environment = "staging"
[listen]
enclave = "/run/countersign/enclave.sock"
[listen.tls]
address = "127.0.0.1:8443"
certificate_file = "/run/tls/svid.pem"
key_file = "/run/tls/svid_key.pem"
client_ca_file = "/run/tls/svid_bundle.pem"
[[caller]]
name = "api"
spiffe_id = "spiffe://example.org/api"
[[caller]]
name = "both"
uid = 1
spiffe_id = "spiffe://example.org/both"
[policy]
directory = "/etc/countersign/policies"
[store]
kind = "sqlite"
path = "/var/lib/countersign/shares.db"
[kms]
kind = "local"
kek_file = "/var/lib/countersign/kek"
[audit]
directory = "/var/lib/countersign/audit"
"#;

#[test]
fn a_listener_on_loopback_needs_no_word() {
    let config = Config::parse(GOOD).unwrap();
    let tls = config.listen.tls.unwrap();
    assert!(tls.address.ip().is_loopback());
    assert_eq!(tls.files.key.to_str(), Some("/run/tls/svid_key.pem"));
    let api = config.callers.by_spiffe_id(&"spiffe://example.org/api".parse().unwrap()).unwrap();
    assert_eq!((&*api.name, api.uid), ("api", None));
    let both = config.callers.by_uid(1).unwrap();
    assert_eq!(both.spiffe_id.as_ref().unwrap().as_str(), "spiffe://example.org/both");

    let v6 = GOOD.replace("127.0.0.1:8443", "[::1]:8443");
    assert!(Config::parse(&v6).is_ok());
    let reachable = "10.0.0.1:8443\"\nreachable_from_network = true\nkey_file = \"k\"#\"";
    let key = "key_file = \"/run/tls/svid_key.pem\"\n";
    let source = GOOD.replace(key, "").replace("127.0.0.1:8443\"", reachable);
    let config = Config::parse(&source).unwrap();
    assert!(!config.listen.tls.unwrap().address.ip().is_loopback());
}

#[test]
fn mistakes_say_what_to_write() {
    let address = "address = \"127.0.0.1:8443\"";
    let network = "line 5: `listen.tls.address` ";
    let cases = [
        (address, "address = \"0.0.0.0:8443\"", network),
        (address, "address = \"[::]:8443\"", network),
        (address, "address = \"192.168.1.2:8443\"", network),
        (address, "address = \"[::ffff:127.0.0.1]:8443\"", network),
        (address, "address = \"10.0.0.1:8443\"\nreachable_from_network = false", network),
        (
            address,
            "address = \"127.0.0.1:8443\"\nreachable_from_network = \"yes\"",
            "line 7: `listen.tls.reachable_from_network` must be true or false",
        ),
        (address, "address = \"127.0.0.1\"", "line 6: `listen.tls.address` must be an IP address"),
        (address, "address = \"localhost:8443\"", "line 6: `listen.tls.address` must be an IP"),
        (
            address,
            "address = \"127.0.0.1:0\"",
            "line 6: `listen.tls.address` must be an IP address",
        ),
        (address, "", "line 5: `listen.tls.address` is missing"),
        ("certificate_file", "certificate", "line 5: `listen.tls.certificate_file` is missing"),
        ("key_file", "key", "line 5: `listen.tls.key_file` is missing"),
        ("client_ca_file", "ca_file", "line 9: unknown key `ca_file` in [listen.tls]"),
        (
            "spiffe://example.org/both",
            "spiffe://example.com/both",
            "line 13: the spiffe_id \"spiffe://example.com/both\" is of another trust domain",
        ),
        (
            "spiffe://example.org/both",
            "spiffe://example.org/api",
            "line 13: there is another caller with the spiffe_id",
        ),
        ("uid = 1\nspiffe_id", "uid = 1\nspifeid", "line 16: unknown key `spifeid` in [caller]"),
    ];
    for (from, to, expected) in cases {
        assert_refused(GOOD, from, to, expected);
    }
}

/// With `to` in the place of `from` there is a problem that begins like this.
#[track_caller]
fn assert_refused(source: &str, from: &str, to: &str, expected: &str) {
    assert!(source.contains(from), "{from}");
    let found = Config::parse(&source.replacen(from, to, 1)).expect_err(to);
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|problem| problem.starts_with(expected)), "{to}: {found:#?}");
}

/// The listener of custody is read by the same rules, under its own name, beside the other.
#[test]
fn custody_has_a_listener_of_its_own() {
    let table = GOOD[GOOD.find("[listen.tls]").unwrap()..GOOD.find("[[caller]]").unwrap()]
        .replace("[listen.tls]", "[listen.custody_tls]")
        .replace("/run/tls", "/run/custody")
        .replace(":8443", ":8444");
    let both =
        GOOD.replace("[[caller]]\nname = \"api\"", &format!("{table}[[caller]]\nname = \"api\""));
    let config = Config::parse(&both).unwrap();
    let services: Vec<_> = config.listen.over_tls().map(|tls| tls.files.service).collect();
    assert_eq!(services, [Service::Signing, Service::Custody]);
    assert!(config.listen.custody.is_none() && config.listen.offers_custody());
    let custody = config.listen.custody_tls.clone().unwrap();
    assert_eq!(custody.files.key.to_str(), Some("/run/custody/svid_key.pem"));
    // It imports, so that it has the room for it.
    assert_eq!(config.budget().slots, Config::parse(GOOD).unwrap().budget().slots + 4);
    let alone = both.replace("[listen.tls]", "[nothing]");
    let alone = format!(
        "{}{}",
        &alone[..alone.find("[nothing]").unwrap()],
        &both[both.find("[listen.custody_tls]").unwrap()..]
    );
    assert!(Config::parse(&alone).unwrap().listen.tls.is_none());

    let cases = [
        (
            "127.0.0.1:8444",
            "0.0.0.0:8444",
            "line 10: `listen.custody_tls.address` 0.0.0.0:8444 is not a loopback",
        ),
        (
            "127.0.0.1:8444",
            "127.0.0.1:8443",
            "line 10: `listen.custody_tls.address` 127.0.0.1:8443 is the address of \
             `listen.tls.address` 127.0.0.1:8443: give each listener a port of its own",
        ),
        (
            "\"127.0.0.1:8444\"",
            "\"0.0.0.0:8443\"\nreachable_from_network = true",
            "line 10: `listen.custody_tls.address` 0.0.0.0:8443 is the address of",
        ),
        (
            "[policy]",
            "[metrics]\nlisten = \"127.0.0.1:8444\"\n[policy]",
            "line 22: `metrics.listen` 127.0.0.1:8444 is the address of `listen.custody_tls.address`",
        ),
        (
            "[policy]",
            "[metrics]\nlisten = \"127.0.0.1:8443\"\n[policy]",
            "line 22: `metrics.listen` 127.0.0.1:8443 is the address of `listen.tls.address`",
        ),
        (
            "certificate_file = \"/run/custody/svid.pem\"\n",
            "",
            "line 10: `listen.custody_tls.certificate_file` is missing",
        ),
        (
            "client_ca_file = \"/run/custody/",
            "ca_file = \"/run/custody/",
            "line 14: unknown key `ca_file` in [listen.custody_tls]",
        ),
        ("127.0.0.1:8444", "127.0.0.1", "line 11: `listen.custody_tls.address` must be an IP"),
    ];
    for (from, to, expected) in cases {
        assert_refused(&both, from, to, expected);
    }
}

/// What could never be used is a mistake.
#[test]
fn what_does_not_go_together_is_found() {
    let message = |source: &str| {
        let found = Config::parse(source).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].to_string()
    };
    let start = GOOD.find("[listen.tls]").unwrap();
    let end = GOOD.find("[[caller]]").unwrap();
    let without_listener = format!("{}{}", &GOOD[..start], &GOOD[end..]);
    assert!(message(&without_listener).starts_with("line 5: this caller has a spiffe_id alone"));
    let local = "[[caller]]\nname = \"api\"\nuid = 1\n";
    let policy = GOOD.find("[policy]").unwrap();
    let without_workloads = format!("{}{local}{}", &GOOD[..end], &GOOD[policy..]);
    assert!(message(&without_workloads).contains("no [[caller]] has a spiffe_id"));
    let without_people = without_workloads.replace("[listen.tls]", "[listen.custody_tls]");
    let expected = "[listen.custody_tls] is there, and no [[caller]] has a spiffe_id";
    assert!(message(&without_people).contains(expected));
}

/// The blocks of a language in docs/callers.md.
fn documented(language: &str) -> String {
    let document = include_str!("../../docs/callers.md");
    let blocks = document.split("```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n")));
    blocks.collect()
}

/// What the documentation shows is accepted as it stands.
#[test]
fn the_documented_configuration_holds() {
    let start = GOOD.find("[listen.tls]").unwrap();
    let policy = GOOD.find("[policy]").unwrap();
    let source = format!("{}{}{}", &GOOD[..start], documented("toml"), &GOOD[policy..]);
    let config = Config::parse(&source).unwrap();
    assert_eq!(config.callers.iter().count(), 4);
    assert_eq!(config.listen.over_tls().count(), 2);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("documented.cedar"), documented("cedar")).unwrap();
    if let Err(problems) = Policy::load(directory.path(), Facts::default()) {
        panic!("{problems:?}");
    }
}

/// A configuration with a TLS listener on these files.
fn home(files: &TlsFiles) -> Home {
    let home = Home::embedded();
    home.tls(&files.files(Service::Signing), APP);
    home
}

fn check(home: &Home) -> (bool, String) {
    let mut command = Command::new(binary());
    command.args(["check", "--config"]).arg(home.config());
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.success(), text.concat())
}

/// Every problem of every file at once, together with those of the policies.
#[test]
fn check_finds_every_problem_with_the_files() {
    let files = TlsFiles::new();
    let home = home(&files);
    let (good, text) = check(&home);
    assert!(good, "{text}");
    assert!(text.contains("certificate valid until"), "{text}");

    fs::write(home.path("config/policies/bad.cedar"), "permit (principal").unwrap();
    fs::remove_file(files.path("server.key")).unwrap();
    fs::write(files.path("client-ca.pem"), "no certificate").unwrap();
    let mut expired = rcgen::CertificateParams::default();
    expired.not_after = (std::time::SystemTime::now() - std::time::Duration::from_secs(60)).into();
    let expired = files.authority.issue(&expired);
    fs::write(files.path("server.pem"), &expired.certificate).unwrap();
    let (good, text) = check(&home);
    assert!(!good);
    for expected in [
        "`listen.tls.certificate_file`: ",
        "server.pem expired at ",
        "`listen.tls.key_file`: ",
        "server.key cannot be read: entity not found",
        "`listen.tls.client_ca_file`: ",
        "client-ca.pem holds no PEM certificate",
        "bad.cedar",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }

    // Two problems that are found only where each file by itself is good.
    fs::write(files.path("server.key"), Authority::new().server().key).unwrap();
    let (_, text) = check(&home);
    assert!(text.contains("server.pem expired at"), "{text}");
    assert!(text.contains("server.key is not the key of the first certificate"), "{text}");
}

/// The problems of both listeners at once, each by its table; and of each a line where they
/// are good.
#[test]
fn check_reads_the_files_of_both_listeners() {
    let (signing, custody) = (TlsFiles::new(), TlsFiles::new());
    let home = home(&signing);
    home.listen(&custody.files(Service::Custody));
    let (good, text) = check(&home);
    assert!(good, "{text}");
    let lines = [("tls            ", home.tls), ("custody tls    ", home.custody_tls)];
    for (key, port) in lines {
        let line = format!("{key}127.0.0.1:{port}, certificate valid until");
        assert!(text.contains(&line), "{line}: {text}");
    }
    fs::remove_file(signing.path("server.key")).unwrap();
    fs::write(custody.path("client-ca.pem"), "no certificate").unwrap();
    fs::write(custody.path("server.key"), Authority::new().server().key).unwrap();
    let (good, text) = check(&home);
    assert!(!good);
    for expected in [
        "`listen.tls.key_file`: ",
        "`listen.custody_tls.client_ca_file`: ",
        "is not the key of the first certificate in `listen.custody_tls.certificate_file`",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let output = home.serve().output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("`listen.custody_tls.client_ca_file`: "), "{errors}");
    assert!(!home.path("run/enclave.sock").exists(), "nothing was bound");
}

/// The server does not begin with what `check` refuses.
#[test]
fn serve_refuses_what_check_refuses() {
    let files = TlsFiles::new();
    let home = home(&files);
    fs::write(files.path("server.key"), Authority::new().server().key).unwrap();
    let output = home.serve().output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("is not the key of the first certificate"), "{errors}");
    assert!(!home.path("run/enclave.sock").exists(), "nothing was bound");
}
