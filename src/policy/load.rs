//! Reading policies: every `*.cedar` file of a directory, all problems at once.

use std::{collections::HashMap, fs, path::Path};

use cedar_policy::{Authorizer, PolicyId, PolicySet, Schema, ValidationMode, Validator};

use super::{Policy, StreamLimits};

/// The schema that policies are validated against; shipped, so that an editor
/// can check them too.
pub const SCHEMA: &str = include_str!("countersign.cedarschema");

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct PolicyProblem {
    /// The file, and the policy where there is one.
    pub place: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl Policy {
    /// Loads and validates every `*.cedar` file of `directory`.
    ///
    /// # Errors
    /// Every problem found: unreadable files, syntax, policies without an `@id`
    /// or with one that is taken, and whatever the strict validator objects to.
    pub fn load(directory: &Path) -> Result<Self, Vec<PolicyProblem>> {
        let unreadable = |path: &Path, error: std::io::Error| PolicyProblem {
            place: path.display().to_string(),
            problem: format!("cannot be read: {error}"),
        };
        let entries =
            fs::read_dir(directory).map_err(|error| vec![unreadable(directory, error)])?;
        let mut files = Vec::new();
        let mut sources = Vec::new();
        let mut problems = Vec::new();
        for entry in entries {
            // A file that is passed over could be the one that forbids.
            match entry.map(|entry| entry.path()) {
                Err(error) => problems.push(unreadable(directory, error)),
                Ok(path) => match path.extension() {
                    Some(extension) if extension == "cedar" => files.push(path),
                    Some(extension) if extension.eq_ignore_ascii_case("cedar") => {
                        problems.push(PolicyProblem {
                            place: path.display().to_string(),
                            problem: "is not read: write `.cedar` in small letters".to_owned(),
                        });
                    }
                    _ => {}
                },
            }
        }
        files.sort();
        for file in files {
            match fs::read_to_string(&file) {
                Ok(source) => sources.push((file.display().to_string(), source)),
                Err(error) => problems.push(unreadable(&file, error)),
            }
        }
        if sources.is_empty() && problems.is_empty() {
            problems.push(PolicyProblem {
                place: directory.display().to_string(),
                problem: "holds no *.cedar file: every request would be denied".to_owned(),
            });
        }
        let parsed = Self::parse(sources.iter().map(|(name, source)| (name.as_str(), &**source)));
        match parsed {
            Ok(policy) if problems.is_empty() => Ok(policy),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    /// Validates policies given as (place, text).
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn parse<'a>(
        sources: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<PolicyProblem>> {
        let mut policies = PolicySet::new();
        let mut problems = Vec::new();
        let mut places = HashMap::new();
        for (file, source) in sources {
            let mut problem = |place: String, problem: String| {
                problems.push(PolicyProblem { place, problem });
            };
            let parsed: PolicySet = match source.parse() {
                Ok(parsed) => parsed,
                Err(error) => {
                    problem(file.to_owned(), format!("is not Cedar: {error}"));
                    continue;
                }
            };
            if parsed.templates().next().is_some() {
                problem(file.to_owned(), "holds a template: write policies".to_owned());
            }
            for policy in parsed.policies() {
                let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
                    let place = format!("{file}, {}", policy.id());
                    problem(place, "has no @id(\"…\"): name every policy".to_owned());
                    continue;
                };
                let place = format!("{file}, policy {id}");
                if places.insert(id.to_owned(), place.clone()).is_some() {
                    problem(place, "has an @id that is taken: make it unique".to_owned());
                    continue;
                }
                if let Err(message) = StreamLimits::of(policy) {
                    problem(place, message);
                    continue;
                }
                if let Err(error) = policies.add(policy.new_id(PolicyId::new(id))) {
                    problem(place, error.to_string());
                }
            }
        }
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA)
            .expect("the shipped schema is valid: a unit test parses it");
        let validator = Validator::new(schema.clone());
        let result = validator.validate(&policies, ValidationMode::Strict);
        problems.extend(result.validation_errors().map(|error| {
            PolicyProblem {
                place: places
                    .remove::<str>(error.policy_id().as_ref())
                    .unwrap_or_else(|| error.policy_id().to_string()),
                problem: error.to_string(),
            }
        }));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { policies, schema, authorizer: Authorizer::new() })
    }
}
