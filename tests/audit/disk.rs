//! A disk that fails when it is told to, under the log of a real and confined server:
//! `disk.c` and what it is told.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::Command,
};

use crate::support::{kernel::lacking, served::Home};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit/disk.c");

/// What it does. As in `disk.c`.
#[derive(Clone, Copy)]
#[repr(u64)]
pub enum Fault {
    /// EIO.
    WriteFails = 1,
    /// Half of the bytes, and no error.
    WriteIsShort,
    /// The same once, and from then on ENOSPC.
    WriteIsShortThenFull,
    WriteHangs,
    /// EIO of `fdatasync` and `fsync`, and what was to be flushed is gone.
    FlushFails,
    /// 50 ms for each `fdatasync`.
    FlushIsSlow,
    /// `fdatasync`, as for records.
    FlushHangs,
    /// `fsync`, as for files that are replaced whole, and directories.
    SyncHangs,
}

/// A word of what is shared with it. As in `disk.c`.
#[derive(Clone, Copy)]
enum Word {
    Fault,
    Times,
    Injected,
    Flushes,
    Lost,
    Kept,
    // Between them is who flushed, which is not looked at.
    Rewritten = 7,
    Cut,
    Reread,
}

/// What was done to a file after its flush failed.
#[derive(Debug)]
pub struct Lost {
    /// How many bytes of it had been flushed.
    pub kept: u64,
    /// How often it was written.
    pub rewritten: u64,
    /// How often it was cut to what had been flushed.
    pub cut: u64,
    /// How many bytes of it were read, by the thread whose flush failed.
    pub reread: u64,
}

pub struct Disk {
    control: File,
    path: PathBuf,
    library: PathBuf,
    directory: PathBuf,
}

impl Disk {
    /// For a home's log; none, said loudly, without a C compiler.
    pub fn of(home: &Home) -> Option<Self> {
        let library = home.path("disk.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
        let Ok(built) = cc.arg(&library).arg(SOURCE).output() else {
            lacking("a C compiler (cc), for a disk that fails");
            return None;
        };
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        fs::create_dir(home.path("audit")).unwrap();
        // As the kernel names what is opened there.
        let directory = home.path("audit").canonicalize().unwrap();
        let path = home.path("disk");
        let control = File::options().create_new(true).read(true).write(true).open(&path).unwrap();
        control.set_len(4096).unwrap();
        Some(Self { control, path, library, directory })
    }

    /// A server on this disk.
    pub fn below(&self, serve: &Command) -> Command {
        // Not the supervisor, which is a program, too.
        let mut command = Command::new("env");
        let set = |name: &str, value: &PathBuf| format!("{name}={}", value.display());
        command.arg(set("LD_PRELOAD", &self.library));
        command.arg(set("DISK_CONTROL", &self.path));
        command.arg(set("DISK_DIRECTORY", &self.directory));
        command.arg(serve.get_program()).args(serve.get_args());
        command
    }

    /// From now on, until it heals.
    pub fn ails(&self, fault: Fault) {
        self.ails_times(fault, u64::MAX);
    }

    /// From now on, so often.
    pub fn ails_times(&self, fault: Fault, times: u64) {
        self.heals();
        self.set(Word::Injected, 0);
        self.set(Word::Times, times);
        self.set(Word::Fault, fault as u64);
    }

    pub fn heals(&self) {
        self.set(Word::Fault, 0);
    }

    /// How often it failed since it was last told to.
    pub fn injected(&self) -> u64 {
        self.get(Word::Injected)
    }

    /// How often records were flushed.
    pub fn flushes(&self) -> u64 {
        self.get(Word::Flushes)
    }

    /// The file whose flush failed.
    pub fn lost(&self) -> Lost {
        assert!(self.get(Word::Lost) > 0, "no flush of a file failed");
        Lost {
            kept: self.get(Word::Kept),
            rewritten: self.get(Word::Rewritten),
            cut: self.get(Word::Cut),
            reread: self.get(Word::Reread),
        }
    }

    fn get(&self, word: Word) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, word as u64 * 8).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, word: Word, value: u64) {
        self.control.write_all_at(&value.to_ne_bytes(), word as u64 * 8).unwrap();
    }
}
