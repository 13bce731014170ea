//! What is printed: records on standard output, progress on standard error.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{cli::failure::Failure, key::ShareId, transfer::Fate};

/// How often the work says how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// What was done, in numbers.
#[derive(Default, Serialize)]
struct Tally {
    copied: u64,
    there_already: u64,
    replaced: u64,
    kept: u64,
    differing: u64,
    unfit: u64,
    gone: u64,
    dry_run: bool,
}

/// A record that somebody may want to look at.
#[derive(Serialize)]
struct Told {
    share_id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    what: String,
}

/// What was done so far, and what of it was told.
pub struct Report {
    tally: Tally,
    json: bool,
    told: Instant,
    failed: io::Result<()>,
}

impl Report {
    /// Nothing was done yet.
    pub fn new(dry_run: bool, json: bool) -> Self {
        let tally = Tally { dry_run, ..Tally::default() };
        Self { tally, json, told: Instant::now(), failed: Ok(()) }
    }

    /// Counts what became of a record, and prints what somebody may want to look at.
    pub fn tell(&mut self, share: ShareId, fate: &Fate) {
        let tally = &mut self.tally;
        let (count, line) = match fate {
            Fate::Copied => (&mut tally.copied, None),
            Fate::There => (&mut tally.there_already, None),
            Fate::Gone => (&mut tally.gone, None),
            Fate::Replaced(what) => (&mut tally.replaced, Some(("replaced", what.join(", ")))),
            Fate::Kept(what) => (&mut tally.kept, Some(("kept", what.join(", ")))),
            Fate::Differs(what) => (&mut tally.differing, Some(("differs", what.join(", ")))),
            Fate::Unfit(why) => (&mut tally.unfit, Some(("unfit", why.to_string()))),
        };
        *count += 1;
        if let Some((outcome, what)) = line {
            self.line(share, outcome, what);
        }
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            eprintln!("{} records so far", self.tally.all());
        }
    }

    fn line(&mut self, share: ShareId, outcome: &'static str, what: String) {
        let mut out = io::stdout();
        let told = Told { share_id: share.to_string(), outcome, what };
        let written = match (self.json, serde_json::to_string(&told)) {
            (true, Ok(json)) => writeln!(out, "{json}"),
            _ => writeln!(out, "{}  {outcome}: {}", told.share_id, told.what),
        };
        if self.failed.is_ok() {
            self.failed = written;
        }
    }

    /// Prints the numbers.
    pub fn end(&mut self) -> Result<(), Failure> {
        std::mem::replace(&mut self.failed, Ok(()))?;
        let mut out = io::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&self.tally)?)?;
            return Ok(());
        }
        let Tally { copied, there_already, replaced, kept, differing, unfit, gone, dry_run } =
            &self.tally;
        let would = if *dry_run { "would be " } else { "" };
        writeln!(out, "{would}copied    {copied}\nthere already      {there_already}")?;
        for (what, count) in [
            ("replaced", replaced),
            ("kept as they were", kept),
            ("differing", differing),
            ("unfit", unfit),
            ("gone meanwhile", gone),
        ] {
            if *count > 0 {
                writeln!(out, "{what:17}  {count}")?;
            }
        }
        Ok(())
    }

    /// What the command fails with, where not all went well.
    pub fn failure(&self) -> Option<Failure> {
        let Tally { differing, unfit, .. } = self.tally;
        (differing + unfit > 0).then(|| {
            Failure::new(format!(
                "{differing} records differ and {unfit} are unfit: these were not written. \
                 --differing says what becomes of those that differ"
            ))
        })
    }
}

impl Tally {
    fn all(&self) -> u64 {
        let Self { copied, there_already, replaced, kept, differing, unfit, gone, dry_run: _ } =
            self;
        copied + there_already + replaced + kept + differing + unfit + gone
    }
}
