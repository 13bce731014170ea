//! Slices: the policies in scope of one caller, one subject and one action, and what
//! they are known to decide.
//!
//! Where none of them asks for more of a request than what caller, subject and kind of
//! payload settle, every request of a kind has the same answer, and the first answer is
//! the answer. Where one asks for the time or for what a payload says, each request is
//! put to Cedar. What is remembered goes with the set of policies it came from.

use std::sync::OnceLock;

use cedar_policy::PolicySet;

use super::{Decided, Denied, asked::Asked};
use crate::payload::PayloadKind;

/// What of a context does not differ between two requests with payloads of one kind.
const SETTLED: [&str; 2] = ["payload_kind", "protection"];

/// The policies in scope.
pub(super) struct Slice {
    /// Their conditions: their scopes match.
    pub(super) policies: PolicySet,
    /// What they ask of a context.
    pub(super) asked: Asked,
    /// By the kind of the payload; the last one is for requests without. None where
    /// requests differ.
    answers: Option<[OnceLock<Answer>; PayloadKind::ALL.len() + 1]>,
}

type Answer = Result<Decided, Denied>;

impl Slice {
    pub(super) fn new(policies: PolicySet) -> Self {
        let asked = Asked::by(&policies);
        let answers = asked.is_only(&SETTLED).then_some([const { OnceLock::new() }; _]);
        Self { policies, asked, answers }
    }

    /// The answer for a request with a payload of this kind: the known one, or what
    /// `decide` finds.
    pub(super) fn answer(
        &self,
        kind: Option<PayloadKind>,
        decide: impl FnOnce() -> Answer,
    ) -> Answer {
        let place = kind.map_or(PayloadKind::ALL.len(), |kind| kind as usize);
        match self.answers.as_ref().and_then(|answers| answers.get(place)) {
            Some(known) => known.get_or_init(decide).clone(),
            None => decide(),
        }
    }
}
