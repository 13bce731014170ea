//! The configuration: every problem at once, with its line and what to write.

mod rates;
mod traces;

use countersign::{
    config::{Config, KmsConfig, StoreConfig},
    memory::Level,
};

use crate::support::pki::Authority;

const GOOD: &str = r#"
environment = "staging"

[listen]
enclave = "/run/countersign/enclave.sock"

[[caller]]
name = "wallet-api"
uid = 10001

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

/// The problems of a document, as "line: message".
fn problems(source: &str) -> Vec<String> {
    let found = Config::parse(source).expect_err("it has problems");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_short_configuration_is_enough() {
    let config = Config::parse(GOOD).unwrap();
    assert_eq!(config.environment.as_str(), "staging");
    assert!(config.listen.custody.is_none(), "custody is off unless configured");
    assert!(config.metrics.is_none(), "metrics are off unless configured");
    assert_eq!(config.listen.mode, 0o660);
    assert_eq!(config.limits.session.operations, 100_000);
    assert!(matches!(config.store, StoreConfig::Sqlite { .. }));
    assert!(matches!(config.kms, KmsConfig::Local { .. }));
    assert!(config.callers.by_uid(10001).is_some());
    assert!(config.callers.by_uid(0).is_none());
}

/// Five unrelated mistakes yield all five, in the order of the lines.
#[test]
fn five_mistakes_are_reported_at_once() {
    let found = problems(include_str!("config/five-mistakes.toml"));
    let expected = [
        "line 3: `environment` is malformed: an environment is 1 to 32 of a-z 0-9 - and begins \
         with a letter",
        "line 7: unknown key `costody` in [listen]; did you mean `custody`?",
        "line 11: `caller.uid` must be a whole number from 0 to 4294967294",
        "line 16: `store.path` is missing: the path of the SQLite file",
        "line 24: `limits.deadline` must be a duration in quotes from 10ms to 1m, such as \"10s\"",
    ];
    assert_eq!(found, expected);
}

#[test]
fn each_mistake_says_what_to_write() {
    let cases = [
        ("environment = \"staging\"", "", "line 1: `environment` is missing"),
        (
            "kind = \"sqlite\"",
            "kind = \"mysql\"",
            "line 15: `store.kind` must be \"sqlite\" or \"postgres\" or \"vault-kv\" or \"directory\"",
        ),
        (
            "kind = \"local\"",
            "kind = \"hsm\"",
            "line 19: `kms.kind` must be \"vault-transit\" or \"local\"",
        ),
        ("uid = 10001", "uid = 65534", "line 7: uid 65534 names nobody in particular"),
        ("uid = 10001", "uid = -1", "line 9: `caller.uid` must be a whole number"),
        ("uid = 10001", "uid = \"10001\"", "line 9: `caller.uid` must be a whole number"),
        (
            "uid = 10001",
            "",
            "line 7: a caller needs a `uid`, which its peer has on the Unix socket",
        ),
        (
            "uid = 10001",
            "spiffe_id = \"spiffe://Example.org/api\"",
            "line 9: `caller.spiffe_id` is malformed: a SPIFFE ID is spiffe://trust-domain/path",
        ),
        ("uid = 10001", "spiffe_id = 1", "line 9: `caller.spiffe_id` must be a text in quotes"),
        ("[policy]", "[policies]", "line 11: unknown key `policies`"),
        ("path = ", "file = ", "line 16: unknown key `file` in [store]; known here: kind, path"),
        (
            "environment = \"staging\"",
            "environment = \"production\"",
            "line 18: the local KEK is for development and refused in a production environment",
        ),
        (
            "environment = \"staging\"",
            "environment = \"eu-prod\"",
            "line 18: the local KEK is for development and refused in a production environment",
        ),
    ];
    for (from, to, expected) in cases {
        let found = problems(&GOOD.replace(from, to));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{to}: {found:#?}");
    }
    let syntax = problems(&GOOD.replace("uid = 10001", "uid = = 10001"));
    assert!(syntax[0].starts_with("line 9: "), "{syntax:?}");
}

#[test]
fn contradictions_are_found() {
    let same =
        GOOD.replace("[[caller]]", "custody = \"/run/countersign/enclave.sock\"\n[[caller]]");
    assert!(problems(&same)[0].contains("must be different sockets"));
    let twice = format!("{GOOD}\n[[caller]]\nname = \"wallet-api\"\nuid = 10001\n");
    let found = problems(&twice);
    assert!(found[0].contains("another caller with the name \"wallet-api\""));
    assert!(found[1].contains("another caller with the uid 10001"));
    let workload = "[[caller]]\nspiffe_id = \"spiffe://example.org/api\"\n";
    let twice =
        format!("{GOOD}\n{workload}name = \"a\"\nuid = 1\n{workload}name = \"b\"\nuid = 2\n");
    let [found] = &problems(&twice)[..] else { panic!("{twice}") };
    assert!(found.contains("another caller with the spiffe_id \"spiffe://example.org/api\""));
    let deadlines = format!("{GOOD}\n[limits]\ndeadline = \"30s\"\nlongest_deadline = \"5s\"\n");
    assert!(problems(&deadlines)[0].contains("longer than"));
    let impatient = format!("{GOOD}\n[limits]\nconnection_idle = \"20s\"\n");
    assert!(problems(&impatient)[0].contains("`limits.connection_idle` must be longer"));
    let long = GOOD.replace("/run/countersign/", &format!("/{}/", "d".repeat(95)));
    assert!(problems(&long)[0].contains("too long for a socket"));
    let nobody = GOOD.replace("\"wallet-api\"", "\"\"");
    assert!(
        problems(&nobody)[0]
            .contains("`caller.name` must be the caller's name in policies, not empty")
    );
    let public = format!("{GOOD}\n[metrics]\nlisten = \"0.0.0.0:9464\"\n");
    assert!(problems(&public)[0].contains("is not a loopback address"), "{:?}", problems(&public));
    let meant = format!("{public}reachable_from_network = true\n");
    assert!(Config::parse(&meant).unwrap().metrics.is_some());
}

#[test]
fn limits_may_be_lowered_but_not_raised_beyond_the_contract() {
    let longer = format!("{GOOD}\n[session]\nlifetime = \"6m\"\noperations = 100001\n");
    let found = problems(&longer);
    assert!(found[0].contains("`session.lifetime` must be a duration in quotes from 10ms to 5m"));
    assert!(found[1].contains("`session.operations` must be a whole number from 1 to 100000"));
    let idle = format!("{GOOD}\n[session]\nidle = \"11s\"\n");
    assert!(
        problems(&idle)[0].contains("`session.idle` must be a duration in quotes from 10ms to 10s")
    );
    let lower = format!("{GOOD}\n[session]\nlifetime = \"1m\"\nidle = \"500ms\"\n");
    let limits = Config::parse(&lower).unwrap().limits;
    assert_eq!(limits.session.lifetime.as_secs(), 60);
    assert_eq!(limits.session.idle.as_millis(), 500);
}

const VAULT: &str = r#"
[vault]
addresses = ["https://vault-0:8200", "https://vault-1:8200"]
ca_file = "/etc/countersign/vault-ca.pem"
[vault.signer]
method = "kubernetes"
role = "countersign-signer"
[vault.custodian]
method = "approle"
role_id = "c0de"
secret_id_file = "/etc/countersign/secret-id"
"#;

fn with_vault() -> String {
    let kms = "kind = \"local\"\nkek_file = \"/var/lib/countersign/kek\"";
    GOOD.replace(kms, "kind = \"vault-transit\"") + VAULT
}

#[test]
fn vault_has_a_login_for_each_role() {
    use countersign::kms::vault_transit::Login;

    let KmsConfig::VaultTransit(settings) = Config::parse(&with_vault()).unwrap().kms else {
        panic!("it is Vault")
    };
    assert_eq!((&*settings.mount, &*settings.key), ("transit", "countersign-staging"));
    let Some(Login::Kubernetes { mount, role, token_file }) = settings.signer else {
        panic!("kubernetes")
    };
    assert_eq!((&*mount, &*role), ("kubernetes", "countersign-signer"));
    assert_eq!(token_file.to_str().unwrap(), "/var/run/secrets/countersign/token");
    assert!(matches!(settings.custodian, Some(Login::AppRole { .. })));
    assert!(settings.rotator.is_none());
}

#[test]
fn mistakes_with_vault_say_what_to_write() {
    let cases = [
        (
            "method = \"kubernetes\"",
            "method = \"ldap\"",
            "`vault.signer.method` must be \"kubernetes\" or",
        ),
        ("ca_file = ", "cafile = ", "`vault.ca_file` is missing"),
        (
            "[vault]\n",
            "[vault]\nkey = \"countersign-production\"\n",
            "line 25: `vault.key` must be a name that ends with \"-staging\"",
        ),
        ("role = \"countersign-signer\"", "", "`vault.signer.role` is missing"),
        ("secret_id_file", "secret_id", "`vault.custodian.secret_id_file` is missing"),
        ("kind = \"vault-transit\"", "kind = \"local\"\nkek_file = \"k\"", "remove one of the two"),
    ];
    for (from, to, expected) in cases {
        let source = with_vault();
        assert!(source.contains(from));
        let found = problems(&source.replace(from, to));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{to}: {found:#?}");
    }
    let without = with_vault().split("[vault]").next().unwrap().to_owned();
    assert!(problems(&without)[0].contains("needs a table [vault]"));
}

const RECORDS: &str = "[vault.store]\nmethod = \"kubernetes\"\nrole = \"countersign-store\"\n";

/// The records may be in Vault with the KEK or without it; the login is one of their own.
#[test]
fn records_in_vault_have_a_login_of_their_own() {
    let store = "kind = \"sqlite\"\npath = \"/var/lib/countersign/shares.db\"";
    let in_vault = |source: &str| source.replace(store, "kind = \"vault-kv\"");
    let both = in_vault(&with_vault()) + RECORDS;
    let config = Config::parse(&both).unwrap();
    let StoreConfig::VaultKv(settings) = config.store else { panic!("it is Vault") };
    assert_eq!((&*settings.mount, &*settings.prefix), ("secret", "countersign"));
    assert_eq!(settings.environment.as_str(), "staging");
    assert_eq!(settings.server.addresses.len(), 2);
    let server = VAULT.split("[vault.signer]").next().unwrap();
    let alone = in_vault(GOOD) + server + RECORDS;
    let config = Config::parse(&alone).unwrap();
    assert!(matches!(config.kms, KmsConfig::Local { .. }));
    assert!(matches!(config.store, StoreConfig::VaultKv(_)));

    for (source, expected) in [
        (in_vault(&with_vault()), "[vault.store] is needed"),
        (in_vault(GOOD), "needs a table [vault]"),
        (with_vault() + RECORDS, "[vault.store] is for `store.kind`"),
        (in_vault(GOOD) + VAULT + RECORDS, "unknown key `signer` in [vault]"),
        (both.replace("\"vault-kv\"", "\"vault-kv\"\nmount = \"../sys\""), "`store.mount` must be"),
        (both.replace("\"vault-kv\"", "\"vault-kv\"\nprefix = \"a//b\""), "`store.prefix` must be"),
        (alone.replace("role = \"countersign-store\"", ""), "`vault.store.role` is missing"),
    ] {
        let found = problems(&source);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:#?}");
    }
}

/// What Vault would be asked with is checked where it is written, with the line
/// of its key.
#[test]
fn what_vault_cannot_be_asked_with_is_found() {
    let addresses = "addresses = [\"https://vault-0:8200\", \"https://vault-1:8200\"]";
    let approle = "method = \"approle\"";
    let cases = [
        (addresses, "addresses = \"https://vault:8200\"", 25, "addresses"),
        (addresses, "addresses = [\"http://vault:8200\"]", 25, "addresses"),
        (
            addresses,
            "addresses = [\"https://vault:8200\",\n\"https://vault:8200/ui\"]",
            25,
            "addresses",
        ),
        (addresses, "addresses = [\"vault:8200\"]", 25, "addresses"),
        (addresses, "addresses = [8200]", 25, "addresses"),
        ("[vault]\n", "[vault]\nmount = \"../sys\"\n", 25, "mount"),
        ("[vault]\n", "[vault]\nmount = \"\"\n", 25, "mount"),
        ("[vault]\n", "[vault]\nnamespace = \"a\\nb\"\n", 25, "namespace"),
        ("[vault]\n", "[vault]\nkey = \"a/b-staging\"\n", 25, "key"),
        ("[vault]\n", "[vault]\nkey = \"staging\"\n", 25, "key"),
        (approle, "method = \"approle\"\nmount = \"/approle\"", 32, "custodian.mount"),
        ("role = \"countersign-signer\"", "role = \"r\"\nmount = \"a b\"", 30, "signer.mount"),
    ];
    for (from, to, line, key) in cases {
        let source = with_vault();
        assert!(source.contains(from));
        let found = problems(&source.replace(from, to));
        let [found] = &found[..] else { panic!("{to}: {found:#?}") };
        let expected = format!("line {line}: `vault.{key}` must be ");
        assert!(found.starts_with(&expected), "{to}: {found}");
    }
    let empty = with_vault().replace(addresses, "addresses = []");
    assert!(problems(&empty)[0].contains("`vault.addresses` is missing"));
}

/// An unknown kind or method does not hide what else is wrong.
#[test]
fn an_unknown_kind_hides_nothing() {
    let mistakes = with_vault()
        .replace("kind = \"vault-transit\"", "kind = \"vault\"\nkekfile = \"k\"")
        .replace("https://vault-1:8200", "vault-1")
        .replace("method = \"kubernetes\"", "method = \"ldap\"\nmount = \"..\"")
        .replace("role_id", "roleid")
        .replace("role = ", "rolle = ");
    let found = problems(&mistakes);
    let expected = [
        "line 19: `kms.kind` must be \"vault-transit\" or \"local\"",
        "line 20: unknown key `kekfile` in [kms]; did you mean `kek_file`?",
        "line 26: `vault.addresses` must be ",
        "line 29: `vault.signer.method` must be ",
        "line 30: `vault.signer.mount` must be ",
        "line 31: unknown key `rolle` in [vault.signer]; did you mean `role`?",
        "line 32: `vault.custodian.role_id` is missing",
        "line 34: unknown key `roleid` in [vault.custodian]",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

/// Whether the authority's file is there is not the document's matter.
#[test]
fn a_missing_authority_is_found_apart() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let path = format!("{:?}", ca.display().to_string());
    let source = with_vault().replace("\"/etc/countersign/vault-ca.pem\"", &path);
    let kms = Config::parse(&source).unwrap().kms;
    let found = kms.missing_files();
    assert!(found[0].starts_with("`vault.ca_file`: "), "{found:?}");
    assert!(found[0].contains("cannot be read"), "{found:?}");
    std::fs::write(&ca, "no certificate").unwrap();
    let found = kms.missing_files();
    assert!(found[0].contains("holds no PEM certificate"), "{found:?}");
    Authority::new().write_certificate(directory.path());
    assert_eq!(kms.missing_files(), [""; 0]);
    assert_eq!(Config::parse(GOOD).unwrap().kms.missing_files(), [""; 0]);
}

const CENTRAL: &str = r#"
[audit.postgres]
host = "postgres.internal"
database = "audit"
user = "countersign_audit"
password_file = "/etc/countersign/audit-password"
ca_file = "/etc/countersign/postgres-ca.pem"
"#;

/// The keys of the store's database, but for the connections: there is one.
#[test]
fn a_central_log_is_a_database() {
    assert!(Config::parse(GOOD).unwrap().central.is_none());
    let source = format!("{GOOD}{CENTRAL}");
    let central = Config::parse(&source).unwrap().central.unwrap();
    assert_eq!((&*central.host, central.port, central.pool_size), ("postgres.internal", 5432, 1));
    assert_eq!((central.connect_timeout.as_secs(), central.statement_timeout.as_secs()), (3, 3));
    // As the examples write it.
    let dotted = CENTRAL.replace("[audit.postgres]\n", "").replace('\n', "\npostgres.");
    let dotted = format!("{GOOD}{}", dotted.trim_end_matches("postgres."));
    assert_eq!(Config::parse(&dotted).unwrap().central.unwrap().user, "countersign_audit");
    let mistakes = source
        .replace("host = ", "hots = ")
        .replace("user = ", "pool_size = 8\nport = 0\nuser = ")
        .replace("ca_file = \"/etc/countersign/postgres-ca.pem\"", "statement_timeout = \"1h\"");
    let found = problems(&mistakes);
    let expected = [
        "line 25: `audit.postgres.ca_file` is missing",
        "line 25: `audit.postgres.host` is missing",
        "line 26: unknown key `hots` in [audit.postgres]; did you mean `host`?",
        "line 28: unknown key `pool_size` in [audit.postgres]",
        "line 29: `audit.postgres.port` must be a whole number from 1 to 65535",
        "line 32: `audit.postgres.statement_timeout` must be a duration in quotes",
    ];
    for expected in expected {
        assert!(found.iter().any(|found| found.starts_with(expected)), "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

/// Where real keys are, the weaker protection has to be asked for.
#[test]
fn production_requires_memory_that_nobody_reads() {
    let vault = |environment| with_vault().replace("staging", environment);
    let cases = [
        (GOOD.to_owned(), Level::Mlock),
        (vault("staging"), Level::Mlock),
        (vault("reproduce"), Level::Mlock),
        (vault("production"), Level::MemfdSecret),
        (vault("eu-prod"), Level::MemfdSecret),
        (vault("prod-2"), Level::MemfdSecret),
    ];
    for (source, default) in cases {
        let environment = &source.lines().nth(1).unwrap();
        assert_eq!(Config::parse(&source).unwrap().require, default, "{environment}");
        for level in Level::ALL {
            let explicit = format!("{source}\n[memory]\nrequire = \"{}\"\n", level.as_str());
            assert_eq!(Config::parse(&explicit).unwrap().require, level, "{environment}");
        }
    }
}

/// There is no third level, and no switch for the section.
#[test]
fn mistakes_with_memory_say_what_to_write() {
    let must = "line 26: `memory.require` must be \"memfd_secret\" or \"mlock\"";
    let cases = [
        ("require = \"none\"", must),
        ("require = \"\"", must),
        ("require = \"Mlock\"", must),
        ("require = \"memfd-secret\"", must),
        ("require = false", must),
        ("require = [\"mlock\"]", must),
        (
            "requires = \"mlock\"",
            "line 26: unknown key `requires` in [memory]; did you mean `require`?",
        ),
        ("section = false", "line 26: unknown key `section` in [memory]; known here: require"),
    ];
    for (mistake, expected) in cases {
        let found = problems(&format!("{GOOD}\n[memory]\n{mistake}\n"));
        assert_eq!(found, [expected], "{mistake}");
    }
}
