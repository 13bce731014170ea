//! Searches the memory of a running process for secrets that it must not show.
//!
//! ```sh
//! needles | cargo run --release --example residue -- --pid PID --samples 600
//! ```
//! `docs/residue.md` says where the needles come from and how to read the table.
//! Exit code 0: nothing was found. 1: something was. 2: it could not look, which
//! says nothing.
//!
//! ```text
//! stdin ─▶ needle ─▶ form ──▶ search ─▶ tally ─▶ table or JSON
//!                  scalar       ▲
//!                  schedule     │
//! PID ──▶ target ─▶ snapshot ───┘
//!           map
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "fixed sizes; nothing here serves anybody, and a panic lets the target go"
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod form;
pub mod map;
pub mod needle;
pub mod scalar;
pub mod schedule;
pub mod search;
pub mod snapshot;
pub mod tally;
pub mod target;

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};

use self::{search::Searcher, tally::Tally, target::Target};

/// Search the memory of a running process for secrets that it must not show
///
/// The secrets come on standard input, a line `name kind hex` each; kind is one of
/// share:ed25519, share:ecdsa-secp256k1, share:ecdsa-p256,
/// share:schnorr-secp256k1, dek, aes256, bytes, public. The process is stopped
/// for some milliseconds per sample. Exit code 0: nothing found, 1: found, 2:
/// could not look.
#[derive(Parser)]
struct Arguments {
    /// The process to look into
    #[arg(long)]
    pid: i32,
    /// How often to look
    #[arg(long, default_value_t = 20)]
    samples: usize,
    /// The longest pause between two samples, in milliseconds; each is random
    #[arg(long, default_value_t = 100)]
    pause: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Let the process go on at the end of standard input, and do nothing else
    #[arg(long, hide = true)]
    let_go: bool,
}

/// The tool.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.let_go {
        return let_go(arguments.pid);
    }
    match scan(&arguments) {
        Ok(tally) => report(&arguments, &tally),
        Err(why) => {
            eprintln!("residue: {why}");
            ExitCode::from(2)
        }
    }
}

fn scan(arguments: &Arguments) -> Result<Tally, String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
    let needles = needle::parse(&text).map_err(|error| error.to_string())?;
    let searcher = Searcher::new(&needles)
        .map_err(|trivial| format!("{} is too plain to be told from chance", trivial.0))?;
    if searcher.forms().is_empty() || arguments.samples == 0 {
        return Err("there is nothing to search for".to_owned());
    }
    let target = Target::open(arguments.pid).map_err(|blind| blind.to_string())?;
    let _watchdog = watchdog(arguments.pid).map_err(|error| format!("no watchdog: {error}"))?;
    let mut tally = Tally::default();
    for sample in 0..arguments.samples {
        thread::sleep(pause(arguments.pause));
        let snapshot = target.snapshot(sample > 0);
        tally.add(&searcher, &snapshot.map_err(|blind| blind.to_string())?);
    }
    Ok(tally)
}

/// A random pause, so that samples do not keep step with what the target does.
fn pause(longest: u64) -> Duration {
    let random = getrandom::u64().unwrap_or(0);
    Duration::from_micros(random % (1000 * longest + 1))
}

/// A child that lets the target go on when this process ends, however it ends: it
/// sees the end of its standard input. In a group of its own, so that the
/// terminal's Ctrl-C is not for it.
fn watchdog(pid: i32) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["--let-go", "--pid", &pid.to_string()])
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn let_go(pid: i32) -> ExitCode {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    let gone = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::CONT));
    ExitCode::from(u8::from(gone.is_none()))
}

fn report(arguments: &Arguments, tally: &Tally) -> ExitCode {
    let text = if arguments.json {
        serde_json::to_string_pretty(tally).unwrap_or_default()
    } else {
        tally.to_string()
    };
    // A reader that has seen enough changes nothing about what was found.
    let _ = writeln!(io::stdout(), "{text}");
    match tally.unseen() {
        _ if tally.samples_with_a_find > 0 => ExitCode::from(1),
        Some(unseen) => {
            eprintln!("residue: the kernel kept this from looking at {unseen}");
            ExitCode::from(2)
        }
        None => ExitCode::SUCCESS,
    }
}
