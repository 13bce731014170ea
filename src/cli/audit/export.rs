//! `countersign audit export`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;

use super::{filter::Filter, joined::Joined, ocsf};
use crate::{audit::record::Record, cli::failure::Failure};

/// Print a log as events of another schema, one JSON object per line
///
/// Requests and refusals are API Activity (class 6003), starts and stops Application
/// Lifecycle (6002); the log's own records stand whole under `unmapped`. Nothing is
/// verified: `countersign audit verify` does that.
#[derive(Args)]
pub struct Export {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// As events of OCSF, the Open Cybersecurity Schema Framework
    #[arg(long, required = true)]
    ocsf: bool,
    #[command(flatten)]
    filter: Filter,
}

impl Export {
    pub fn run(self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::at(&self.directory, &error);
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut records = Joined::of(&self.directory);
        while let Some(record) = records.advance().map_err(failed)? {
            self.print(&mut out, &record)?;
        }
        for record in records.into_open() {
            self.print(&mut out, &record)?;
        }
        out.flush()?;
        Ok(())
    }

    fn print(&self, out: &mut impl Write, record: &Record) -> Result<(), Failure> {
        if self.filter.passes(record)
            && let Some(event) = ocsf::event(record)
        {
            writeln!(out, "{}", serde_json::to_string(&event)?)?;
        }
        Ok(())
    }
}
