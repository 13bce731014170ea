//! Landlock: the kernel refuses every file and TCP port that [`Reach`] does not
//! name, abstract Unix sockets and signals to other processes.
//!
//! What it does not govern: UDP, which name resolution takes; files that are open
//! already; `stat`, so that names and sizes elsewhere can be seen.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};

use super::{Enforcement, Reach, SandboxError};

/// The newest version whose every right was tried on a kernel that has it.
const NEWEST: ABI = ABI::V7;

/// What name resolution, and the libraries that it loads at the first lookup,
/// read. What is not there needs no rule.
const SYSTEM: [&str; 13] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    // SQLite's own randomness.
    "/dev/urandom",
];

/// How far landlock holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landlock {
    /// How much of it the kernel enforces.
    pub level: Enforcement,
    /// The kernel's version of it, 0 without.
    pub abi: i32,
    /// Directories of [`Reach`] that are not there: what appears at their place
    /// later stays out of reach.
    pub missing: Vec<PathBuf>,
}

/// Confines this thread, and those that it starts from now on.
///
/// # Errors
/// `Landlock`.
pub fn confine_thread(reach: &Reach) -> Result<Landlock, SandboxError> {
    let mut missing = Vec::new();
    let status = restrict(reach, &mut missing)?;
    let level = match status.ruleset {
        RulesetStatus::FullyEnforced => Enforcement::Full,
        RulesetStatus::PartiallyEnforced => Enforcement::Partial,
        RulesetStatus::NotEnforced => Enforcement::None,
    };
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            kernel_abi.unwrap_or(effective_abi as i32)
        }
        _ => 0,
    };
    Ok(Landlock { level, abi, missing })
}

fn restrict(reach: &Reach, missing: &mut Vec<PathBuf>) -> Result<RestrictionStatus, RulesetError> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    // SQLite opens the directory to sync it.
    let write = read | make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | RemoveFile});
    // A socket is made beside its name and renamed.
    let socket = make_bitflags!(AccessFs::{MakeSock | RemoveFile});

    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for path in SYSTEM.map(Path::new) {
        allow(&mut rules, path, read)?;
    }
    if let Some(directory) = resolver_directory() {
        allow(&mut rules, &directory, read)?;
    }
    let directories = [(&reach.reads, read), (&reach.writes, write), (&reach.sockets, socket)];
    for (directories, rights) in directories {
        for directory in directories {
            if !allow(&mut rules, directory, rights)? {
                missing.push(directory.clone());
            }
        }
    }
    for port in &reach.connects {
        (&mut rules).add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    for port in &reach.listens {
        (&mut rules).add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    rules.restrict_self()
}

/// Whether there is anything at `path` to allow.
fn allow(
    rules: &mut RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<bool, RulesetError> {
    let Ok(opened) = PathFd::new(path) else {
        return Ok(false);
    };
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(opened, rights))?;
    Ok(true)
}

/// Where `/etc/resolv.conf` is a link to: a local resolver replaces its file. One
/// in `/etc` itself that is replaced, instead of rewritten, is read at the next
/// start.
fn resolver_directory() -> Option<PathBuf> {
    let target = std::fs::canonicalize("/etc/resolv.conf").ok()?;
    let directory = target.parent()?;
    (directory != Path::new("/etc") && directory != Path::new("/")).then(|| directory.to_owned())
}
