//! Python with the packages of `tests/requirements.txt`, in an environment of
//! its own under cargo's target directory. Made once per version of that file,
//! by whichever test process comes first; the others wait for its lock.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requirements.txt");

/// The environment's interpreter; none, said loudly, when it cannot be had. In
/// CI (`CI=true`) that is a failure.
pub fn interpreter() -> Option<&'static Path> {
    static INTERPRETER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = INTERPRETER.get_or_init(|| match prepare() {
        Ok(interpreter) => Some(interpreter),
        Err(lacking) => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{lacking}");
            // Past the test harness, which would keep it to itself.
            let _ = writeln!(io::stderr(), "\nSKIPPED, NOT TESTED: {lacking}\n");
            None
        }
    });
    found.as_deref()
}

/// Runs a script of `tests/` with `arguments` and gives back what it printed.
/// None where there is no interpreter.
///
/// # Panics
/// The script fails; the panic holds its output.
pub fn run(script: &str, arguments: &[&str]) -> Option<String> {
    let mut command = command(script, arguments)?;
    Some(succeed(&mut command).unwrap_or_else(|error| panic!("{error}")))
}

/// Runs a script that may fail.
pub fn output(script: &str, arguments: &[&str]) -> Option<Output> {
    Some(command(script, arguments)?.output().unwrap())
}

fn command(script: &str, arguments: &[&str]) -> Option<Command> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let mut command = Command::new(interpreter()?);
    // Isolated (`-I`): no variable and no directory of the user's changes it.
    command.args(["-I", "-B"]).arg(script).args(arguments);
    Some(command)
}

fn prepare() -> Result<PathBuf, String> {
    let requirements = fs::read(REQUIREMENTS).map_err(|error| error.to_string())?;
    let mut hasher = DefaultHasher::new();
    requirements.hash(&mut hasher);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let directory = target.join(format!("python-{:016x}", hasher.finish()));
    let interpreter = directory.join("bin/python");
    let ready = directory.join("ready");

    let lock = File::create(directory.with_extension("lock")).map_err(|error| error.to_string())?;
    // Let go by the kernel when this process ends, however it ends.
    lock.lock().map_err(|error| error.to_string())?;
    if ready.exists() {
        return Ok(interpreter);
    }
    // An interrupted attempt leaves a directory without the mark.
    let venv = ["-m", "venv", "--clear"];
    succeed(Command::new("python3").args(venv).arg(&directory))
        .map_err(|error| format!("python3 with the venv module is lacking: {error}"))?;
    let install = ["-m", "pip", "install", "--quiet", "--no-deps"];
    let quiet = ["--disable-pip-version-check", "--requirement", REQUIREMENTS];
    succeed(Command::new(&interpreter).args(install).args(quiet)).map_err(|error| {
        format!("the packages of tests/requirements.txt cannot be installed: {error}")
    })?;
    File::create(ready).map_err(|error| error.to_string())?;
    Ok(interpreter)
}

fn succeed(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = command
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status.success() {
        return Ok(text(&stdout));
    }
    Err(format!("{status}\n{}{}", text(&stdout), text(&stderr)))
}
