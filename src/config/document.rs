//! Reading a TOML document so that every problem is found, with its line.
//!
//! A reader asks a [`Table`] for each key it knows. What is missing or wrong is
//! noted and the reading goes on; keys that nobody asked for are noted at the
//! end, so that a typing error is not silently a default.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    ops::{Range, RangeInclusive},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::key::Malformed;

/// One thing that is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// The problems found so far.
pub struct Problems<'d> {
    source: &'d str,
    found: RefCell<Vec<Problem>>,
}

/// A table of the document, or one that is not there and yields defaults.
pub struct Table<'d> {
    problems: &'d Problems<'d>,
    path: String,
    span: Range<usize>,
    /// By key: where it stands, and its value. Taken out when asked for.
    entries: RefCell<BTreeMap<String, Entry<'d>>>,
    known: RefCell<Vec<&'static str>>,
}

type Entry<'d> = (Range<usize>, &'d Spanned<DeValue<'d>>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl<'d> Problems<'d> {
    /// No problem yet.
    pub fn new(source: &'d str) -> Self {
        Self { source, found: RefCell::default() }
    }

    /// Notes a problem at a place of the source.
    pub fn note(&self, at: &Range<usize>, message: impl Into<String>) {
        let before = self.source.get(..at.start).unwrap_or(self.source);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        self.found.borrow_mut().push(Problem { line, message: message.into() });
    }

    /// Every problem, in the order of the lines.
    pub fn into_found(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| problem.line);
        found
    }
}

