//! Core dumps of a process without any hardening, on the same pools.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::{Signal, kill_process};

use super::{
    child::{self, Running},
    instance::{Custodian, Instance, needles},
    rights::may_look,
    scan::assert_nothing,
    tool::{
        map::Place,
        needle::{Kind, Needle},
        search::Searcher,
        snapshot::Snapshot,
        tally::Tally,
    },
};

/// A child that dumps core, what it must not dump, and what it must.
struct Dumping {
    child: Running,
    directory: tempfile::TempDir,
    secret: Vec<Needle>,
    planted: Needle,
}

impl Dumping {
    fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes).unwrap();
        let child = child::start("holds_shares_open", directory.path(), &hex::encode(&bytes));
        let secret = needles(Path::new(&child.said), &Custodian::Local, [])?;
        let planted = Needle { name: "planted".to_owned(), kind: Kind::Bytes, bytes };
        Some(Self { child, directory, secret, planted })
    }

    fn core(&self) -> Option<PathBuf> {
        let files = fs::read_dir(self.directory.path()).unwrap();
        let mut paths = files.map(|file| file.unwrap().path());
        paths.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("core"))
    }

    fn check(&self, how: &str, core: &Path) {
        let mut dump = Snapshot::default();
        dump.add(Place::File, fs::read(core).unwrap());
        let mut control = Tally::default();
        control.add(&Searcher::new(std::slice::from_ref(&self.planted)).unwrap(), &dump);
        assert!(control.finds.iter().any(|find| find.whole > 0), "{how}: {control}");
        let mut tally = Tally::default();
        tally.add(&Searcher::new(&self.secret).unwrap(), &dump);
        assert_nothing(&[(how, &tally)]);
    }
}

/// `core` or `core.PID` in the directory of the process.
fn dumps_here() -> bool {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let here = pattern.trim().starts_with("core");
    if !here {
        eprintln!(
            "\n*** SKIPPED, NOT TESTED: core dumps go elsewhere, core_pattern is {:?}; for this \
             test: sysctl kernel.core_pattern=core ***\n",
            pattern.trim()
        );
    }
    here
}

#[test]
fn a_core_dump_holds_no_share() {
    if !dumps_here() {
        return;
    }
    let Some(mut dumping) = Dumping::start() else {
        return;
    };
    kill_process(dumping.child.pid(), Signal::ABORT).unwrap();
    dumping.child.wait();
    let core = dumping.core().expect("it dumped core");
    dumping.check("a core dump on SIGABRT", &core);
}

#[test]
fn a_debuggers_dump_holds_no_share() {
    let Ok(found) = Command::new("gcore").output() else {
        eprintln!("\n*** SKIPPED, NOT TESTED: gcore (of gdb) is not installed ***\n");
        return;
    };
    drop(found);
    let Some(dumping) = Dumping::start() else {
        return;
    };
    let dumped = Command::new("gcore")
        .arg("-o")
        .arg(dumping.directory.path().join("core"))
        .arg(dumping.child.pid().as_raw_pid().to_string())
        .output()
        .unwrap();
    let core = dumping.core();
    let core = core.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&dumped.stderr)));
    dumping.check("gcore", &core);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_dumps_nothing() {
    if !may_look(module_path!(), "the_binary_dumps_nothing") {
        return;
    }
    let instance = Instance::start("test", &Custodian::Local);
    instance.stop(Signal::ABORT);
    let files: Vec<_> = fs::read_dir(instance.path("."))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(files.contains(&"shares.db".to_owned()), "{files:?}");
    assert!(!files.iter().any(|name| name.starts_with("core")), "{files:?}");
}
