//! Pages that nothing else can read: `memfd_secret`, or `mlock` where there is none.

use std::{
    os::fd::{FromRawFd, OwnedFd},
    ptr::null_mut,
    sync::OnceLock,
};

use rustix::{
    fs::ftruncate,
    io::Errno,
    mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap},
};

use crate::memory::{Level, SecretMemoryError};

pub(super) const PAGE: usize = 4096;

/// The level of this process, and why it is no higher.
pub fn level() -> (Level, Option<Errno>) {
    static MISSING: OnceLock<Option<Errno>> = OnceLock::new();
    // What a kernel without it says, or a seccomp profile; anything else will fail.
    let lacks = |error: &_| matches!(*error, Errno::NOSYS | Errno::PERM | Errno::INVAL);
    match MISSING.get_or_init(|| memfd_secret(PAGE).err().filter(lacks)) {
        None => (Level::MemfdSecret, None),
        Some(error) => (Level::Mlock, Some(*error)),
    }
}

/// A range of addresses, of which parts become pages. Unmapped on drop.
pub(super) struct Reservation {
    start: usize,
    length: usize,
}

impl Reservation {
    /// Addresses that fault until they are backed.
    pub(super) fn new(length: usize) -> Result<Self, Errno> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe { mmap_anonymous(null_mut(), length, ProtFlags::empty(), flags) }?;
        Ok(Self { start: start as usize, length })
    }

    /// The address `offset` bytes from the start.
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.length);
        (self.start + offset) as *mut u8
    }

    /// Backs parts of the range, each `(offset, length)` in whole pages and used by
    /// nobody yet, with secret pages. `needed_kib` is the process's need in all.
    pub(super) fn back(
        &self,
        parts: &[(usize, usize)],
        needed_kib: usize,
    ) -> Result<(), SecretMemoryError> {
        let length = parts.iter().map(|(_, length)| length).sum();
        let file = match level().0 {
            Level::MemfdSecret => Some(memfd_secret(length).map_err(SecretMemoryError::Map)?),
            Level::Mlock => None,
        };
        let mut in_file = 0;
        for (offset, length) in parts.iter().copied() {
            self.map(offset, length, file.as_ref(), in_file)
                .map_err(|error| SecretMemoryError::not_mapped(error, needed_kib))?;
            in_file += length as u64;
        }
        Ok(())
    }

    fn map(
        &self,
        at: usize,
        length: usize,
        file: Option<&OwnedFd>,
        from: u64,
    ) -> Result<(), Errno> {
        let page = self.at(at).cast();
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::FIXED);
        // A child of a fork gets nothing there, or zeroes.
        let on_fork = match file {
            Some(file) => {
                // SAFETY: replaces a part of this reservation that nobody uses.
                unsafe { mmap(page, length, access, flags | MapFlags::SHARED, file, from) }?;
                Advice::LinuxDontFork
            }
            None => {
                // SAFETY: as above.
                unsafe { mmap_anonymous(page, length, access, flags | MapFlags::PRIVATE) }?;
                // SAFETY: the pages mapped above. memsec's allocator ignores a lock that
                // failed, which is why only this call of it is used.
                unsafe { memsec::mlock(page.cast(), length) }.then_some(()).ok_or(Errno::NOMEM)?;
                Advice::LinuxWipeOnFork
            }
        };
        for advice in [on_fork, Advice::LinuxDontDump] {
            // SAFETY: the pages mapped above.
            unsafe { madvise(page, length, advice) }?;
        }
        // SAFETY: as above. The first touch is slow: it is here, not in a request.
        super::wipe(unsafe { std::slice::from_raw_parts_mut(page.cast(), length) });
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the owner of the last page drops this. A failure leaks pages that
        // were wiped.
        let _ = unsafe { munmap(self.start as *mut _, self.length) };
    }
}

/// A file of secret memory; its size is set once and for all.
fn memfd_secret(length: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: memfd_secret(2) takes flags and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let Ok(fd @ 0..) = i32::try_from(fd) else {
        // SAFETY: this thread's own, which is always there.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        return Err(Errno::from_raw_os_error(unsafe { *errno }));
    };
    // SAFETY: the kernel has given this descriptor to us and to nobody else.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    ftruncate(&file, length as u64)?;
    Ok(file)
}
