//! From texts to one validated set.

use std::collections::HashMap;

use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode,
    ValidationWarning, Validator,
};
use miette::Diagnostic;

use super::{
    PolicyProblem,
    place::{File, Place, message},
};
use crate::policy::{ActionName, StreamLimits, literal, scope, word};

/// The annotations that are read. Others are the author's own, unless they look like
/// one of these: a limit that is misspelt limits nothing.
const ANNOTATIONS: [&str; 5] = ["id", "reason", "max_idle", "max_lifetime", "max_operations"];

/// What was read so far.
#[derive(Default)]
pub(super) struct Reader<'a> {
    policies: PolicySet,
    /// By id.
    places: HashMap<String, Place<'a>>,
    problems: Vec<PolicyProblem>,
}

impl<'a> Reader<'a> {
    pub(super) fn file(&mut self, name: &'a str, source: &'a str) {
        let file = File { name, source };
        let parsed = match source.parse::<PolicySet>() {
            Ok(parsed) => parsed,
            Err(errors) => {
                for error in errors.iter() {
                    self.problem(file.of(error), format!("is not Cedar: {}", message(error)));
                }
                return;
            }
        };
        if parsed.templates().next().is_some() {
            self.problem(name.to_owned(), "holds a template: write policies");
        }
        let mut policies: Vec<_> =
            parsed.policies().map(|policy| (file.place(policy), policy)).collect();
        policies.sort_by_key(|(place, _)| place.start());
        for (place, policy) in policies {
            self.policy(place, policy);
        }
    }

    fn policy(&mut self, place: Place<'a>, policy: &Policy) {
        let whole = place.whole();
        for misspelt in literal::misspelt(policy).into_iter().chain(word::unknown(policy)) {
            self.problem(whole.clone(), misspelt);
        }
        if policy.annotation("reason").is_some_and(str::is_empty) {
            self.problem(whole.clone(), "has an empty @reason: say why, or leave it out");
        }
        for (name, _) in policy.annotations() {
            let near = |known: &&&str| strsim::damerau_levenshtein(known, name) <= 2;
            if let Some(known) = ANNOTATIONS.iter().find(near).filter(|known| **known != name) {
                let misspelt = format!("has an annotation @{name}: did you mean @{known}?");
                self.problem(whole.clone(), misspelt);
            }
        }
        match StreamLimits::of(policy) {
            Err(wrong) => self.problem(whole.clone(), wrong),
            Ok(limits) if limits == StreamLimits::default() || permits_streams(policy) => {}
            Ok(_) => self.problem(
                whole.clone(),
                "has a limit for streams and permits none: put it on a policy that permits UseShare",
            ),
        }
        // What has no name of its own is validated under that of its place.
        let id = match place.id() {
            None => {
                self.problem(whole.clone(), "has no @id(\"…\"): name every policy");
                whole
            }
            Some(id) if self.places.contains_key(id) => {
                self.problem(whole.clone(), "has an @id that is taken: make it unique");
                whole
            }
            Some(id) => id.to_owned(),
        };
        if let Err(error) = self.policies.add(policy.new_id(PolicyId::new(&id))) {
            self.problem(place.whole(), error.to_string());
        }
        self.places.insert(id, place);
    }

    /// The set, and what is valid and probably not meant.
    ///
    /// # Errors
    /// Every problem that was found.
    pub(super) fn validated(
        mut self,
        schema: Schema,
    ) -> Result<(PolicySet, Vec<PolicyProblem>), Vec<PolicyProblem>> {
        let result = Validator::new(schema).validate(&self.policies, ValidationMode::Strict);
        let errors: Vec<_> = result.validation_errors().map(|error| self.at(error)).collect();
        let warnings = result.validation_warnings().map(|warning| self.at(warning)).collect();
        self.problems.extend(errors);
        if self.problems.is_empty() { Ok((self.policies, warnings)) } else { Err(self.problems) }
    }

    fn at(&self, found: &impl Found) -> PolicyProblem {
        let id = found.policy_id();
        let place = self.places.get::<str>(id.as_ref());
        let place = place.map_or_else(|| id.to_string(), |place| place.of(found));
        let problem = message(found);
        // The place says it.
        let named = format!("for policy `{id}`, ");
        let problem = problem.strip_prefix(&named).unwrap_or(&problem).to_owned();
        PolicyProblem { place, problem }
    }

    fn problem(&mut self, place: String, problem: impl Into<String>) {
        self.problems.push(PolicyProblem { place, problem: problem.into() });
    }
}

fn permits_streams(policy: &Policy) -> bool {
    policy.effect() == Effect::Permit && scope::covers(policy, &ActionName::UseShare.uid())
}

/// What the validator finds.
trait Found: Diagnostic {
    fn policy_id(&self) -> &PolicyId;
}

impl Found for ValidationError {
    fn policy_id(&self) -> &PolicyId {
        self.policy_id()
    }
}

impl Found for ValidationWarning {
    fn policy_id(&self) -> &PolicyId {
        self.policy_id()
    }
}
