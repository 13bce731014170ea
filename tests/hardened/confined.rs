//! What a confined process can still do, and what it cannot.

use std::{
    env, fs, io,
    net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs},
    os::linux::net::SocketAddrExt,
    os::unix::{
        fs::symlink,
        net::{SocketAddr, UnixListener, UnixStream},
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::Command,
    thread,
};

use countersign::{
    config::Config,
    harden::{Reach, SandboxError, confine, confine_thread, filter, harden},
    policy::{Facts, Policy},
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::{
    child::{Confined, home, pause, task},
    kernels::confines,
    projected::Projected,
};
use crate::support::{enclave::PERMISSIVE, served::Home};

/// Hardens this process as `serve` does.
fn confined(config: &Path) {
    harden().unwrap();
    let config = Config::load(config).unwrap();
    let reach = Reach::of(&config, &home().join("config/countersign.toml"));
    confine_thread(&reach).unwrap();
    let metrics = config.metrics.unwrap();
    TcpListener::bind(metrics).expect("the port of metrics.listen");
    filter().unwrap();
}

fn denied<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[test]
#[ignore = "the child of a test"]
fn reaches() {
    if task().is_none() {
        return;
    }
    let home = home();
    // Not configured, in every sense.
    let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let elsewhere = elsewhere.local_addr().unwrap();
    let name = format!("countersign-{}", std::process::id());
    let name = SocketAddr::from_abstract_name(name).unwrap();
    let _abstract = UnixListener::bind_addr(&name).unwrap();
    confined(&home.join("config/countersign.toml"));

    pause("confined");
    // The parent has swapped them.
    let ca = fs::read_to_string(home.join("volumes/ca/ca.pem")).unwrap();
    assert_eq!(ca, "new");
    let policies = Policy::load(&home.join("config/policies"), Facts::default()).is_ok();
    assert!(policies, "the other policies");
    assert_eq!(fs::read(home.join("config/countersign.toml")).unwrap(), b"other");

    let localhost = ("localhost", 0).to_socket_addrs().unwrap();
    assert!(localhost.into_iter().any(|address| address.ip().is_loopback()));
    let unknown = ("name.invalid", 0).to_socket_addrs();
    assert!(unknown.is_err(), "a name server was asked, or tried");

    fs::write(home.join("db/made"), "").unwrap();
    fs::remove_file(home.join("db/made")).unwrap();
    assert!(denied(fs::read("/etc/passwd")));
    assert!(denied(fs::read("/proc/self/environ")));
    assert!(denied(fs::read_dir(&home)));
    assert!(denied(fs::write(home.join("made"), "")));
    assert!(denied(fs::write(home.join("config/policies/made.cedar"), "")));
    assert!(denied(fs::write(home.join("run/made"), "")));
    let user = env::var_os("HOME").unwrap_or_else(|| "/root".into());
    assert!(denied(fs::write(Path::new(&user).join(".countersign-made"), "")));
    assert!(denied(TcpStream::connect(elsewhere)));
    assert!(denied(UnixStream::connect_addr(&name)));
    assert!(denied(TcpListener::bind((Ipv4Addr::LOCALHOST, 5432))));

    // A panic and its backtrace make no other call.
    let panicked = thread::spawn(|| panic!("on purpose")).join();
    assert!(panicked.is_err());
}

/// The files that Kubernetes, or a careful administrator, swaps are read anew;
/// what the configuration does not name is out of reach.
#[test]
fn directories_are_reached_and_nothing_else() {
    if !confines() {
        return;
    }
    let home = Home::embedded();
    fs::create_dir(home.path("volumes")).unwrap();
    let mut ca = Projected::new(home.path("volumes/ca"), &[("ca.pem", "old")]);
    let config = home.config();
    let document = fs::read_to_string(&config).unwrap();
    // An authority in a directory of its own, which Vault's settings name.
    let local = document.find("kind = \"local\"").unwrap();
    let document = format!(
        "{}kind = \"vault-transit\"\n[vault]\naddresses = [\"https://localhost:1\"]\n\
         ca_file = {:?}\n[vault.signer]\nmethod = \"jwt\"\nrole = \"signer\"\ntoken_file = {:?}\n",
        &document[..local],
        ca.file("ca.pem"),
        ca.file("token"),
    );
    fs::write(&config, document).unwrap();
    // A link to a directory, to be swapped by another link.
    fs::rename(home.path("config/policies"), home.path("config/policies-1")).unwrap();
    symlink("policies-1", home.path("config/policies")).unwrap();
    let (status, errors) = {
        let mut child = Confined::start("hardened::confined::reaches", "reach", &home.path(""));
        child.reach("confined", || {
            ca.swap(&[("ca.pem", "new")]);
            fs::create_dir(home.path("config/policies-2")).unwrap();
            fs::write(home.path("config/policies-2/other.cedar"), PERMISSIVE).unwrap();
            symlink("policies-2", home.path("config/policies-new")).unwrap();
            fs::rename(home.path("config/policies-new"), home.path("config/policies")).unwrap();
            let other = home.path("config/other");
            fs::write(&other, "other").unwrap();
            fs::rename(other, &config).unwrap();
        });
        child.end()
    };
    assert!(status.success(), "{errors}");
}

#[test]
#[ignore = "the child of a test"]
fn calls() {
    use rustix::{
        fs::{MemfdFlags, memfd_create},
        net::{AddressFamily, SocketType, ipproto, socket},
        process::{DumpableBehavior, set_dumpable_behavior},
    };

    let Some(task) = task() else {
        return;
    };
    harden().unwrap();
    filter().unwrap();
    match task.as_str() {
        "process" => drop(Command::new("/bin/true").status()),
        "program" => drop(Command::new("/bin/true").exec()),
        "chroot" => drop(std::os::unix::fs::chroot("/")),
        "dumpable" => drop(set_dumpable_behavior(DumpableBehavior::Dumpable)),
        "memfd" => drop(memfd_create("code", MemfdFlags::empty())),
        "pidfd" => drop(pidfd_open(Pid::INIT, PidfdFlags::empty())),
        "raw" => drop(socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))),
        "kill" => drop(rustix::process::kill_process(Pid::INIT, Signal::CONT)),
        #[expect(clippy::disallowed_methods, reason = "there is nothing to wipe")]
        "abort" => std::process::abort(),
        _ => {}
    }
    pause("it goes on");
}

