//! Callers, shares and environments as Cedar sees them.
//!
//! A share's attributes are those that its envelope binds; a column that a
//! database writer could change is not among them.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use cedar_policy::{
    Entity, EntityAttrEvaluationError, EntityId, EntityTypeName, EntityUid, RestrictedExpression,
};

use super::ShareSubject;
use crate::{
    caller::Caller,
    envelope::Identity,
    key::{Algorithm, Environment, ShareId, WalletId},
};

/// What an action is done to.
pub trait Subject {
    /// Its Cedar identity.
    fn uid(&self) -> EntityUid;

    /// It and what it is in.
    ///
    /// # Errors
    /// Never with the attributes used here, which are plain values.
    fn entities(&self) -> Result<Vec<Entity>, EntityAttrEvaluationError>;
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
}

impl Subject for ShareSubject {
    fn uid(&self) -> EntityUid {
        uid(Type::Share, &self.identity.share.to_string())
    }

    fn entities(&self) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
        let Identity { environment, wallet, address, algorithm, .. } = &self.identity;
        let address = address.as_ref().map(|address| ("address", address.as_str()));
        share(self.uid(), environment, wallet, *algorithm, address)
    }
}

impl Subject for NewShare {
    fn uid(&self) -> EntityUid {
        uid(Type::Share, &self.share.to_string())
    }

    fn entities(&self) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
        share(self.uid(), &self.environment, &self.wallet, self.algorithm, None)
    }
}

impl Subject for Environment {
    fn uid(&self) -> EntityUid {
        uid(Type::Environment, self.as_str())
    }

    fn entities(&self) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
        Ok(vec![Entity::new_no_attrs(self.uid(), HashSet::new())])
    }
}

/// The caller and its groups.
pub(super) fn caller(caller: &Caller) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
    let groups: HashSet<_> = caller.groups.iter().map(|group| uid(Type::Group, group)).collect();
    let mut entities: Vec<_> =
        groups.iter().map(|group| Entity::new_no_attrs(group.clone(), HashSet::new())).collect();
    let uid_of = caller.uid.map(|uid| RestrictedExpression::new_long(uid.into()));
    let spiffe_id = caller.spiffe_id.as_ref();
    let spiffe_id = spiffe_id.map(|id| RestrictedExpression::new_string(id.to_string()));
    let attributes = [("uid", uid_of), ("spiffe_id", spiffe_id)];
    let attributes: HashMap<_, _> = attributes
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    entities.push(Entity::new(uid(Type::Caller, &caller.name), attributes, groups)?);
    Ok(entities)
}

/// An entity type of the shipped schema.
#[derive(Clone, Copy)]
pub(super) enum Type {
    Action,
    Caller,
    Environment,
    Group,
    Share,
}

/// `type::"id"`.
pub(super) fn uid(entity_type: Type, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(entity_type.name().clone(), EntityId::new(id))
}

impl Type {
    /// The name, parsed once: Cedar's parser takes longer than its decision.
    fn name(self) -> &'static EntityTypeName {
        static NAMES: LazyLock<[EntityTypeName; 5]> = LazyLock::new(|| {
            ["Action", "Caller", "Environment", "Group", "Share"].map(|name| {
                name.parse().expect("the names of the schema's entity types are identifiers")
            })
        });
        let [action, caller, environment, group, share] = &*NAMES;
        match self {
            Self::Action => action,
            Self::Caller => caller,
            Self::Environment => environment,
            Self::Group => group,
            Self::Share => share,
        }
    }
}

fn share(
    share: EntityUid,
    environment: &Environment,
    wallet: &WalletId,
    algorithm: Algorithm,
    address: Option<(&str, &str)>,
) -> Result<Vec<Entity>, EntityAttrEvaluationError> {
    let attributes =
        [("wallet", wallet.as_str()), ("algorithm", algorithm.as_str()), ("binding", "derived")];
    let attributes = attributes
        .into_iter()
        .chain(address)
        .map(|(name, value)| {
            let value = RestrictedExpression::new_string(value.to_owned());
            (name.to_owned(), value)
        })
        .collect();
    let parents = HashSet::from([environment.uid()]);
    let mut entities = environment.entities()?;
    entities.push(Entity::new(share, attributes, parents)?);
    Ok(entities)
}
