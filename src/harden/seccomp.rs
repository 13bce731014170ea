//! Seccomp: a list of allowed system calls, some only with certain arguments.
//! Any other one ends the process by SIGSYS, with a line that names it.
//!
//! `clone3` and calls that are younger than the list fail with ENOSYS instead: C
//! libraries try new calls and fall back to older ones, which are on the list.

use std::{collections::BTreeMap, io};

use libc::*;
use rustix::thread::secure_computing_mode;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction,
    SeccompCmpArgLen::{self, Dword, Qword},
    SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
    apply_filter_all_threads, sock_filter,
};

use super::{
    Enforcement, SandboxError,
    calls::{CALLS, NEWEST, OLDER},
};
use crate::enclave::end_at_trapped_calls;

/// Filters the system calls of every thread from now on.
///
/// # Errors
/// `Seccomp`.
pub fn filter() -> Result<Enforcement, SandboxError> {
    install(apply_filter_all_threads)
}

/// The same for this thread and those that it starts from now on.
///
/// # Errors
/// `Seccomp`.
pub fn filter_thread() -> Result<Enforcement, SandboxError> {
    install(apply_filter)
}

fn install(apply: fn(&[sock_filter]) -> Result<(), Error>) -> Result<Enforcement, SandboxError> {
    let program = program().map_err(|error| SandboxError::Seccomp(error.to_string()))?;
    end_at_trapped_calls();
    match apply(&program) {
        Ok(()) => Ok(Enforcement::Full),
        Err(Error::Seccomp(error)) if is_lacking(&error) => Ok(Enforcement::None),
        Err(error) => Err(SandboxError::Seccomp(error.to_string())),
    }
}

/// EINVAL is also what is said of a filter that is wrong, which must not pass for a
/// kernel that has none.
fn is_lacking(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(ENOSYS) => true,
        Some(EINVAL) => secure_computing_mode().is_err(),
        _ => false,
    }
}

fn program() -> Result<BpfProgram, BackendError> {
    let unconditional = CALLS.iter().chain(OLDER).map(|call| (*call, Vec::new()));
    let rules = unconditional.chain(conditional()?).collect();
    let target = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, target)?;
    let listed: BpfProgram = filter.try_into()?;
    Ok(absent().into_iter().chain(listed).collect())
}

/// ENOSYS for `clone3`, whose arguments a filter cannot see, and for what is
/// newer than the list. Comes before the check of the architecture, which it does
/// not need: it allows nothing.
fn absent() -> [sock_filter; 4] {
    let number = |call: c_long| u32::try_from(call).unwrap_or(u32::MAX);
    let step = |code: u32, k, jt, jf| sock_filter { code: code as u16, jt, jf, k };
    [
        // The number of the call is at offset 0 of `seccomp_data`.
        step(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, number(SYS_clone3), 1, 0),
        step(BPF_JMP | BPF_JGT | BPF_K, number(NEWEST), 0, 1),
        step(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS as u32, 0, 0),
    ]
}

/// What is right for an argument: which, how much of it, and how it compares. The
/// kernel does not look at the upper half of an `int` and neither may this.
type Check = (u8, SeccompCmpArgLen, SeccompCmpOp, c_int);

/// Calls that are allowed in one of several ways, each of which is a list of
/// arguments that have to be right.
fn conditional() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let has = |argument: u8, mask: c_int, value: c_int| -> Check {
        (argument, Dword, MaskedEq(mask as u32 as u64), value)
    };
    let is = |argument: u8, value: c_int| -> Check { (argument, Dword, Eq, value) };
    let this = std::process::id() as c_int;
    let no_fast_open = |call, flags| (call, vec![vec![has(flags, MSG_FASTOPEN, 0)]]);
    let checks = [
        // A thread: no process, and no namespace.
        (SYS_clone, vec![vec![has(0, THREAD | NAMESPACES, THREAD)]]),
        // No memory that was written becomes code. Libraries that name resolution
        // loads are mapped from files.
        (SYS_mprotect, vec![vec![has(2, PROT_EXEC, 0)]]),
        (
            SYS_mmap,
            vec![
                vec![has(2, PROT_EXEC, 0)],
                vec![
                    has(2, PROT_EXEC | PROT_WRITE, PROT_EXEC),
                    has(3, MAP_ANONYMOUS | MAP_TYPE, MAP_PRIVATE),
                ],
            ],
        ),
        // The name of a thread and of glibc's memory; which capabilities there
        // are, for libcap. Above all not the flag that makes the process dumpable.
        (
            SYS_prctl,
            [PR_SET_NAME, PR_SET_VMA, PR_CAPBSET_READ].map(|option| vec![is(0, option)]).to_vec(),
        ),
        // To read a limit: the pointer to a new one is null.
        (SYS_prlimit64, vec![vec![(2, Qword, Eq, 0)]]),
        // `abort` and `raise`.
        (SYS_tgkill, vec![vec![is(0, this)]]),
        // The handler of trapped calls stays.
        (SYS_rt_sigaction, vec![vec![(0, Dword, Ne, SIGSYS)]]),
        (
            SYS_ioctl,
            // The last is for name servers with a link-local address.
            [FIONBIO, FIONREAD, TCGETS, SIOCGIFINDEX]
                .map(|request| vec![is(1, request as c_int)])
                .to_vec(),
        ),
        (SYS_socket, sockets(is)),
        // A connection that landlock does not see.
        no_fast_open(SYS_sendto, 3),
        no_fast_open(SYS_sendmsg, 2),
        no_fast_open(SYS_sendmmsg, 3),
    ];
    let rules = checks.into_iter().map(|(call, ways)| {
        let ways = ways.into_iter().map(rule).collect::<Result<_, _>>();
        Ok((call, ways?))
    });
    rules.collect()
}

/// What `clone` makes a thread by, as glibc and musl do.
const THREAD: c_int = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
const NAMESPACES: c_int = CLONE_NEWCGROUP
    | CLONE_NEWIPC
    | CLONE_NEWNET
    | CLONE_NEWNS
    | CLONE_NEWPID
    | CLONE_NEWUSER
    | CLONE_NEWUTS;

/// Unix, TCP, UDP, and the list of the machine's own addresses. Nothing raw, and
/// no other protocol: landlock's ports are TCP's.
fn sockets(is: impl Fn(u8, c_int) -> Check) -> Vec<Vec<Check>> {
    let mut ways =
        vec![vec![is(0, AF_UNIX), is(2, 0)], vec![is(0, AF_NETLINK), is(2, NETLINK_ROUTE)]];
    for family in [AF_INET, AF_INET6] {
        ways.extend(
            [0, IPPROTO_TCP, IPPROTO_UDP].map(|protocol| vec![is(0, family), is(2, protocol)]),
        );
    }
    ways
}

fn rule(checks: Vec<Check>) -> Result<SeccompRule, BackendError> {
    let conditions = checks.into_iter().map(|(argument, length, operation, value)| {
        SeccompCondition::new(argument, length, operation, value as u32 as u64)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
