//! Callers, shares and environments as Cedar sees them.
//!
//! A share's attributes are those that its envelope binds, and its tags those of the
//! configuration; a column that a database writer could change is not among them.

use std::{collections::HashSet, sync::LazyLock};

use cedar_policy::{
    Entity, EntityAttrEvaluationError, EntityId, EntityTypeName, EntityUid, RestrictedExpression,
};

use super::{ShareSubject, asked::Asked, attributes::Attributes, tags::Tags};
use crate::{
    caller::Caller,
    envelope::Identity,
    key::{Algorithm, Binding, Environment, ShareId, WalletId},
};

/// What an action is done to.
pub trait Subject {
    /// Its Cedar identity.
    fn uid(&self) -> EntityUid;

    /// It and what it is in.
    ///
    /// # Errors
    /// Never with the attributes used here, which are plain values.
    fn entities(&self, tags: &Tags) -> Result<Vec<Entity>, EntityAttrEvaluationError>;

    /// The wallet, where it belongs to one.
    fn wallet(&self) -> Option<&WalletId> {
        self.known().map(|identity| &identity.wallet)
    }

    /// The share that exists already, whose entities are worth keeping.
    fn known(&self) -> Option<&Identity> {
        None
    }
}

/// A share that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShare {
    /// The environment it will be sealed for.
    pub environment: Environment,
    /// The wallet it will belong to.
    pub wallet: WalletId,
    /// Its id.
    pub share: ShareId,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// How its public key will be known.
    pub binding: Binding,
}

impl Subject for ShareSubject {
    fn uid(&self) -> EntityUid {
        self.identity.uid()
    }

    fn entities(&self, tags: &Tags) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
        self.identity.entities(tags)
    }

    fn known(&self) -> Option<&Identity> {
        Some(&self.identity)
    }
}

/// All that policy sees of a share.
impl Subject for Identity {
    fn uid(&self) -> EntityUid {
        uid(Type::Share, &self.share.to_string())
    }

    fn entities(&self, tags: &Tags) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
        let Self { environment, wallet, share, address, algorithm, binding, .. } = self;
        let address = address.as_ref().map(|address| address.as_str());
        let (kind, tags) = ((*algorithm, *binding), tags.of(wallet, *share));
        entities(self.uid(), environment, wallet, kind, address, tags)
    }

    fn known(&self) -> Option<&Identity> {
        Some(self)
    }
}

impl Subject for NewShare {
    fn uid(&self) -> EntityUid {
        uid(Type::Share, &self.share.to_string())
    }

    fn entities(&self, tags: &Tags) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
        let Self { environment, wallet, share, algorithm, binding } = self;
        let (kind, tags) = ((*algorithm, *binding), tags.of(wallet, *share));
        entities(self.uid(), environment, wallet, kind, None, tags)
    }

    fn wallet(&self) -> Option<&WalletId> {
        Some(&self.wallet)
    }
}

impl Subject for Environment {
    fn uid(&self) -> EntityUid {
        uid(Type::Environment, self.as_str())
    }

    fn entities(&self, _: &Tags) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
        Ok(vec![environment(self)])
    }
}

/// The caller and its groups.
pub(super) fn caller(caller: &Caller) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
    let groups: HashSet<_> = caller.groups.iter().map(|group| uid(Type::Group, group)).collect();
    let mut entities: Vec<_> =
        groups.iter().map(|group| Entity::new_no_attrs(group.clone(), HashSet::new())).collect();
    let attributes = Attributes::new(&Asked::All)
        .some_long("uid", caller.uid)
        .some_text("spiffe_id", caller.spiffe_id.as_ref());
    let attributes = attributes.into_pairs().into_iter().collect();
    entities.push(Entity::new(uid(Type::Caller, &caller.name), attributes, groups)?);
    Ok(entities)
}

/// An entity type of the shipped schema.
#[derive(Clone, Copy)]
pub(super) enum Type {
    Action,
    Caller,
    Environment,
    Fields,
    Group,
    Share,
}

/// `type::"id"`.
pub(super) fn uid(entity_type: Type, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(entity_type.name().clone(), EntityId::new(id))
}

impl Type {
    /// The name, parsed once: Cedar's parser takes longer than its decision.
    pub(super) fn name(self) -> &'static EntityTypeName {
        static NAMES: LazyLock<[EntityTypeName; 6]> = LazyLock::new(|| {
            ["Action", "Caller", "Environment", "Fields", "Group", "Share"].map(|name| {
                name.parse().expect("the names of the schema's entity types are identifiers")
            })
        });
        let [action, caller, environment, fields, group, share] = &*NAMES;
        match self {
            Self::Action => action,
            Self::Caller => caller,
            Self::Environment => environment,
            Self::Fields => fields,
            Self::Group => group,
            Self::Share => share,
        }
    }
}

fn environment(environment: &Environment) -> Entity {
    Entity::new_no_attrs(environment.uid(), HashSet::new())
}

fn entities<'t>(
    share: EntityUid,
    environment: &Environment,
    wallet: &WalletId,
    (algorithm, binding): (Algorithm, Binding),
    address: Option<&str>,
    tags: impl Iterator<Item = (&'t str, &'t str)>,
) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
    let attributes = Attributes::new(&Asked::All)
        .text("wallet", wallet.as_str())
        .text("environment", environment.as_str())
        .text("algorithm", algorithm.as_str())
        .some_text("address", address)
        .text("binding", binding.as_str());
    let tags = tags
        .map(|(name, value)| (name.to_owned(), RestrictedExpression::new_string(value.to_owned())));
    let parents = HashSet::from([environment.uid()]);
    let share = Entity::new_with_tags(share, attributes.into_pairs(), parents, tags)?;
    Ok(vec![self::environment(environment), share])
}
