//! Typed data as policy sees it.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityAttrEvaluationError, EntityUid, RestrictedExpression};

use super::Hex;
use crate::{
    payload::eip712::{Domain, Permit, TypedData},
    policy::{
        asked::Asked,
        attributes::Attributes,
        subject::{Type, uid},
    },
};

pub(super) fn attributes<'a>(data: &TypedData, seen: Attributes<'a>) -> Attributes<'a> {
    let TypedData { digest: _, domain, primary_type, encode_type, fields: _, permit } = data;
    seen.record("domain", |seen| self::domain(domain, seen))
        .text("primary_type", primary_type)
        .text("encode_type", encode_type)
        .value("fields", |_| Some(RestrictedExpression::new_entity_uid(fields_uid())))
        .some_record("permit", permit.as_ref(), self::permit)
}

/// Whether anything asks what the fields are.
pub(super) fn asks_for_fields(asked: &Asked) -> bool {
    asked.part("typed_data").and_then(|data| data.part("fields")).is_some()
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

fn domain<'a>(domain: &Domain, seen: Attributes<'a>) -> Attributes<'a> {
    let Domain { name, version, chain_id, verifying_contract, salt } = domain;
    seen.some_text("name", name.as_deref())
        .some_text("version", version.as_deref())
        .some_long("chain_id", *chain_id)
        .some_text("verifying_contract", *verifying_contract)
        .some_text("salt", salt.as_ref().map(|salt| Hex(salt)))
}

fn permit<'a>(permit: &Permit, seen: Attributes<'a>) -> Attributes<'a> {
    let Permit { owner, spender, value, nonce, deadline } = permit;
    seen.text("owner", owner)
        .text("spender", spender)
        .text("value", value)
        .text("nonce", nonce)
        .some_long("deadline", u64::try_from(*deadline).ok())
}
