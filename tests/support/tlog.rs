//! The reader of the audit log in Go, built from `tests/servers/tlog`.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use super::go;

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/tlog");

/// Runs it; none, said loudly, where there is no Go. In CI that is a failure.
pub fn output(arguments: &[&str]) -> Option<Output> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(built).as_ref()?;
    Some(Command::new(program).args(arguments).output().unwrap())
}

fn built() -> Option<PathBuf> {
    if go::on_path("go").is_none() {
        let how = "the independent reader of the audit log needs Go 1.25.3 or newer";
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{how}");
        eprintln!("\n*** SKIPPED: {how} ***\n");
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let directory = target.join("test-servers");
    fs::create_dir_all(&directory).unwrap();
    // Test binaries of several jobs may share a target directory.
    let lock = File::create(directory.join("tlog.lock")).unwrap();
    lock.lock().unwrap();
    let program = directory.join("tlog");
    // Go's own cache makes it quick when nothing changed.
    go::build(MODULE, &[], &program, ".");
    Some(program)
}
