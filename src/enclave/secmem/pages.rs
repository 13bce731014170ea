//! Pages that nothing else can read: `memfd_secret`, or `mlock` where there is none.

use std::{
    os::fd::{AsFd, FromRawFd, OwnedFd},
    ptr::{NonNull, null_mut},
    sync::OnceLock,
};

use rustix::{
    fs::ftruncate,
    io::Errno,
    mm::{
        Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
    },
    process::{Resource, getrlimit},
};

use crate::memory::{Level, SecretMemoryError};

pub(super) const PAGE: usize = 4096;

/// The level of this process, and why it is no higher.
pub fn level() -> (Level, Option<Errno>) {
    static LEVEL: OnceLock<Option<Errno>> = OnceLock::new();
    match LEVEL.get_or_init(|| memfd_secret(PAGE).err()) {
        None => (Level::MemfdSecret, None),
        Some(error) => (Level::Mlock, Some(*error)),
    }
}

/// A range of addresses, of which some become pages. Unmapped on drop.
pub(super) struct Reservation {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; who may touch
// which page is the matter of those who hand pages out.
unsafe impl Send for Reservation {}
// SAFETY: as above.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Addresses that fault until they are backed.
    pub(super) fn new(length: usize) -> Result<Self, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            mmap_anonymous(
                null_mut(),
                length,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { base, length })
    }

    /// The address `offset` bytes from the start.
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset < self.length);
        // SAFETY: every caller stays inside the range that it reserved.
        unsafe { self.base.as_ptr().add(offset) }
    }

    /// Backs parts of the range, each `(offset, length)` in whole pages, with
    /// zeroed secret pages that are touched already. `needed_kib` is for the
    /// error: what the process needs in all.
    pub(super) fn back(
        &self,
        parts: &[(usize, usize)],
        needed_kib: usize,
    ) -> Result<(), SecretMemoryError> {
        let secret = match level().0 {
            Level::Mlock => None,
            Level::MemfdSecret => {
                let length = parts.iter().map(|(_, length)| length).sum();
                Some(memfd_secret(length).map_err(SecretMemoryError::Map)?)
            }
        };
        let mut file_offset = 0;
        for (offset, length) in parts.iter().copied() {
            let page = self.at(offset);
            if let Some(file) = &secret {
                // SAFETY: replaces a part of this reservation, which nobody uses yet.
                unsafe { map_over(page, length, file, file_offset) }
                    .map_err(|_| not_locked(needed_kib))?;
            } else {
                // SAFETY: as above. memsec also sets MADV_DONTDUMP; its allocator
                // ignores a failed lock, which is why only this call is used.
                unsafe { lock(page, length) }.map_err(|error| match error {
                    None => not_locked(needed_kib),
                    Some(error) => SecretMemoryError::Map(error),
                })?;
            }
            for touched in (offset..offset + length).step_by(PAGE) {
                // SAFETY: inside the part mapped writable just now.
                unsafe { self.at(touched).write_volatile(0) };
            }
            file_offset += length as u64;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the owner of the last page drops this. A failure leaks pages that
        // were wiped.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.length) };
    }
}

fn not_locked(needed_kib: usize) -> SecretMemoryError {
    SecretMemoryError::Lock {
        needed_kib,
        allowed_kib: getrlimit(Resource::Memlock)
            .current
            .map(|bytes| bytes / 1024),
    }
}

/// A file of secret memory; its size is set once and for all.
fn memfd_secret(length: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: memfd_secret(2) takes flags and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let fd = i32::try_from(fd).map_err(|_| Errno::BADF)?;
    if fd < 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOSYS));
    }
    // SAFETY: the kernel has just given us this descriptor, and to nobody else.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    ftruncate(&file, length as u64)?;
    Ok(file)
}

/// # Safety
/// `page` is the start of `length` reserved bytes that nobody uses.
unsafe fn map_over(page: *mut u8, length: usize, file: &OwnedFd, offset: u64) -> Result<(), Errno> {
    let (read_write, flags) = (
        ProtFlags::READ | ProtFlags::WRITE,
        MapFlags::SHARED | MapFlags::FIXED,
    );
    // SAFETY: the caller's promise.
    unsafe { mmap(page.cast(), length, read_write, flags, file.as_fd(), offset) }?;
    // SAFETY: the mapping made above. A child of a fork gets nothing there.
    unsafe { madvise(page.cast(), length, Advice::LinuxDontFork) }?;
    // SAFETY: as above.
    unsafe { madvise(page.cast(), length, Advice::LinuxDontDump) }
}

/// Locks a part; the error is none where it was the lock that failed.
///
/// # Safety
/// `page` is the start of `length` reserved bytes that nobody uses.
unsafe fn lock(page: *mut u8, length: usize) -> Result<(), Option<Errno>> {
    let read_write = MprotectFlags::READ | MprotectFlags::WRITE;
    // SAFETY: the caller's promise.
    unsafe { mprotect(page.cast(), length, read_write) }.map_err(Some)?;
    // SAFETY: as above. A child of a fork finds zeroes.
    unsafe { madvise(page.cast(), length, Advice::LinuxWipeOnFork) }.map_err(Some)?;
    // SAFETY: as above.
    if unsafe { memsec::mlock(page, length) } {
        Ok(())
    } else {
        Err(None)
    }
}
