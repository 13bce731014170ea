//! Typed data as policy sees it.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityAttrEvaluationError, EntityUid, RestrictedExpression};

use super::{evm::text, hex};
use crate::{
    payload::eip712::{Domain, Permit, TypedData},
    policy::{
        attributes::Attributes,
        subject::{Type, uid},
    },
};

pub(super) fn attributes(data: &TypedData) -> Attributes {
    let TypedData { digest: _, domain, primary_type, encode_type, fields: _, permit } = data;
    Attributes::default()
        .record("domain", self::domain(domain))
        .text("primary_type", &**primary_type)
        .text("encode_type", &**encode_type)
        .value("fields", RestrictedExpression::new_entity_uid(fields_uid()))
        .some_record("permit", permit.as_ref().map(self::permit))
}

/// The leaves of the message: tags, because their names are the payload's.
pub(super) fn fields(data: &TypedData) -> Result<Entity, EntityAttrEvaluationError> {
    let tags = data
        .fields
        .iter()
        .map(|(path, value)| (path.clone(), RestrictedExpression::new_string(value.clone())));
    Entity::new_with_tags(fields_uid(), HashMap::new(), HashSet::new(), tags)
}

fn fields_uid() -> EntityUid {
    uid(Type::Fields, "message")
}

fn domain(domain: &Domain) -> Attributes {
    let Domain { name, version, chain_id, verifying_contract, salt } = domain;
    Attributes::default()
        .some_text("name", name.as_deref())
        .some_text("version", version.as_deref())
        .some_long("chain_id", *chain_id)
        .some_text("verifying_contract", verifying_contract.as_ref().map(text))
        .some_text("salt", salt.map(|salt| hex(&salt)))
}

fn permit(permit: &Permit) -> Attributes {
    let Permit { owner, spender, value, nonce, deadline } = permit;
    Attributes::default()
        .text("owner", text(owner))
        .text("spender", text(spender))
        .text("value", value.to_string())
        .text("nonce", nonce.to_string())
        .some_long("deadline", u64::try_from(*deadline).ok())
}
