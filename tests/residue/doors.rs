//! The other ways into a process: its descriptors, its children, its own user.

use std::{fs, os::fd::AsRawFd, os::unix::process::CommandExt, process::Command};

use rustix::{
    fs::{FileType, fstat},
    process::{PidfdFlags, PidfdGetfdFlags, getuid, pidfd_getfd, pidfd_open},
};

use super::{
    instance::{Custodian, Instance},
    load::Load,
    rights::may_look,
};

/// Whoever may take a descriptor of secret memory out of a process can map it and
/// read it.
#[tokio::test(flavor = "multi_thread")]
async fn no_descriptor_leads_to_secret_memory() {
    if !may_look(module_path!(), "no_descriptor_leads_to_secret_memory") {
        return;
    }
    let instance = Instance::start("test", &Custodian::Local);
    let shares = instance.shares().await;
    let load = Load::streaming(&instance, &shares);
    load.runs(10).await;
    let process = pidfd_open(instance.pid(), PidfdFlags::empty()).unwrap();
    let descriptors = format!("/proc/{}/fd", instance.pid().as_raw_pid());
    let mut taken = 0;
    for entry in fs::read_dir(descriptors).unwrap() {
        let path = entry.unwrap().path();
        let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        // A connection may be closed by now.
        let (Ok(link), Ok(fd)) =
            (fs::read_link(&path), pidfd_getfd(&process, number, PidfdGetfdFlags::empty()))
        else {
            continue;
        };
        let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
        for link in [link, fs::read_link(own).unwrap()] {
            let link = link.to_str().unwrap();
            assert!(!link.contains("secretmem") && !link.contains("memfd"), "{link}");
        }
        // A file that has no name any more could be one.
        let status = fstat(&fd).unwrap();
        if FileType::from_raw_mode(status.st_mode) == FileType::RegularFile {
            assert!(status.st_nlink > 0, "{path:?}");
        }
        taken += 1;
    }
    assert!(taken > 10, "only {taken} descriptors could be taken");
    load.stop().await;
}

/// What a fork would share and a dump would hold: nothing of what is locked. The
/// flags are the kernel's own word for it (proc(5), smaps).
#[tokio::test(flavor = "multi_thread")]
async fn neither_a_fork_nor_a_dump_has_secret_memory() {
    if !may_look(module_path!(), "neither_a_fork_nor_a_dump_has_secret_memory") {
        return;
    }
    let instance = Instance::start("test", &Custodian::Local);
    let smaps = format!("/proc/{}/smaps", instance.pid().as_raw_pid());
    let smaps = fs::read_to_string(smaps).unwrap();
    let mut name = "";
    let mut secret = 0;
    for line in smaps.lines() {
        if line.split(' ').next().is_some_and(|word| word.contains('-')) {
            name = line;
        }
        let Some(flags) = line.strip_prefix("VmFlags: ") else {
            continue;
        };
        let has = |flag| flags.split(' ').any(|found| found == flag);
        if name.contains("/secretmem") || has("lo") {
            assert!(has("dd") && has("dc"), "{name}: {flags}");
            secret += usize::from(name.contains("/secretmem"));
        }
    }
    assert!(secret > 0, "there is no memfd_secret in the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_user_may_not_look() {
    let user = getuid().is_root().then_some(12345);
    let instance = Instance::start_as(user, "test", &Custodian::Local);
    let memory = format!("/proc/{}/mem", instance.pid().as_raw_pid());
    for file in [&memory, &memory.replace("/mem", "/environ")] {
        let mut same_user = Command::new("head");
        same_user.args(["-c", "1", file]);
        if let Some(uid) = user {
            same_user.uid(uid).gid(uid);
        }
        let read = same_user.output().unwrap();
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(said.contains("Permission denied"), "{file}: {said}");
        assert!(read.stdout.is_empty());
    }
    assert!(instance.is_running());
}
