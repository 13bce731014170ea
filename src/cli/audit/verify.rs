//! `countersign audit verify`.

use std::{
    fmt::Display,
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;

use crate::{
    audit::{
        note::{Checkpoint, Name},
        verify::{Report, verify},
    },
    cli::failure::Failure,
};

/// How often progress is shown.
const PERIOD: Duration = Duration::from_millis(200);

/// Check that a log is what was written
///
/// Reads every record, and checks the chain, the tree and how the files follow each other.
/// Exit code 1, with file, byte and kind of every change, where the log is not what was
/// written. Whoever can write all of it can also cut it or chain it anew: that is found by
/// a checkpoint that left the machine before.
#[derive(Args)]
pub struct Verify {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// A checkpoint that left the machine before, such as a copy of the file `checkpoint`;
    /// may be given more than once
    #[arg(long, value_name = "FILE", requires = "key")]
    checkpoint: Vec<PathBuf>,
    /// The log's public key, name+hash+base64, for the checkpoints
    #[arg(long, value_name = "KEY", value_parser = Name::parse)]
    key: Option<Name>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A report as it is printed.
#[derive(Serialize)]
struct Printed {
    intact: bool,
    instance: Option<String>,
    first: u64,
    size: u64,
    open: usize,
    root: Option<String>,
    changes: Vec<String>,
}

impl Verify {
    pub fn run(self) -> Result<(), Failure> {
        let heads = self.checkpoint.iter().zip(self.key.iter().cycle());
        let heads = heads.map(|(file, key)| head(file, key)).collect::<Result<Vec<_>, _>>()?;
        let report = read(&self.directory, &heads)?;
        if report.size == 0 {
            let directory = self.directory.display();
            return Err(Failure::new(format!("{directory}: there is no audit log")));
        }
        let intact = report.is_intact();
        let printed = Printed::from(report);
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&printed)?)?;
        } else {
            printed.print(&mut out)?;
        }
        if intact { Ok(()) } else { Err(Failure::told()) }
    }
}

fn head(file: &Path, key: &Name) -> Result<Checkpoint, Failure> {
    let failed = |error: &dyn Display| Failure::at(file, error);
    let note = fs::read_to_string(file).map_err(|error| failed(&error))?;
    key.open(&note).map_err(|error| failed(&error))
}

fn read(directory: &Path, heads: &[Checkpoint]) -> Result<Report, Failure> {
    let mut terminal = io::stderr().is_terminal().then(io::stderr);
    let mut shown = Instant::now();
    let report = verify(directory, heads, |seq| {
        if let Some(terminal) = &mut terminal
            && seq % 1024 == 0
            && shown.elapsed() >= PERIOD
        {
            shown = Instant::now();
            // Nobody is told less by it.
            let _ = write!(terminal, "\r{seq} records");
        }
    });
    if let Some(terminal) = &mut terminal {
        let _ = write!(terminal, "\r\x1b[K");
    }
    report.map_err(|error| Failure::at(directory, &error))
}

impl From<Report> for Printed {
    fn from(report: Report) -> Self {
        Self {
            intact: report.is_intact(),
            instance: report.instance.map(|instance| instance.to_string()),
            first: report.first,
            size: report.size,
            open: report.open,
            root: report.root.map(hex::encode),
            changes: report.findings.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Printed {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { intact, instance, first, size, open, root, changes } = self;
        let unknown = "unknown";
        writeln!(out, "instance  {}", instance.as_deref().unwrap_or(unknown))?;
        writeln!(out, "records   {first} to {}", size.saturating_sub(1))?;
        writeln!(out, "open      {open} requests without an outcome yet")?;
        writeln!(out, "root      {}", root.as_deref().unwrap_or(unknown))?;
        for change in changes {
            writeln!(out, "change    {change}")?;
        }
        let verdict = if *intact { "intact" } else { "NOT what was written" };
        writeln!(out, "the log is {verdict}")
    }
}
