//! What a configuration lets the process reach.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use countersign::{config::Config, grpc::Service, harden::Reach};

use crate::support::{
    served::{Home, LOCAL},
    tls::TlsFiles,
};

fn example(name: &str) -> Reach {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let config = Config::load(&file.join(name)).unwrap();
    Reach::of(&config, Path::new("/etc/countersign/countersign.toml"))
}

fn paths<const N: usize>(paths: [&str; N]) -> BTreeSet<PathBuf> {
    paths.map(PathBuf::from).into()
}

#[test]
fn the_examples_reach_their_own_directories() {
    let postgres = example("postgres-vault.toml");
    assert_eq!(postgres.connects, BTreeSet::from([53, 5432, 8200]));
    assert_eq!(postgres.listens, BTreeSet::new());
    assert_eq!(postgres.writes, paths(["/var/lib/countersign/audit"]));
    let sockets = paths(["/run/countersign", "/run/countersign-custody"]);
    assert_eq!(postgres.sockets, sockets);
    let reads = ["/etc/countersign", "/etc/countersign/policies", "/var/run/secrets/countersign"];
    assert_eq!(postgres.reads, paths(reads));

    let sqlite = example("sqlite-vault.toml");
    assert_eq!(sqlite.connects, BTreeSet::from([53, 8200]));
    let writes = ["/var/lib/countersign", "/var/lib/countersign/audit"];
    assert_eq!(sqlite.writes, paths(writes));

    let records = example("vault-kv.toml");
    assert_eq!(records.connects, BTreeSet::from([53, 8200]));
    assert_eq!(records.writes, paths(["/var/lib/countersign/audit"]));
    assert_eq!(records.reads, paths(reads));

    let directory = example("directory-vault.toml");
    assert_eq!(directory.writes, paths(["/var/lib/countersign/audit"]));
    assert_eq!(directory.reads, &paths(reads) | &paths(["/etc/countersign/shares"]));
}

/// The store's own login may be elsewhere than the KMS's, whose [vault] may be missing.
#[test]
fn a_store_in_vault_has_its_files_and_its_port() {
    let vault = "\n[vault]\naddresses = [\"https://vault.internal:8201\"]\n\
                 ca_file = \"/etc/kv/ca.pem\"\n[vault.store]\nmethod = \"token-file\"\n\
                 token_file = \"/run/agent/token\"\n";
    let home = Home::new("test", &[LOCAL, vault].concat(), "kind = \"vault-kv\"");
    let reach = Reach::of(&Config::load(&home.config()).unwrap(), &home.config());
    assert_eq!(reach.connects, BTreeSet::from([53, 8201]));
    for directory in ["/etc/kv", "/run/agent"] {
        assert!(reach.reads.contains(Path::new(directory)), "{:?}", reach.reads);
    }
}

/// The port is to be bound, and the files' directories are to be read: their files are
/// replaced.
#[test]
fn a_tls_listener_has_its_port_and_its_files() {
    let home = Home::embedded();
    let files = TlsFiles::new();
    let reach = || Reach::of(&Config::load(&home.config()).unwrap(), &home.config());
    assert_eq!(reach().listens, BTreeSet::from([home.metrics]));
    home.tls(&files.files(Service::Signing), "spiffe://example.org/app");
    assert_eq!(reach().listens, BTreeSet::from([home.metrics, home.tls]));
    assert!(reach().reads.contains(&files.path("")), "{:?}", reach().reads);
    let custody = TlsFiles::new();
    assert!(!reach().reads.contains(&custody.path("")));
    home.listen(&custody.files(Service::Custody));
    assert_eq!(reach().listens, BTreeSet::from([home.metrics, home.tls, home.custody_tls]));
    assert!(reach().reads.contains(&custody.path("")), "{:?}", reach().reads);
}

/// The database of the central log is another one than the store's.
#[test]
fn a_central_log_has_its_port_and_its_files() {
    let home = Home::embedded();
    let reach = || Reach::of(&Config::load(&home.config()).unwrap(), &home.config());
    let before = reach();
    home.add(
        "[audit.postgres]\nhost = \"postgres.internal\"\nport = 6000\ndatabase = \"audit\"\n\
         user = \"countersign\"\npassword_file = \"/etc/central/secret/password\"\n\
         ca_file = \"/etc/central/ca.pem\"",
    );
    let after = reach();
    assert_eq!(after.connects, &before.connects | &BTreeSet::from([6000]));
    assert_eq!(after.reads, &before.reads | &paths(["/etc/central", "/etc/central/secret"]));
}

/// A link that leads out of its directory takes the other directory along, one
/// inside does not; and nothing takes the root directory along.
#[test]
fn links_are_followed_and_the_root_is_not_reached() {
    let home = Home::embedded();
    let reach = |file: &Path| {
        let config = Config::load(&home.config()).unwrap();
        Reach::of(&config, file).reads
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target.toml");
    fs::write(&target, "").unwrap();
    let link = home.path("run/link.toml");
    symlink(&target, &link).unwrap();
    let found = reach(&link);
    assert!(found.contains(&home.path("run")), "{found:?}");
    let directory = elsewhere.path().canonicalize().unwrap();
    assert!(found.contains(&directory), "{found:?}");

    let inside = elsewhere.path().join("inside.toml");
    fs::create_dir(elsewhere.path().join("..data")).unwrap();
    fs::write(elsewhere.path().join("..data/inside.toml"), "").unwrap();
    symlink("..data/inside.toml", &inside).unwrap();
    let found = reach(&inside);
    assert!(found.contains(elsewhere.path()));
    assert!(!found.contains(&elsewhere.path().join("..data")));

    let found = reach(Path::new("/countersign.toml"));
    assert!(found.contains(Path::new("/countersign.toml")));
    assert!(!found.contains(Path::new("/")));
}
