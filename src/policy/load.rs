//! Reading policies: every `*.cedar` file of a directory, all problems at once.

mod place;
mod reader;

use std::{fs, path::Path};

use cedar_policy::{Authorizer, Schema};
use sha2::{Digest, Sha256};

use self::reader::Reader;
use super::{Facts, Policy, standing::Standings};

/// The schema that policies are validated against; shipped, so that an editor
/// can check them too.
pub const SCHEMA: &str = include_str!("countersign.cedarschema");

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct PolicyProblem {
    /// File and line, and the policy where there is one.
    pub place: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

/// The texts of a directory.
pub(super) struct Sources {
    /// By file name.
    files: Vec<(String, String)>,
    /// What could not be read.
    problems: Vec<PolicyProblem>,
}

impl Sources {
    /// Reads every `*.cedar` file of `directory`.
    pub(super) fn read(directory: &Path) -> Self {
        let mut read = Self { files: Vec::new(), problems: Vec::new() };
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                read.unreadable(directory, &error);
                return read;
            }
        };
        let mut files = Vec::new();
        for entry in entries {
            // A file that is passed over could be the one that forbids.
            match entry.map(|entry| entry.path()) {
                Err(error) => read.unreadable(directory, &error),
                Ok(path) => match path.extension() {
                    Some(extension) if extension == "cedar" => files.push(path),
                    Some(extension) if extension.eq_ignore_ascii_case("cedar") => {
                        let problem = "is not read: write `.cedar` in small letters";
                        read.problem(&path, problem.to_owned());
                    }
                    _ => {}
                },
            }
        }
        files.sort();
        for file in files {
            match fs::read_to_string(&file) {
                Ok(source) => read.files.push((file.display().to_string(), source)),
                Err(error) => read.unreadable(&file, &error),
            }
        }
        if read.files.is_empty() && read.problems.is_empty() {
            let problem = "holds no *.cedar file: every request would be denied";
            read.problem(directory, problem.to_owned());
        }
        read
    }

    /// SHA-256 over names and texts: the same for the same policies.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let problems = self.problems.iter().map(|problem| (&problem.place, &problem.problem));
        let files = self.files.iter().map(|(name, text)| (name, text));
        for (name, text) in files.chain(problems) {
            for part in [name, text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }

    /// Validates them.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub(super) fn parse(self) -> Result<Policy, Vec<PolicyProblem>> {
        let files = self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let mut problems = self.problems.clone();
        match Policy::parse(files) {
            Ok(policy) if problems.is_empty() => Ok(policy),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.problem(path, format!("cannot be read: {error}"));
    }

    fn problem(&mut self, path: &Path, problem: String) {
        self.problems.push(PolicyProblem { place: path.display().to_string(), problem });
    }
}

impl Policy {
    /// Loads and validates every `*.cedar` file of `directory`.
    ///
    /// # Errors
    /// Every problem found: unreadable files, syntax, policies without an `@id`
    /// or with one that is taken, addresses that are not spelled as policy sees them,
    /// and whatever the strict validator objects to.
    pub fn load(directory: &Path, facts: Facts) -> Result<Self, Vec<PolicyProblem>> {
        Ok(Sources::read(directory).parse()?.with(facts))
    }

    /// Validates policies given as (place, text), which know of no limit and no tag.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn parse<'a>(
        sources: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<PolicyProblem>> {
        let mut reader = Reader::default();
        for (name, source) in sources {
            reader.file(name, source);
        }
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA)
            .expect("the shipped schema is valid: a unit test parses it");
        let (policies, warnings) = reader.validated(schema.clone())?;
        Ok(Self {
            warnings,
            policies: policies.into(),
            facts: Facts::default(),
            schema,
            authorizer: Authorizer::new(),
            standings: Standings::new(),
        })
    }

    /// The same policies, told these facts.
    #[must_use]
    pub fn with(mut self, facts: Facts) -> Self {
        if let Some(known) = &facts.known {
            let unknown = self.policies.whole.policies().flat_map(|policy| {
                let place = format!("policy {}", policy.id());
                let unknown = known.unknown_in(policy).into_iter();
                unknown.map(move |problem| PolicyProblem { place: place.clone(), problem })
            });
            self.warnings.extend(unknown);
            self.warnings.sort_by(|one, other| one.place.cmp(&other.place));
        }
        // What stood before was found with other tags.
        Self { facts, standings: Standings::new(), ..self }
    }
}

#[cfg(test)]
mod tests;
