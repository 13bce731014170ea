//! The system calls that are allowed once the server listens.
//!
//! Measured with strace over the tests under glibc 2.36 and with the modules of
//! nss-resolve, nss-myhostname, nss-mymachines and nss-mdns, and filled up with
//! the calls that other versions of glibc make for the same functions. Whoever
//! adds one says what needs it.

use libc::{c_long, *};

/// Allowed whatever the arguments are.
pub(super) const CALLS: &[c_long] = &[
    // Files: configuration, credentials, SQLite with its write-ahead log.
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_write,
    SYS_writev,
    SYS_pwrite64,
    SYS_openat,
    // The directory store: links that stay in a directory.
    SYS_openat2,
    SYS_close,
    SYS_lseek,
    SYS_fcntl,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_fsync,
    SYS_fdatasync,
    SYS_ftruncate,
    // SQLite gives its log the mode and, as root, the owner of the database.
    SYS_fchmod,
    SYS_fchown,
    SYS_unlinkat,
    // The audit log's checkpoint and key are replaced whole.
    SYS_renameat,
    SYS_renameat2,
    // Memory. Mapping and protecting it are among `conditional`.
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    // Threads.
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_sched_getaffinity,
    SYS_sched_yield,
    SYS_sigaltstack,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
    SYS_getpid,
    SYS_gettid,
    SYS_exit,
    SYS_exit_group,
    // Time and randomness: where the vDSO does not answer.
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getcpu,
    SYS_getrandom,
    // Sockets, and their readiness.
    SYS_socketpair,
    SYS_bind,
    SYS_accept4,
    SYS_connect,
    SYS_shutdown,
    SYS_getsockname,
    SYS_getpeername,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_eventfd2,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_ppoll,
    // What the machine's own modules of name resolution (nsswitch.conf) look at.
    SYS_uname,
    SYS_sysinfo,
    SYS_fstatfs,
    SYS_statfs,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
];

/// The older forms of some of these, which x86-64 has and glibc uses there.
#[cfg(target_arch = "x86_64")]
pub(super) const OLDER: &[c_long] = &[
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_unlink,
    SYS_rename,
    SYS_poll,
    SYS_epoll_wait,
    SYS_time,
];

/// There are none where the kernel is younger.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const OLDER: &[c_long] = &[];

/// Whoever asks for a call above this one is told that the kernel has none.
pub(super) const NEWEST: c_long = SYS_mseal;
