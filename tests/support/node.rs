//! Node.js with the packages that a directory locks, `tests/vectors/payloads` or
//! `examples/clients/node`, under cargo's target directory. Installed once per version of
//! the lock file, by whichever test process comes first; the others wait for its lock.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

/// What `package.json` asks for under `engines`.
const OLDEST: u32 = 20;

static VECTORS: Sources =
    Sources::of(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/payloads"));
static EXAMPLES: Sources =
    Sources::of(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clients/node"));

/// Scripts with a lock file, and where they can be run, once that is known.
struct Sources {
    directory: &'static str,
    scripts: OnceLock<Option<PathBuf>>,
}

/// Runs a script of `tests/vectors/payloads` with `arguments` and with `input` on its
/// standard input, and gives back what it printed. None, said loudly, where Node.js or
/// its packages cannot be had. In CI (`CI=true`) that is a failure.
///
/// # Panics
/// The script fails; the panic holds its output.
pub fn run(script: &str, arguments: &[&str], input: &str) -> Option<String> {
    let mut standard_input = tempfile::tempfile().unwrap();
    standard_input.write_all(input.as_bytes()).unwrap();
    io::Seek::rewind(&mut standard_input).unwrap();
    let mut command = VECTORS.command(script)?;
    command.args(arguments).stdin(standard_input);
    Some(succeed(&mut command).unwrap_or_else(|error| panic!("{script}: {error}")))
}

/// A script of `examples/clients/node`, to be run. None, said loudly, as above.
pub fn example(script: &str) -> Option<Command> {
    EXAMPLES.command(script)
}

/// Where that directory is, with its packages.
pub fn examples() -> Option<&'static Path> {
    EXAMPLES.scripts()
}

impl Sources {
    const fn of(directory: &'static str) -> Self {
        Self { directory, scripts: OnceLock::new() }
    }

    fn command(&self, script: &str) -> Option<Command> {
        let mut command = Command::new("node");
        command.arg(self.scripts()?.join(script));
        // No variable of the user's changes what is loaded.
        command.env_remove("NODE_OPTIONS").env_remove("NODE_PATH");
        Some(command)
    }

    fn scripts(&self) -> Option<&Path> {
        let found = self.scripts.get_or_init(|| match prepare(self.directory) {
            Ok(scripts) => Some(scripts),
            Err(lacking) => {
                assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{lacking}");
                // Past the test harness, which would keep it to itself.
                let _ = writeln!(io::stderr(), "\nSKIPPED, NOT TESTED: {lacking}\n");
                None
            }
        });
        found.as_deref()
    }
}

/// The sources stand below the packages, where Node.js looks for them, and not the
/// packages below the sources: nothing is installed into the work tree.
fn prepare(directory: &str) -> Result<PathBuf, String> {
    require_node()?;
    let sources = sources(Path::new(directory)).map_err(|error| format!("{directory}: {error}"))?;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let locked = ["package.json", "package-lock.json"];
    let is_locked = |name: &Path| locked.iter().any(|locked| name == Path::new(locked));
    let packages = hashed(sources.iter().filter(|(name, _)| is_locked(name)));
    let packages = target.join(format!("node-{packages:016x}"));
    let scripts = packages.join(format!("{:016x}", hashed(sources.iter())));

    let lock = File::create(packages.with_extension("lock")).map_err(|error| error.to_string())?;
    // Let go by the kernel when this process ends, however it ends.
    lock.lock().map_err(|error| error.to_string())?;
    let ready = packages.join("ready");
    if !ready.exists() {
        for name in locked {
            write(&packages.join(name), &sources, Path::new(name))?;
        }
        install(&packages)
            .map_err(|error| format!("the packages of {directory} cannot be installed: {error}"))?;
        File::create(ready).map_err(|error| error.to_string())?;
    }
    if !scripts.exists() {
        // An interrupted attempt leaves a directory of another name.
        let partial = scripts.with_extension("partial");
        for (name, _) in &sources {
            write(&partial.join(name), &sources, name)?;
        }
        fs::rename(partial, &scripts).map_err(|error| error.to_string())?;
    }
    Ok(scripts)
}

fn require_node() -> Result<(), String> {
    let wanted = format!("Node.js {OLDEST} or newer is lacking");
    let version = succeed(Command::new("node").arg("--version"))
        .map_err(|error| format!("{wanted}: {error}"))?;
    let major = version.trim().strip_prefix('v').and_then(|version| version.split('.').next());
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= OLDEST => Ok(()),
        _ => Err(format!("{wanted}: this is {}", version.trim())),
    }
}

/// What `npm ci` installs is what the lock file says, byte for byte; no package runs a
/// script of its own.
fn install(packages: &Path) -> Result<(), String> {
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--omit=optional", "--omit=peer"]);
    command.args(["--no-fund", "--no-audit", "--loglevel=error"]).current_dir(packages);
    succeed(&mut command).map(drop)
}

/// Every file below `directory` with its content, by its relative name.
fn sources(directory: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(below) = directories.pop() {
        for entry in fs::read_dir(directory.join(&below))? {
            let entry = entry?;
            let name = below.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                files.push((name, fs::read(entry.path())?));
            } else if entry.file_name() != "node_modules" {
                directories.push(name);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn hashed<'a>(files: impl Iterator<Item = &'a (PathBuf, Vec<u8>)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.for_each(|file| file.hash(&mut hasher));
    hasher.finish()
}

fn write(to: &Path, sources: &[(PathBuf, Vec<u8>)], name: &Path) -> Result<(), String> {
    let (_, content) = sources
        .iter()
        .find(|(source, _)| source == name)
        .ok_or_else(|| format!("there is no {}", name.display()))?;
    let directory = to.parent().unwrap_or(to);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(to, content))
        .map_err(|error| format!("{}: {error}", to.display()))
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