/// Reads a document with `read`, whole, before giving up on anything.
///
/// # Errors
/// Every problem that it has.
pub fn parse<T>(
    source: &str,
    read: impl FnOnce(Table<'_>) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let problems = Problems::new(source);
    let (document, errors) = DeTable::parse_recoverable(source);
    for error in errors {
        problems.note(&error.span().unwrap_or(0..0), error.message());
    }
    let whole = read(Table::root(document.get_ref(), &problems));
    let found = problems.into_found();
    match whole {
        Some(whole) if found.is_empty() => Ok(whole),
        _ => Err(found),
    }
}

impl<'d> Table<'d> {
    /// The document itself.
    pub fn root(table: &'d DeTable<'d>, problems: &'d Problems<'d>) -> Self {
        Self::new(Some(table), String::new(), 0..0, problems)
    }

    fn new(
        table: Option<&'d DeTable<'d>>,
        path: String,
        span: Range<usize>,
        problems: &'d Problems<'d>,
    ) -> Self {
        let entries = table.into_iter().flatten().map(|(key, value)| {
            let name = key.get_ref().to_string();
            (name, (key.span(), value))
        });
        Self {
            problems,
            path,
            span,
            entries: RefCell::new(entries.collect()),
            known: RefCell::default(),
        }
    }

    /// Notes a problem with the table itself.
    pub fn note(&self, message: impl Into<String>) {
        self.problems.note(&self.span, message);
    }

    /// Whether the table is there.
    pub fn is_there(&self) -> bool {
        !self.span.is_empty()
    }

    /// A table below this one.
    pub fn table(&self, key: &'static str) -> Self {
        let path = self.name(key);
        match self.take(key) {
            None => Self::new(None, path, 0..0, self.problems),
            Some((span, value)) => {
                let table = value.get_ref().as_table();
                if table.is_none() {
                    self.problems.note(&span, format!("`{path}` is a table: write [{path}]"));
                }
                Self::new(table, path, span, self.problems)
            }
        }
    }

    /// The tables of an array of tables below this one.
    pub fn tables(&self, key: &'static str) -> Vec<Self> {
        let path = self.name(key);
        let Some((span, value)) = self.take(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            self.problems.note(&span, format!("`{path}` is a list of tables: write [[{path}]]"));
            return Vec::new();
        };
        let tables = array.iter().filter_map(|item| {
            let table = item.get_ref().as_table();
            if table.is_none() {
                let message = format!("`{path}` is a list of tables: write [[{path}]]");
                self.problems.note(&item.span(), message);
            }
            let table = table?;
            Some(Self::new(Some(table), path.clone(), item.span(), self.problems))
        });
        tables.collect()
    }

    /// A text that must be there; `what` says what it is.
    pub fn text(&self, key: &'static str, what: &str) -> Option<String> {
        let Some((span, value)) = self.take(key) else {
            return self.missing(key, what);
        };
        let what = format!("{what}, not empty");
        self.read(key, &what, &span, value, |value| {
            let text = value.as_str().filter(|text| !text.is_empty())?;
            Some(text.to_owned())
        })
    }

    /// A text that may be there.
    pub fn optional_text(&self, key: &'static str) -> Option<String> {
        self.optional(key, "a text in quotes", |value| value.as_str().map(ToOwned::to_owned))
    }

    /// One of a few words, which must be there.
    pub fn one_of(&self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
        self.required(key, &quoted.join(" or "), |value| {
            let text = value.as_str()?;
            words.iter().find(|word| **word == text).copied()
        })
    }

    /// A name that must be there and parses itself.
    pub fn name_of<T: FromStr<Err = Malformed>>(&self, key: &'static str, what: &str) -> Option<T> {
        match self.take(key) {
            Some((span, value)) => self.parse(key, &span, value),
            None => self.missing(key, what),
        }
    }

    /// A name that may be there and parses itself.
    pub fn optional_name_of<T: FromStr<Err = Malformed>>(
        &self,
        key: &'static str,
    ) -> Option<Option<T>> {
        match self.take(key) {
            Some((span, value)) => self.parse(key, &span, value).map(Some),
            None => Some(None),
        }
    }

    /// A text with a default.
    pub fn text_or(&self, key: &'static str, default: &str) -> Option<String> {
        self.or(key, "a text in quotes", default.to_owned(), |value| {
            value.as_str().map(ToOwned::to_owned)
        })
    }

    /// A path that must be there.
    pub fn path(&self, key: &'static str, what: &str) -> Option<PathBuf> {
        self.text(key, what).map(PathBuf::from)
    }

    /// A list of texts; empty when it is not there.
    pub fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let path = self.name(key);
        let Some((span, value)) = self.take(key) else {
            return Some(Vec::new());
        };
        let texts = value.get_ref().as_array().and_then(|array| {
            let texts = array.iter().map(|item| item.get_ref().as_str());
            texts.map(|text| text.map(ToOwned::to_owned)).collect::<Option<Vec<_>>>()
        });
        if texts.is_none() {
            let message = format!("`{path}` is a list of texts: write {key} = [\"…\"]");
            self.problems.note(&span, message);
        }
        texts
    }

    /// A whole number within a range.
    pub fn number(
        &self,
        key: &'static str,
        default: Option<u32>,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let what = whole_number(&range);
        let read = |value: &DeValue<'_>| whole(value, &range);
        match default {
            None => self.required(key, &what, read),
            Some(default) => self.or(key, &what, default, read),
        }
    }

    /// A whole number within a range that may be there.
    pub fn optional_number(
        &self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<Option<u32>> {
        self.or(key, &whole_number(&range), None, |value| whole(value, &range).map(Some))
    }

    /// A duration such as `"10s"` or `"5m"`, within a range, with a default.
    pub fn duration(
        &self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let print = humantime::format_duration;
        let what = format!(
            "a duration in quotes from {} to {}, such as \"{}\"",
            print(*range.start()),
            print(*range.end()),
            print(default)
        );
        self.or(key, &what, default, |value| {
            let duration = humantime::parse_duration(value.as_str()?).ok()?;
            range.contains(&duration).then_some(duration)
        })
    }

    /// Something that `read` understands, or a default when it is not there.
    pub fn or<T>(
        &self,
        key: &'static str,
        what: &str,
        default: T,
        read: impl FnOnce(&DeValue<'d>) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            None => Some(default),
            Some((span, value)) => self.read(key, what, &span, value, read),
        }
    }

    /// Notes every key that nobody asked for.
    pub fn finish(self) {
        let known = self.known.into_inner();
        for (key, (span, _)) in self.entries.into_inner() {
            let near = known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known, &key), known))
                .filter(|(distance, _)| *distance <= 2)
                .min();
            let hint = match near {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let place =
                if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.path) };
            self.problems.note(&span, format!("unknown key `{key}`{place}; {hint}"));
        }
    }

    fn optional<T>(
        &self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(&DeValue<'d>) -> Option<T>,
    ) -> Option<T> {
        let (span, value) = self.take(key)?;
        self.read(key, what, &span, value, read)
    }

    /// Something that `read` understands, which must be there.
    pub fn required<T>(
        &self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(&DeValue<'d>) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            Some((span, value)) => self.read(key, what, &span, value, read),
            None => self.missing(key, what),
        }
    }

    fn missing<T>(&self, key: &'static str, what: &str) -> Option<T> {
        let path = self.name(key);
        self.note(format!("`{path}` is missing: {what}"));
        None
    }

    fn read<T>(
        &self,
        key: &'static str,
        what: &str,
        span: &Range<usize>,
        value: &'d Spanned<DeValue<'d>>,
        read: impl FnOnce(&DeValue<'d>) -> Option<T>,
    ) -> Option<T> {
        let read = read(value.get_ref());
        if read.is_none() {
            let path = self.name(key);
            self.problems.note(span, format!("`{path}` must be {what}"));
        }
        read
    }

    fn parse<T: FromStr<Err = Malformed>>(
        &self,
        key: &'static str,
        span: &Range<usize>,
        value: &'d Spanned<DeValue<'d>>,
    ) -> Option<T> {
        let text = self.read(key, "a text in quotes", span, value, |value| {
            value.as_str().map(ToOwned::to_owned)
        })?;
        let parsed = text.parse().map_err(|malformed: Malformed| {
            let path = self.name(key);
            self.problems.note(span, format!("`{path}` is malformed: {malformed}"));
        });
        parsed.ok()
    }

    fn take(&self, key: &'static str) -> Option<Entry<'d>> {
        self.known.borrow_mut().push(key);
        self.entries.borrow_mut().remove(key)
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn whole_number(range: &RangeInclusive<u32>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}

fn whole(value: &DeValue<'_>, range: &RangeInclusive<u32>) -> Option<u32> {
    let integer = value.as_integer()?;
    let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    range.contains(&number).then_some(number)
}
