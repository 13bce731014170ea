//! A server's directory, made with `initdb`, and who owns it.

use std::{
    env, fs,
    io::{self, Write},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
};

use crate::support::pki::Authority;

/// Removes the directory when this process ends, however it ends.
const JANITOR: &str = r#"read -r _; sleep 2; exec rm -rf "$1""#;

/// A data directory, certificates and a socket, in the temporary directory: the
/// build directory may be out of the server's user's reach.
pub struct Home {
    programs: PathBuf,
    path: PathBuf,
    user: Option<(u32, u32)>,
    _janitor: ChildStdin,
}

impl Home {
    /// Makes a cluster with this configuration, `pg_hba.conf` and SQL.
    #[expect(clippy::zombie_processes, reason = "the janitor outlives this process")]
    pub fn make(configuration: &str, admission: &str, sql: &str) -> Option<Self> {
        let programs = programs()?;
        let path =
            tempfile::Builder::new().prefix("countersign-postgres-").tempdir().unwrap().keep();
        let mut janitor = Command::new("/bin/sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let home =
            Self { programs, user: unprivileged(), _janitor: janitor.stdin.take().unwrap(), path };
        let authority = Authority::new();
        authority.write_certificate(&home.path);
        authority.write_server_certificate(&home.path);
        if let Some((uid, gid)) = home.user {
            for entry in [".", "ca.pem", "server.pem", "server.key"] {
                chown(home.path.join(entry), Some(uid), Some(gid)).unwrap();
            }
            fs::set_permissions(&home.path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        home.initialize(configuration, admission, sql);
        Some(home)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Whom the server runs as, where not as ourselves.
    pub fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    fn initialize(&self, configuration: &str, admission: &str, sql: &str) {
        let data = self.data();
        let mut initdb = self.command("initdb");
        initdb
            .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
            // Who is let in, `pg_hba.conf` says below.
            .args(["--auth=trust", "--username=postgres"])
            .arg("-D")
            .arg(&data);
        run(&mut initdb, "");
        fs::write(data.join("pg_hba.conf"), admission).unwrap();
        fs::File::options()
            .append(true)
            .open(data.join("postgresql.conf"))
            .unwrap()
            .write_all(configuration.as_bytes())
            .unwrap();
        // Without clients, so that the roles are there when the first one comes.
        let mut single = self.command("postgres");
        single.args(["--single", "-D"]).arg(&data).arg("postgres");
        run(&mut single, sql);
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.program(program));
        command.current_dir(&self.path);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn run(command: &mut Command, input: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Where `initdb` and `postgres` are: `$POSTGRES_BIN_DIR`, the path, or the
/// newest version where Debian puts them.
fn programs() -> Option<PathBuf> {
    let complete = |directory: &PathBuf| {
        ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
    };
    let mut debian: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    debian.sort_by_key(|path| {
        let version = path.file_name().and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    });
    let path = env::var_os("PATH").unwrap_or_default();
    let found = match env::var_os("POSTGRES_BIN_DIR") {
        Some(directory) => Some(PathBuf::from(directory)).filter(complete),
        None => env::split_paths(&path)
            .chain(debian.into_iter().rev().map(|path| path.join("bin")))
            .find(complete),
    };
    if found.is_none() {
        let lacking = "\n\
            ==== NO POSTGRES: its tests did not run ====\n\
            initdb and postgres are neither in $POSTGRES_BIN_DIR nor on the path nor in\n\
            /usr/lib/postgresql/*/bin. Install Postgres 14 or newer (Debian, Ubuntu:\n\
            apt-get install postgresql; macOS: brew install postgresql) or set\n\
            POSTGRES_BIN_DIR to the directory that holds both.\n";
        assert!(env::var("CI").as_deref() != Ok("true"), "{lacking}");
        // Not captured, unlike what the print macros write.
        let _ = io::stderr().write_all(lacking.as_bytes());
    }
    found
}

/// Postgres refuses to run as root: then it runs as `postgres`, or else nobody.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            Some((uid, fields.next()?.parse().ok()?))
        })
    };
    let user = find("postgres").or_else(|| find("nobody"));
    Some(user.expect("a user in /etc/passwd that Postgres can run as: postgres or nobody"))
}