/// A call that is not on the list is named on standard error, and is the end.
#[test]
fn a_forbidden_call_ends_the_process_and_is_named() {
    if !confines() {
        return;
    }
    let forbidden = [
        ("program", libc::SYS_execve),
        ("chroot", libc::SYS_chroot),
        ("dumpable", libc::SYS_prctl),
        ("memfd", libc::SYS_memfd_create),
        ("pidfd", libc::SYS_pidfd_open),
        ("raw", libc::SYS_socket),
        ("kill", libc::SYS_kill),
    ];
    for (task, number) in forbidden {
        let child = Confined::start("hardened::confined::calls", task, Path::new(""));
        let (status, errors) = child.end();
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{task}: {errors}");
        assert!(!status.core_dumped());
        let line = format!(
            "countersign: system call {number:03} is not on the allow-list and ended the process; \
             please report this line with the output of `uname -rm` and `ldd --version`\n"
        );
        assert!(errors.contains(&line), "{task}: {errors}");
    }
    // glibc blocks all signals while it makes a process: no handler runs, and the
    // kernel ends the process itself.
    let child = Confined::start("hardened::confined::calls", "process", Path::new(""));
    assert_eq!(child.end().0.signal(), Some(libc::SIGSYS));
}

/// An abort is an abort, and a child that does nothing wrong goes on: the test
/// above would pass with any child that dies.
#[test]
fn an_allowed_call_does_not() {
    let child = Confined::start("hardened::confined::calls", "abort", Path::new(""));
    let (status, errors) = child.end();
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{errors}");
    let mut child = Confined::start("hardened::confined::calls", "none", Path::new(""));
    child.reach("it goes on", || {});
    let (status, errors) = child.end();
    assert!(status.success(), "{errors}");
}

/// Landlock would not hold for the others.
#[test]
fn a_process_with_several_threads_is_not_confined() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || wait.recv());
    let confined = confine(&Reach::default());
    assert!(matches!(confined, Err(SandboxError::Threads(2..))));
    drop(go);
    let _ = other.join();
}
