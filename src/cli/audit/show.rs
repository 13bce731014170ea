//! `countersign audit show`.

use std::{
    io::{self, Write},
    path::PathBuf,
    thread,
    time::Duration,
};

use clap::Args;

use super::{filter::Filter, joined::Joined};
use crate::{
    audit::record::{Event, Record},
    cli::failure::Failure,
};

/// How often a log that is followed is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// Show what is in a log
///
/// Every request stands with its outcome, in the order in which they ended. What is shown
/// is not verified: `countersign audit verify` does that.
#[derive(Args)]
pub struct Show {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    filter: Filter,
    /// Go on until Ctrl-C with what is being written
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

impl Show {
    pub fn run(self) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut records = Joined::of(&self.directory);
        let failed = |error: io::Error| Failure::at(&self.directory, &error);
        if !self.json {
            heading(&mut out)?;
        }
        loop {
            match records.advance().map_err(failed)? {
                Some(record) => self.print(&mut out, &record)?,
                None if self.follow => {
                    out.flush()?;
                    thread::sleep(PERIOD);
                }
                None => break,
            }
        }
        for record in records.into_open() {
            self.print(&mut out, &record)?;
        }
        out.flush()?;
        Ok(())
    }

    fn print(&self, out: &mut impl Write, record: &Record) -> Result<(), Failure> {
        if !self.filter.passes(record) {
            return Ok(());
        }
        if self.json {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        } else {
            row(out, record)?;
        }
        Ok(())
    }
}

fn heading(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:24}  {:>8}  {:16}  {:13}  {:36}  {:>9}  OUTCOME",
        "TIME", "RECORD", "CALLER", "ACTION", "SHARE", "MS"
    )
}

fn row(out: &mut impl Write, record: &Record) -> io::Result<()> {
    // To the millisecond.
    let time = record.time.as_str();
    let time = time.get(..23).map_or_else(|| time.to_owned(), |time| format!("{time}Z"));
    let seq = record.seq;
    let (caller, action, share, duration, what) = match &record.event {
        Event::Request(request) => {
            let ended = request.ended.as_ref();
            let duration = ended.and_then(|ended| ended.duration_us);
            let outcome = ended.map_or("open", |ended| ended.outcome.as_str());
            let reason = ended.and_then(|ended| ended.reason.as_deref()).unwrap_or_default();
            let kind = request.payload_kind.as_deref().unwrap_or_default();
            let share = request.share.as_deref().unwrap_or_default();
            let what = [outcome, reason, kind].join(" ");
            (&*request.caller, &*request.action, share, duration, what)
        }
        event => ("", "", "", None, other(event)),
    };
    let duration =
        duration.map_or_else(String::new, |us| format!("{}.{:03}", us / 1000, us % 1000));
    let line =
        format!("{time}  {seq:>8}  {caller:16}  {action:13}  {share:36}  {duration:>9}  {what}");
    writeln!(out, "{}", line.trim_end())
}

/// What is no request, in words.
fn other(event: &Event) -> String {
    match event {
        Event::Created { instance } => format!("log {instance} created"),
        Event::Started(start) => {
            format!("started: version {}, environment {}", start.version, start.environment)
        }
        Event::Stopped => "stopped".to_owned(),
        Event::Segment(_) => "a file begins".to_owned(),
        Event::Identity { key, kept, .. } => {
            let kept = if *kept { "" } else { ", for one run" };
            format!("signed by {key}{kept}")
        }
        Event::Policies { count, .. } => format!("{count} policies in force"),
        Event::Refused(refused) => {
            let caller = refused.caller.as_deref().unwrap_or("a stranger");
            format!(
                "{} requests of {caller} refused before policy: {}",
                refused.count, refused.reason
            )
        }
        Event::Cut { bytes } => format!("{bytes} bytes of a record that was not written whole"),
        Event::Retired { to } => format!("the records before {to} are removed: they are old"),
        Event::Gap(gap) => {
            format!("nothing could be written since {}: {}", gap.since.as_str(), gap.error)
        }
        Event::Outcome { of, ended } => format!("record {of}: {}", ended.outcome.as_str()),
        Event::Request(_) => String::new(),
    }
}
