//! Cases: requests that somebody thought of, with the answers that they expect.

mod payload;
mod subject;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;

use crate::{
    caller::{Caller, Callers},
    config::{
        self, Config, ConfigError, amount, callers,
        document::{self, Table},
        tags,
    },
    key::Environment,
    memory::Level,
    payload::PayloadKind,
    policy::{ActionName, Facts, Tags, amount::AmountLimits},
};

pub(super) use subject::CaseSubject;

/// A file of cases, and what policies are told in them.
pub(super) struct CaseFile {
    /// Where it is.
    pub(super) file: PathBuf,
    /// In the order of the file; no name twice.
    pub(super) cases: Vec<Case>,
    limits: AmountLimits,
    tags: Tags,
}

/// One request, and what is expected of it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) expect: Expectation,
    /// The policies that decide, if the case says which.
    pub(super) policies: Option<Vec<String>>,
    pub(super) caller: Arc<Caller>,
    pub(super) action: ActionName,
    pub(super) subject: CaseSubject,
    pub(super) time: SystemTime,
    pub(super) payload: Option<(PayloadKind, Bytes)>,
    protection: Level,
}

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    /// Policy permits.
    Allow,
    /// Policy denies.
    Deny,
    /// The request is none: its payload does not decode, or does not go with the
    /// algorithm.
    Refuse,
}

/// What the cases of a file may speak of.
struct Known {
    environment: Environment,
    callers: Callers,
}

impl CaseFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or every problem that it has.
    pub(super) fn load(file: &Path, config: Option<&Config>) -> Result<Self, ConfigError> {
        let parse = |source: &str| document::parse(source, |root| read(root, config));
        let read = config::load(file, parse)?;
        Ok(Self { file: file.to_owned(), ..read })
    }

    /// What policies are told in a case.
    pub(super) fn facts(&self, case: &Case) -> Facts {
        let (limits, tags) = (self.limits.clone(), self.tags.clone());
        Facts { limits, tags, protection: case.protection, known: None }
    }
}

impl Expectation {
    const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::Refuse];

    /// The name in cases.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Refuse => "refuse",
        }
    }
}

/// What the file does not have is the configuration's.
fn read(root: Table<'_>, config: Option<&Config>) -> Option<CaseFile> {
    let environment = match (root.optional_name_of("environment"), config) {
        (Some(None), Some(config)) => Some(config.environment.clone()),
        (Some(None), None) => {
            root.note("`environment` is missing: name one, or give a configuration");
            None
        }
        (environment, _) => environment.flatten(),
    };
    let callers = match (root.tables("caller"), config) {
        (tables, Some(config)) if tables.is_empty() => Some(config.callers.clone()),
        (tables, _) => callers::read(tables, &root, None),
    };
    let limits = match (root.tables("amount_limit"), config) {
        (tables, Some(config)) if tables.is_empty() => Some(config.amounts.clone()),
        (tables, _) => amount::read(tables),
    };
    let tags = match (root.tables("tags"), config) {
        (tables, Some(config)) if tables.is_empty() => Some(config.tags.clone()),
        (tables, _) => tags::read(tables),
    };
    let tables = root.tables("case");
    if tables.is_empty() {
        root.note("no [[case]]: write at least one");
    }
    let known = environment.zip(callers);
    let known = known.map(|(environment, callers)| Known { environment, callers });
    let mut names = HashSet::new();
    let mut cases = Vec::new();
    for table in tables {
        cases.extend(case(&table, known.as_ref(), &mut names));
        table.finish();
    }
    root.finish();
    Some(CaseFile { file: PathBuf::new(), cases, limits: limits?, tags: tags? })
}

/// Reads everything before giving up on anything.
fn case(table: &Table<'_>, known: Option<&Known>, names: &mut HashSet<String>) -> Option<Case> {
    let name = table.text("name", "what the case is called");
    if let Some(name) = &name
        && !names.insert(name.clone())
    {
        table.note(format!("there is another case with the name \"{name}\""));
    }
    let expect = table.one_of("expect", &Expectation::ALL.map(Expectation::as_str));
    let expect =
        expect.and_then(|word| Expectation::ALL.into_iter().find(|expect| expect.as_str() == word));
    let ids = "ids of policies in a list, such as [\"office-hours\"]";
    let policies = table.or("policies", ids, None, |value| {
        let ids = value.as_array()?.iter().map(|id| id.get_ref().as_str());
        ids.map(|id| id.map(ToOwned::to_owned)).collect::<Option<Vec<_>>>().map(Some)
    });
    let caller = caller(table, known);
    let action = table.one_of("action", &ActionName::ALL.map(ActionName::as_str));
    let action =
        action.and_then(|word| ActionName::ALL.into_iter().find(|action| action.as_str() == word));
    let subject = subject::read(table, action, known.map(|known| &known.environment));
    let time = "a moment in quotes, UTC, such as \"2026-11-26T09:30:00Z\"";
    let time = table.or("time", time, SystemTime::now(), |value| {
        humantime::parse_rfc3339(value.as_str()?).ok()
    });
    let levels = "\"memfd_secret\" or \"mlock\"";
    let protection = table.or("protection", levels, Level::MemfdSecret, |value| {
        let name = value.as_str()?;
        Level::ALL.into_iter().find(|level| level.as_str() == name)
    });
    let payload = payload::read(table, action);
    let refuses = expect == Some(Expectation::Refuse);
    if refuses && matches!(payload, Some(None)) {
        table.note("only a payload is refused: policy allows or denies the rest");
    }
    if refuses && !matches!(policies, Some(None)) {
        table.note("what is refused is decided by no policy: leave `policies` out");
    }
    Some(Case {
        name: name?,
        expect: expect?,
        policies: policies?,
        caller: caller?,
        action: action?,
        subject: subject?,
        time: time?,
        payload: payload?,
        protection: protection?,
    })
}

fn caller(table: &Table<'_>, known: Option<&Known>) -> Option<Arc<Caller>> {
    let Some(Known { callers, .. }) = known else {
        // Those that there are have problems of their own.
        table.optional_text("caller");
        return None;
    };
    let names: Vec<_> = callers.iter().map(|caller| format!("\"{}\"", caller.name)).collect();
    let names = format!("the name of a [[caller]]: {}", names.join(" or "));
    table.required("caller", &names, |value| {
        let name = value.as_str()?;
        let caller = callers.iter().find(|caller| &*caller.name == name)?;
        Some(Arc::new(caller.clone()))
    })
}
