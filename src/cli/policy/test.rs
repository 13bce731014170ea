//! `countersign policy test`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{
    Asked,
    case::Case,
    decided::{Decided, listed},
    explain,
};
use crate::cli::failure::Failure;

/// Try policies on cases, and compare with what each case expects
///
/// Exit code 0: every case came out as expected; 1: one did not; 78: policies or cases
/// are malformed, and every problem is printed with its place.
#[derive(Args)]
pub struct Test {
    #[command(flatten)]
    asked: Asked,
    /// Files of cases, TOML
    #[arg(value_name = "CASES", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// All cases as they are printed.
#[derive(Default, Serialize)]
struct Report {
    passed: usize,
    failed: usize,
    cases: Vec<Row>,
}

/// A case as it is printed.
#[derive(Serialize)]
struct Row {
    file: String,
    case: String,
    passed: bool,
    expected: &'static str,
    got: &'static str,
    /// Those that the case expects to decide, where it says.
    expected_policies: Option<Vec<String>>,
    policies: Vec<String>,
    because: Vec<String>,
    reason: Option<&'static str>,
    rule: Option<String>,
}

impl Test {
    pub fn run(self) -> Result<(), Failure> {
        let (mut policy, files) = self.asked.load(&self.files)?;
        let mut out = io::stdout().lock();
        let mut report = Report::default();
        for file in &files {
            if !self.json {
                writeln!(out, "{}", file.file.display())?;
            }
            for case in &file.cases {
                policy = policy.with(file.facts(case));
                let decided = Decided::of(case, &policy);
                if !self.json {
                    print(&mut out, case, &decided)?;
                }
                report.add(&file.file, case, &decided);
            }
        }
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        } else {
            writeln!(out, "{} passed, {} failed", report.passed, report.failed)?;
        }
        if report.failed == 0 { Ok(()) } else { Err(Failure::told()) }
    }
}

impl Report {
    fn add(&mut self, file: &Path, case: &Case, decided: &Decided) {
        let passed = decided.is_expected(case);
        *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
        self.cases.push(Row {
            file: file.display().to_string(),
            case: case.name.clone(),
            passed,
            expected: case.expect.as_str(),
            got: decided.got().as_str(),
            expected_policies: case.policies.clone(),
            policies: decided.policies().to_vec(),
            because: decided.because().to_vec(),
            reason: decided.reason(),
            rule: decided.rule(),
        });
    }
}

/// One line for a case that came out as expected; for another also why it did not.
fn print(out: &mut impl Write, case: &Case, decided: &Decided) -> io::Result<()> {
    let (name, got) = (&case.name, decided.got().as_str());
    if decided.is_expected(case) {
        return writeln!(out, "  ok      {got:6}  {name}");
    }
    let expected = case.expect.as_str();
    let expected = case.policies.as_ref().map_or_else(
        || expected.to_owned(),
        |policies| match &**policies {
            [] => format!("{expected} by no policy"),
            policies => listed(expected, policies),
        },
    );
    writeln!(out, "  FAILED  {got:6}  {name}")?;
    writeln!(out, "          expected  {expected}")?;
    writeln!(out, "          got       {}", decided.told())?;
    match &decided.explanation {
        Some(explanation) => explain::policies(out, "          ", explanation),
        None => Ok(()),
    }
}
