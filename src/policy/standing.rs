//! Standing: what holds between one caller and one subject, whatever is asked. The
//! entities and the policies in scope of a share are found once and kept for as long
//! as the set of policies is in force.

use std::{
    hash::Hash,
    sync::{Arc, OnceLock},
};

use cedar_policy::{Entities, EntityUid};
use quick_cache::{Equivalent, sync::Cache};

use super::{
    Denied,
    action::ActionName,
    scope::{Scope, Scoped},
    slice::Slice,
    subject::{self, Subject, Type, uid},
    tags::Tags,
};
use crate::{caller::Caller, envelope::Identity, key::ShareId};

/// How many pairs of caller and share are remembered, at some kilobytes each.
const REMEMBERED: usize = 4096;

/// What holds between one caller and one subject.
pub(super) struct Standing {
    caller: Arc<Caller>,
    known: Option<Identity>,
    pub(super) principal: EntityUid,
    pub(super) resource: EntityUid,
    pub(super) entities: Entities,
    slices: [OnceLock<Slice>; ActionName::ALL.len()],
}

/// The standings that were asked for last.
pub(super) struct Standings(Cache<Key, Arc<Standing>>);

#[derive(PartialEq, Eq, Hash)]
struct Key(Box<str>, ShareId);

/// A [`Key`] that is asked for.
#[derive(Hash)]
struct Asked<'a>(&'a str, ShareId);

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == *key.0 && self.1 == key.1
    }
}

impl Standings {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Cache::new(REMEMBERED))
    }

    /// What holds between them; remembered where the subject is a share that exists.
    ///
    /// # Errors
    /// Never with the attributes that entities have here, which are plain values.
    pub(super) fn of(
        &self,
        caller: &Arc<Caller>,
        subject: &impl Subject,
        tags: &Tags,
    ) -> Result<Arc<Standing>, Denied> {
        let Some(share) = subject.known() else {
            return Standing::new(caller, subject, tags).map(Arc::new);
        };
        let remembered = self.0.get(&Asked(&caller.name, share.share));
        // Another caller of this name, or another record of this id, is another.
        let same = |standing: &Arc<Standing>| {
            *standing.caller == **caller && standing.known.as_ref() == Some(share)
        };
        if let Some(standing) = remembered.filter(same) {
            return Ok(standing);
        }
        let standing = Arc::new(Standing::new(caller, subject, tags)?);
        self.0.insert(Key(caller.name.clone(), share.share), Arc::clone(&standing));
        Ok(standing)
    }
}

impl Standing {
    fn new(caller: &Arc<Caller>, subject: &impl Subject, tags: &Tags) -> Result<Self, Denied> {
        let mut entities = subject::caller(caller).map_err(|_| Denied::failed())?;
        entities.extend(subject.entities(tags).map_err(|_| Denied::failed())?);
        Ok(Self {
            caller: Arc::clone(caller),
            known: subject.known().cloned(),
            principal: uid(Type::Caller, &caller.name),
            resource: subject.uid(),
            entities: Entities::from_entities(entities, None).map_err(|_| Denied::failed())?,
            slices: [const { OnceLock::new() }; ActionName::ALL.len()],
        })
    }

    /// The policies of `all` whose scope matches. Always of the same `all`: a standing
    /// belongs to one set of policies.
    pub(super) fn slice(&self, all: &Scoped, action: ActionName) -> &Slice {
        let slice = || {
            let Self { principal, resource, entities, .. } = self;
            let scope = Scope { principal, action: &action.uid(), resource, entities };
            Slice::new(scope.slice(all))
        };
        let [first, ..] = &self.slices;
        self.slices.get(action as usize).unwrap_or(first).get_or_init(slice)
    }
}
