//! Where a problem is: file, line and policy, as far as they are known.

use cedar_policy::Policy;
use miette::Diagnostic;

/// A file of policies.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a str,
}

/// A policy in its file.
#[derive(Clone)]
pub(super) struct Place<'a> {
    file: File<'a>,
    start: usize,
    id: Option<String>,
}

impl<'a> File<'a> {
    /// Where one of its policies is.
    pub(super) fn place(self, policy: &Policy) -> Place<'a> {
        // A policy is displayed as it was written.
        let start = self.source.find(&policy.to_string()).unwrap_or_default();
        let id = policy.annotation("id").filter(|id| !id.is_empty());
        Place { file: self, start, id: id.map(ToOwned::to_owned) }
    }

    /// Where one of Cedar's errors in it is.
    pub(super) fn of(self, error: &dyn Diagnostic) -> String {
        self.at(offset(error).unwrap_or_default())
    }

    /// `file:line`
    fn at(self, offset: usize) -> String {
        let before = self.source.get(..offset).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        format!("{}:{line}", self.name)
    }
}

impl Place<'_> {
    /// Its `@id`, where it has one.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Where it begins in its file, in bytes.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// The policy itself.
    pub(super) fn whole(&self) -> String {
        self.named(self.file.at(self.start))
    }

    /// Where one of Cedar's errors in it is.
    pub(super) fn of(&self, error: &dyn Diagnostic) -> String {
        self.named(self.file.at(offset(error).unwrap_or(self.start)))
    }

    fn named(&self, line: String) -> String {
        match &self.id {
            Some(id) => format!("{line}, policy {id}"),
            None => line,
        }
    }
}

/// What Cedar says about an error, and what it advises.
pub(super) fn message(error: &dyn Diagnostic) -> String {
    match error.help() {
        Some(help) => format!("{error}: {help}"),
        None => error.to_string(),
    }
}

fn offset(error: &dyn Diagnostic) -> Option<usize> {
    error.labels()?.next().map(|label| label.offset())
}
