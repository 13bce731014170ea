//! Programs in Go that the tests build.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds a package of a module beside the final name, so that an interrupted build
/// leaves nothing that looks like a binary.
pub fn build(module: &str, flags: &[&str], output: &Path, package: &str) {
    let partial = output.with_extension("partial");
    let status = Command::new("go")
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly -p=2 -buildvcs=false")
        .env("GOMEMLIMIT", "3GiB")
        .args(["build", "-trimpath"])
        .args(flags)
        .args(["-ldflags=-s -w", "-o"])
        .arg(&partial)
        .arg(package)
        .status()
        .unwrap();
    assert!(status.success(), "building {package} failed");
    fs::rename(&partial, output).unwrap();
}

pub fn on_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(name.as_ref()))
        .find(|path| path.is_file())
}
