/*
 * A disk that fails when it is told to, for one directory of a real server.
 *
 * Loaded with LD_PRELOAD in front of the C library. A block device that fails would be
 * more real, and needs a kernel with device-mapper and root; this needs neither, and
 * what it says is said to the same calls of the same confined process.
 *
 * It is told by a file, which is mapped before the process confines itself. It allocates
 * nothing, starts no thread, and asks the kernel for nothing that is not on the server's
 * list of system calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* As in disk.rs. */
enum fault {
    NONE,
    WRITE_FAILS,
    WRITE_IS_SHORT,
    WRITE_IS_SHORT_THEN_FULL,
    WRITE_HANGS,
    FLUSH_FAILS,
    FLUSH_IS_SLOW,
    FLUSH_HANGS,
    SYNC_HANGS,
};

/* As in disk.rs. */
struct control {
    /* What happens, and how often it still does. */
    _Atomic uint64_t fault, times;
    /* How often it did, since it was told. */
    _Atomic uint64_t injected;
    /* How often records were flushed. */
    _Atomic uint64_t flushes;
    /* The file whose flush failed, what of it had been flushed, and who flushed. */
    _Atomic uint64_t lost, kept, loser;
    /* What was done to that file since: writes; cuts to what had been flushed; bytes that
     * were read by the one that flushed. */
    _Atomic uint64_t rewritten, cut, reread;
};

static struct control *control;
static char directory[256];
static size_t directory_length;
/* The last file of which something was flushed, and how much. One thread flushes. */
static uint64_t flushed_file, flushed_length;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_CONTROL"), *of = getenv("DISK_DIRECTORY");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0 || !of || (directory_length = strlen(of)) >= sizeof directory)
        _exit(99);
    memcpy(directory, of, directory_length);
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED)
        _exit(99);
    close(file);
    control = mapped;
}

/* Whether a descriptor is of the directory or of what is in it. */
static int is_there(int fd) {
    char link[32], path[512];
    int before = errno;
    if (!control)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlinkat(AT_FDCWD, link, path, sizeof path - 1);
    errno = before;
    if (length < (ssize_t)directory_length || memcmp(path, directory, directory_length))
        return 0;
    path[length] = 0;
    return path[directory_length] == '/' || path[directory_length] == 0;
}

/* The how manieth time this fault happens now; 0 when it does not. */
static uint64_t happens(enum fault fault) {
    if (control->fault != fault)
        return 0;
    uint64_t left = control->times;
    do {
        if (!left)
            return 0;
    } while (!atomic_compare_exchange_weak(&control->times, &left, left - 1));
    return ++control->injected;
}

static void pause_for(long milliseconds) {
    struct timespec pause = { 0, milliseconds * 1000000 };
    int before = errno;
    nanosleep(&pause, NULL);
    errno = before;
}

/* Until the disk is told otherwise. */
static void hang(enum fault fault) {
    if (happens(fault))
        while (control->fault == fault)
            pause_for(1);
}

static struct stat look(int fd) {
    struct stat found;
    int before = errno;
    if (fstat(fd, &found))
        memset(&found, 0, sizeof found);
    errno = before;
    return found;
}

static int is_lost(int fd) {
    return control->lost && look(fd).st_ino == control->lost;
}

/* What the kernel may do when a flush fails: the pages are given up, and a later flush
 * succeeds without them. What was not flushed reads as zeros. */
static void lose(int fd) {
    struct stat found = look(fd);
    if (!S_ISREG(found.st_mode))
        return;
    control->kept = found.st_ino == flushed_file ? flushed_length : 0;
    control->loser = gettid();
    control->lost = found.st_ino;
    if (syscall(SYS_ftruncate, fd, control->kept) || syscall(SYS_ftruncate, fd, found.st_size))
        _exit(99);
}

static int flush(int fd, long call) {
    if (!is_there(fd))
        return syscall(call, fd);
    hang(call == SYS_fdatasync ? FLUSH_HANGS : SYNC_HANGS);
    if (call == SYS_fdatasync) {
        control->flushes++;
        if (happens(FLUSH_IS_SLOW))
            pause_for(50);
    }
    if (happens(FLUSH_FAILS)) {
        lose(fd);
        errno = EIO;
        return -1;
    }
    int done = syscall(call, fd);
    if (!done && call == SYS_fdatasync) {
        struct stat found = look(fd);
        flushed_file = found.st_ino;
        flushed_length = found.st_size;
    }
    return done;
}

int fdatasync(int fd) { return flush(fd, SYS_fdatasync); }

int fsync(int fd) { return flush(fd, SYS_fsync); }

ssize_t write(int fd, const void *bytes, size_t count) {
    if (!is_there(fd))
        return syscall(SYS_write, fd, bytes, count);
    hang(WRITE_HANGS);
    if (happens(WRITE_FAILS)) {
        errno = EIO;
        return -1;
    }
    uint64_t short_then_full = happens(WRITE_IS_SHORT_THEN_FULL);
    if (short_then_full > 1) {
        errno = ENOSPC;
        return -1;
    }
    if (count > 1 && (short_then_full || happens(WRITE_IS_SHORT)))
        count /= 2;
    if (is_lost(fd))
        control->rewritten++;
    return syscall(SYS_write, fd, bytes, count);
}

ssize_t read(int fd, void *bytes, size_t count) {
    ssize_t done = syscall(SYS_read, fd, bytes, count);
    if (done > 0 && control && control->loser == (uint64_t)gettid() && is_there(fd) && is_lost(fd))
        control->reread += done;
    return done;
}

int ftruncate64(int fd, off64_t length) {
    int done = syscall(SYS_ftruncate, fd, length);
    if (!done && is_there(fd) && is_lost(fd) && control->kept == (uint64_t)length)
        control->cut++;
    return done;
}
