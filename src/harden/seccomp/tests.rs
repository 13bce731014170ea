//! The filter, run by hand: what the kernel would answer for any call.

use super::*;

const ARGUMENTS: [u64; 6] = [0; 6];

/// The few instructions that the filter has.
fn answer(call: c_long, arguments: [u64; 6]) -> u32 {
    let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let mut data = vec![u32::try_from(call).unwrap(), architecture, 0, 0];
    for argument in arguments {
        data.extend([argument as u32, (argument >> 32) as u32]);
    }
    let program = program().unwrap();
    let (mut at, mut value) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at].clone();
        let is_met = match u32::from(code) & 0xf0 {
            BPF_JEQ => value == k,
            BPF_JGT => value > k,
            BPF_JGE => value >= k,
            _ => true,
        };
        at += 1;
        match u32::from(code) & 7 {
            BPF_LD => value = data[k as usize / 4],
            BPF_ALU => value &= k,
            BPF_JMP if u32::from(code) & 0xf0 == BPF_JA => at += k as usize,
            BPF_JMP => at += usize::from(if is_met { jt } else { jf }),
            _ => return k,
        }
    }
}

fn with(arguments: &[(usize, c_int)]) -> [u64; 6] {
    let mut all = ARGUMENTS;
    for (index, value) in arguments {
        all[*index] = *value as u32 as u64;
    }
    all
}

fn is_allowed(call: c_long, arguments: &[(usize, c_int)]) -> bool {
    match answer(call, with(arguments)) {
        SECCOMP_RET_ALLOW => true,
        SECCOMP_RET_TRAP => false,
        other => panic!("{call}: {other:#x}"),
    }
}

#[test]
fn whatever_is_not_listed_is_trapped() {
    let conditional = conditional().unwrap();
    let mut trapped = 0;
    for call in 0..=NEWEST {
        if call == SYS_clone3 || conditional.contains_key(&call) {
            continue;
        }
        let listed = CALLS.contains(&call) || OLDER.contains(&call);
        assert_eq!(is_allowed(call, &[]), listed, "{call}");
        trapped += usize::from(!listed);
    }
    assert!(trapped > 300);
}

/// Code, other processes, the kernel: none of these will ever be listed.
#[test]
fn the_dangerous_calls_are_not_listed() {
    for call in [
        SYS_execve,
        SYS_execveat,
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_process_madvise,
        SYS_pidfd_open,
        SYS_pidfd_getfd,
        SYS_kill,
        SYS_tkill,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_io_uring_register,
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_chroot,
        SYS_unshare,
        SYS_setns,
        SYS_add_key,
        SYS_keyctl,
        SYS_userfaultfd,
        SYS_personality,
        SYS_memfd_create,
        SYS_memfd_secret,
        SYS_pkey_mprotect,
        SYS_seccomp,
        SYS_setuid,
        SYS_capset,
        SYS_init_module,
        SYS_vmsplice,
    ] {
        assert!(!is_allowed(call, &[]), "{call}");
    }
}

#[test]
fn absent_calls_are_absent() {
    let absent = SECCOMP_RET_ERRNO | ENOSYS as u32;
    // The last is `read` of the 32-bit calls that x86-64 has besides.
    for call in [SYS_clone3, NEWEST + 1, 1000, 0x4000_0000] {
        assert_eq!(answer(call, ARGUMENTS), absent, "{call}");
    }
}

#[test]
fn arguments_decide() {
    let thread = THREAD | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SETTLS;
    let private = MAP_PRIVATE | MAP_ANONYMOUS;
    let this = std::process::id() as c_int;
    let allowed: &[(c_long, &[(usize, c_int)])] = &[
        (SYS_clone, &[(0, thread)]),
        (SYS_mmap, &[(2, PROT_READ | PROT_WRITE), (3, private)]),
        (SYS_mmap, &[(2, PROT_READ | PROT_EXEC), (3, MAP_PRIVATE)]),
        (SYS_mprotect, &[(2, PROT_READ | PROT_WRITE)]),
        (SYS_prctl, &[(0, PR_SET_NAME)]),
        (SYS_prctl, &[(0, PR_SET_VMA)]),
        (SYS_prlimit64, &[(1, RLIMIT_STACK as c_int)]),
        (SYS_tgkill, &[(0, this)]),
        (SYS_rt_sigaction, &[(0, SIGTERM)]),
        (SYS_ioctl, &[(1, FIONBIO as c_int)]),
        (SYS_socket, &[(0, AF_UNIX)]),
        (SYS_socket, &[(0, AF_INET6), (2, IPPROTO_TCP)]),
        (SYS_sendto, &[(3, MSG_NOSIGNAL)]),
    ];
    for (call, arguments) in allowed {
        assert!(is_allowed(*call, arguments), "{call} {arguments:?}");
    }
    let trapped: &[(c_long, &[(usize, c_int)])] = &[
        (SYS_clone, &[(0, SIGCHLD)]),
        (SYS_clone, &[(0, CLONE_VM | CLONE_VFORK | SIGCHLD)]),
        (SYS_clone, &[(0, thread | CLONE_NEWUSER)]),
        (SYS_mmap, &[(2, PROT_EXEC), (3, private)]),
        (SYS_mmap, &[(2, PROT_EXEC), (3, MAP_SHARED)]),
        (SYS_mmap, &[(2, PROT_EXEC | PROT_WRITE), (3, MAP_PRIVATE)]),
        (SYS_mprotect, &[(2, PROT_READ | PROT_EXEC)]),
        (SYS_prctl, &[(0, PR_SET_DUMPABLE), (1, 1)]),
        (SYS_prctl, &[(0, PR_SET_PTRACER)]),
        (SYS_tgkill, &[(0, 1)]),
        (SYS_rt_sigaction, &[(0, SIGSYS)]),
        (SYS_ioctl, &[(1, TIOCSTI as c_int)]),
        (SYS_socket, &[(0, AF_PACKET)]),
        (SYS_socket, &[(0, AF_ALG)]),
        (SYS_socket, &[(0, AF_VSOCK)]),
        (SYS_socket, &[(0, AF_INET), (2, IPPROTO_MPTCP)]),
        (SYS_socket, &[(0, AF_INET), (2, IPPROTO_SCTP)]),
        (SYS_sendto, &[(3, MSG_FASTOPEN | MSG_NOSIGNAL)]),
    ];
    for (call, arguments) in trapped {
        assert!(!is_allowed(*call, arguments), "{call} {arguments:?}");
    }
    // A limit that is set, at an address whose lower half is zero.
    let mut set = ARGUMENTS;
    set[2] = 1 << 32;
    assert_eq!(answer(SYS_prlimit64, set), SECCOMP_RET_TRAP);
}
