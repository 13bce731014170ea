//! Where the Vault that the tests run comes from: `$VAULT_BIN`, the `PATH`, or
//! built once from the Go module in `tests/servers/vault`.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::support::go;

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/vault");
const KUBERNETES: &str = "vault-plugin-auth-kubernetes";

/// What to run.
pub struct Binaries {
    /// Vault or OpenBao.
    pub vault: PathBuf,
    /// The directory of the Kubernetes auth plugin, where it is one: complete
    /// builds of Vault have the method built in.
    pub plugins: Option<PathBuf>,
}

/// The binaries, or none, loudly, when there are none to be had.
pub fn find() -> Option<&'static Binaries> {
    static FOUND: OnceLock<Option<Binaries>> = OnceLock::new();
    FOUND.get_or_init(|| given().or_else(installed).or_else(built)).as_ref()
}

fn given() -> Option<Binaries> {
    let vault = PathBuf::from(env::var_os("VAULT_BIN").filter(|path| !path.is_empty())?);
    assert!(vault.is_file(), "VAULT_BIN is no file: {}", vault.display());
    // A minimal build has its plugin beside it.
    let plugins =
        vault.parent().map(|beside| fs::canonicalize(beside).unwrap()).and_then(|beside| {
            let places = [beside.join("plugins"), beside];
            places.into_iter().find(|place| place.join(KUBERNETES).is_file())
        });
    Some(Binaries { vault, plugins })
}

fn installed() -> Option<Binaries> {
    let vault = go::on_path("vault").or_else(|| go::on_path("bao"))?;
    Some(Binaries { vault, plugins: None })
}

fn built() -> Option<Binaries> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let directory = target.join("test-servers");
    let plugins = directory.join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    // Test binaries of several worktrees or jobs may share a target directory.
    let lock = File::create(directory.join("lock")).unwrap();
    lock.lock().unwrap();
    let binaries = Binaries { vault: directory.join("vault"), plugins: Some(plugins.clone()) };
    let plugin = plugins.join(KUBERNETES);
    // What the binaries were built from.
    let stamp = directory.join("go.mod");
    let wanted = fs::read(Path::new(MODULE).join("go.mod")).unwrap();
    let is_current = fs::read(&stamp).is_ok_and(|built| built == wanted);
    if is_current && binaries.vault.is_file() && plugin.is_file() {
        return Some(binaries);
    }
    if go::on_path("go").is_none() {
        lacking();
        return None;
    }
    eprintln!(
        "\n*** Building HashiCorp Vault for the tests, once: about 8 minutes, 3 GB of memory \
         and 5 GB of Go caches; half a minute when those are warm ***\n"
    );
    let _ = fs::remove_file(&stamp);
    go::build(MODULE, &["-tags", "minimal"], &binaries.vault, "github.com/hashicorp/vault");
    let package = format!("github.com/hashicorp/{KUBERNETES}/cmd/{KUBERNETES}");
    go::build(MODULE, &[], &plugin, &package);
    fs::write(&stamp, wanted).unwrap();
    Some(binaries)
}

fn lacking() {
    let how = "the tests of the Vault backend need a Vault: install Go 1.25.3 or newer (it is \
               then built once into target/test-servers), or put `vault` or `bao` on the PATH, or \
               point VAULT_BIN at one";
    let is_ci = env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "{how}");
    eprintln!("\n*** SKIPPED: {how} ***\n");
}
