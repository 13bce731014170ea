//! How well the secret memory is protected, how much of it there is, and why a
//! process cannot have it: what configuration, `check`, `health`, logs and metrics
//! say of it. The memory itself is [`crate::enclave`]'s.
#![forbid(unsafe_code)]

mod panics;

use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};

use crate::enclave::{LARGE_SLOT_LEN, SECTION, SLOT_LEN, THREAD};

pub(crate) use panics::hush as hush_panics;

/// What protects secret memory, from weak to strong. One for the whole process,
/// decided by what the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Locked, left out of dumps, wiped on fork; readable to a tracer and to root.
    Mlock,
    /// `memfd_secret(2)`: readable to no other process.
    MemfdSecret,
}

/// How much secret memory a process takes. All of it counts against
/// RLIMIT_MEMLOCK; guard pages do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Slots for a DEK or a share of at most 4 KiB.
    pub slots: usize,
    /// Slots for a share of at most 64 KiB.
    pub large_slots: usize,
    /// Rooms for sections: how many run at once.
    pub sections: usize,
    /// Rooms for secret threads: one for each KMS that is reached by network.
    pub threads: usize,
}

/// The process cannot have the secret memory that it needs and must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretMemoryError {
    /// The pages cannot be locked.
    #[error(
        "cannot lock {needed_kib} KiB of secret memory: RLIMIT_MEMLOCK allows {allowed_kib} KiB. Raise it to at \
         least {needed_kib} KiB (`ulimit -l`, `LimitMEMLOCK=` of the service or of containerd), or \
         lower limits.in_flight, limits.streams and workers"
    )]
    Lock {
        /// What the process needs in all.
        needed_kib: usize,
        /// The soft limit.
        allowed_kib: u64,
    },
    /// The pages cannot be mapped or protected.
    #[error(
        "cannot map secret memory: {0}. Pages of 4 KiB are taken for granted, and two maps for each \
         slot (`vm.max_map_count`)"
    )]
    Map(Errno),
    /// A secret thread cannot be started.
    #[error(
        "cannot start a thread: {0}. Raise the limit on processes and threads (`ulimit -u`, \
         `pids.max` of the container)"
    )]
    Thread(Errno),
    /// The kernel has no `memfd_secret`, and the configuration requires it.
    #[error(
        "memfd_secret is not available ({0}), and memory.require asks for it, as it does by default \
         in a production environment. It takes Linux 5.14 (on arm64 6.5 or a kernel with rodata=full), \
         secretmem.enable=1 on the kernel's command line before 6.5, and a container runtime whose \
         seccomp profile allows it (containerd and Docker since 2022). `memory.require = \"mlock\"` \
         accepts locked memory, which root and a tracer can read"
    )]
    NoSecretMemory(Errno),
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 2] = [Self::Mlock, Self::MemfdSecret];

    /// Whether what there is, and why it is no better, is good enough.
    ///
    /// # Errors
    /// [`SecretMemoryError::NoSecretMemory`].
    pub fn met_by(self, (level, why): (Self, Option<Errno>)) -> Result<(), SecretMemoryError> {
        match why {
            Some(why) if level < self => Err(SecretMemoryError::NoSecretMemory(why)),
            _ => Ok(()),
        }
    }

    /// As configuration, logs, metrics and health name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mlock => "mlock",
            Self::MemfdSecret => "memfd_secret",
        }
    }
}

impl SecretMemoryError {
    /// What the kernel's answer to mmap(2) or mlock(2) means, when the process
    /// needs so much in all.
    pub(crate) fn not_mapped(error: Errno, needed_kib: usize) -> Self {
        match (error, too_low_a_limit(needed_kib)) {
            (Errno::AGAIN | Errno::NOMEM | Errno::PERM, Some(allowed_kib)) => {
                Self::Lock { needed_kib, allowed_kib }
            }
            (other, _) => Self::Map(other),
        }
    }
}

/// How many KiB RLIMIT_MEMLOCK lets this process lock, where that is less than it
/// needs. CAP_IPC_LOCK may let it lock more.
pub(crate) fn too_low_a_limit(needed_kib: usize) -> Option<u64> {
    let allowed_kib = getrlimit(Resource::Memlock).current? / 1024;
    (allowed_kib < needed_kib as u64).then_some(allowed_kib)
}

impl Budget {
    /// Kibibytes that count against RLIMIT_MEMLOCK.
    pub const fn kib(&self) -> usize {
        (self.slots * SLOT_LEN
            + self.large_slots * LARGE_SLOT_LEN
            + self.sections * SECTION.length()
            + self.threads * THREAD.length())
            / 1024
    }
}
