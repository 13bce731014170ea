//! `countersign policy explain`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Asked, case::Case, decided::Decided};
use crate::{
    cli::{attributes, failure::Failure},
    policy::{Considered, Explanation, Verdict},
};

/// Show why policies decide one case as they do
///
/// Prints the decision; every policy whose scope matches, with what came of it and
/// what it saw under each name; and all that policies can see of the request. Exit code
/// 0 whatever the decision is.
#[derive(Args)]
pub struct Explain {
    #[command(flatten)]
    asked: Asked,
    /// The file of cases
    file: PathBuf,
    /// The name of the case
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An answer as it is printed.
#[derive(Serialize)]
struct Answer<'a> {
    case: &'a str,
    decision: &'static str,
    /// The stable reason, where it is not allowed.
    reason: Option<&'static str>,
    /// The policies that decided.
    policies: &'a [String],
    /// Their reasons, where they deny.
    because: &'a [String],
    /// What the payload breaks, where it is refused.
    rule: Option<String>,
    considered: Vec<Row<'a>>,
    principal: Option<&'a Value>,
    resource: Option<&'a Value>,
    context: Option<&'a Value>,
}

/// A policy as it is printed.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    effect: &'static str,
    reason: Option<&'a str>,
    verdict: &'static str,
    error: Option<&'a str>,
    saw: Map<String, Value>,
}

impl Explain {
    pub fn run(self) -> Result<(), Failure> {
        let (policy, files) = self.asked.load(std::slice::from_ref(&self.file))?;
        let found = files.iter().find_map(|file| {
            let case = file.cases.iter().find(|case| case.name == self.name)?;
            Some((file, case))
        });
        let Some((file, case)) = found else {
            let names = files.iter().flat_map(|file| &file.cases).map(|case| &*case.name);
            let (file, names) = (self.file.display(), names.collect::<Vec<_>>().join("\n  "));
            let name = &self.name;
            return Err(Failure::new(format!("{file} has no case \"{name}\"; it has\n  {names}")));
        };
        let decided = Decided::of(case, &policy.with(file.facts(case)));
        let mut out = io::stdout().lock();
        if self.json {
            let answer = answer(case, &decided);
            writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        } else {
            print(&mut out, case, &decided)?;
        }
        Ok(())
    }
}

/// For people: the decision, the policies in scope, and all that they could see.
fn print(out: &mut impl Write, case: &Case, decided: &Decided) -> io::Result<()> {
    let time = humantime::format_rfc3339_seconds(case.time);
    writeln!(out, "case      {}", case.name)?;
    writeln!(out, "asked     {} by {}, {time}", case.action.as_str(), case.caller.name)?;
    writeln!(out, "decision  {}", decided.told())?;
    if let Some(reason) = decided.reason() {
        writeln!(out, "answer    {reason}")?;
    }
    let Some(explanation) = &decided.explanation else {
        return writeln!(out, "\nPolicy is not asked about what does not decode.");
    };
    writeln!(out, "\nPolicies in scope")?;
    policies(out, "  ", explanation)?;
    writeln!(out, "\nWhat policies see")?;
    let Explanation { principal, resource, context, .. } = explanation;
    for (name, value) in [("principal", principal), ("resource", resource), ("context", context)] {
        attributes::write(out, name, value)?;
    }
    Ok(())
}

/// Every policy in scope, with what it saw.
pub(super) fn policies(
    out: &mut impl Write,
    indent: &str,
    explanation: &Explanation,
) -> io::Result<()> {
    if explanation.considered.is_empty() {
        return writeln!(out, "{indent}none");
    }
    let saw = format!("{indent}    ");
    for policy in &explanation.considered {
        let (effect, id, said) = (effect(policy), &policy.id, said(&policy.verdict));
        writeln!(out, "{indent}{effect} {id}: {said}")?;
        if let Some(reason) = &policy.reason {
            writeln!(out, "{saw}@reason: {reason}")?;
        }
        let value = |value: &Option<Value>| {
            value.as_ref().map_or_else(|| "is not there".to_owned(), ToString::to_string)
        };
        let lines = policy.saw.iter().map(|(name, seen)| (name.clone(), value(seen)));
        attributes::write_lines(out, &saw, &lines.collect::<Vec<_>>())?;
    }
    Ok(())
}

fn answer<'a>(case: &'a Case, decided: &'a Decided) -> Answer<'a> {
    let explanation = decided.explanation.as_ref();
    Answer {
        case: &case.name,
        decision: decided.got().as_str(),
        reason: decided.reason(),
        policies: decided.policies(),
        because: decided.because(),
        rule: decided.rule(),
        considered: explanation.iter().flat_map(|found| &found.considered).map(row).collect(),
        principal: explanation.map(|found| &found.principal),
        resource: explanation.map(|found| &found.resource),
        context: explanation.map(|found| &found.context),
    }
}

fn row(policy: &Considered) -> Row<'_> {
    let saw = policy.saw.iter().cloned();
    Row {
        id: &policy.id,
        effect: effect(policy),
        reason: policy.reason.as_deref(),
        verdict: match policy.verdict {
            Verdict::Holds => "holds",
            Verdict::DoesNotCover => "does_not_cover",
            Verdict::DoesNotHold => "does_not_hold",
            Verdict::Fails(_) => "fails",
        },
        error: match &policy.verdict {
            Verdict::Fails(error) => Some(error),
            Verdict::Holds | Verdict::DoesNotCover | Verdict::DoesNotHold => None,
        },
        saw: saw.map(|(name, value)| (name, value.unwrap_or_default())).collect(),
    }
}

fn effect(policy: &Considered) -> &'static str {
    if policy.forbids { "forbid" } else { "permit" }
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Holds => "holds".to_owned(),
        Verdict::DoesNotCover => {
            "holds, but does not cover a bare digest: its scope does not name SignDigest".to_owned()
        }
        Verdict::DoesNotHold => "does not hold".to_owned(),
        Verdict::Fails(error) => format!("cannot be evaluated, which denies: {error}"),
    }
}
