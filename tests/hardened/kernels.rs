//! Kernels that lack something: the server says so, and serves.

use std::process::Command;

use countersign::harden::{Enforcement, Reach, rehearse};

use crate::support::{
    kernel::{lacking, without},
    served::{Home, binary},
};

/// Whether this kernel has all of landlock and seccomp, without which the tests of
/// what is refused would fail: they say so, and do not run.
pub fn confines() -> bool {
    let (landlock, seccomp) = rehearse(&Reach::default()).unwrap();
    let confines = (landlock.level, seccomp) == (Enforcement::Full, Enforcement::Full);
    if !confines {
        lacking(&format!(
            "{landlock:?}, seccomp {seccomp}: tests of hardening need Linux 6.12 with landlock"
        ));
    }
    confines
}

#[test]
fn a_kernel_without_landlock_and_seccomp_is_reported() {
    let lacking = [libc::SYS_landlock_create_ruleset, libc::SYS_seccomp];
    let home = Home::embedded();
    let checked = without(&lacking, || {
        let mut check = Command::new(binary());
        check.args(["check", "--config"]).arg(home.config());
        check.output().unwrap()
    });
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.contains("landlock       none, ABI 0"), "{checked}");
    assert!(checked.contains("seccomp        none"), "{checked}");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let command = home.serve();
    let served = without(&lacking, || runtime.block_on(home.start(command)));
    let log = served.home.log();
    for line in [
        r#""landlock":"none","abi":0,"seccomp":"none""#,
        "This kernel confines files and ports in part or not at all",
        "This kernel does not filter system calls",
    ] {
        assert!(log.contains(line), "{log}");
    }
    let share = runtime.block_on(served.generate());
    runtime.block_on(served.sign(&share)).unwrap();
    served.stop();
}

/// A directory that appears after the start stays out of reach, so that its
/// absence is said at the start.
#[test]
fn a_missing_directory_is_named() {
    let home = Home::embedded();
    let config = std::fs::read_to_string(home.config()).unwrap();
    let local = config.find("kind = \"local\"").unwrap();
    let absent = home.path("absent/token");
    let ca = home.path("config/ca.pem");
    let authority = crate::support::pki::Authority::new();
    authority.write_certificate(&home.path("config"));
    let config = format!(
        "{}kind = \"vault-transit\"\n[vault]\naddresses = [\"https://localhost:1\"]\n\
         ca_file = {ca:?}\n[vault.signer]\nmethod = \"token-file\"\ntoken_file = {absent:?}\n",
        &config[..local]
    );
    std::fs::write(home.config(), config).unwrap();
    let mut check = Command::new(binary());
    check.args(["check", "--config"]).arg(home.config());
    let checked = String::from_utf8(check.output().unwrap().stdout).unwrap();
    let absent = home.path("absent");
    let warning = format!("warning        {} is not there", absent.display());
    assert!(checked.contains(&warning), "{checked}");
}
