//! What policy sees besides caller and share: the moment, what protects secret
//! memory, and what the payload says.
//!
//! The schema (`countersign.cedarschema`) documents every attribute; in debug builds,
//! and so in every test, each request is held against it, and a unit test compares
//! the two name by name.

mod evm;
mod solana;
mod time;
mod typed_data;

use std::fmt;

use cedar_policy::{Context, Entity};

use super::{Denied, amount::AmountLimits, asked::Asked, attributes::Attributes};
use crate::{
    memory::Level,
    payload::{Payload, eip191::PersonalMessage},
};

pub(super) use time::{Moment, WEEKDAYS};

/// How many bytes of a message policy sees.
const PREFIX: usize = 32;

/// The context of one decision, and the entities that only it has.
pub(super) struct Seen {
    pub(super) context: Context,
    pub(super) entities: Vec<Entity>,
}

/// What every decision knows, and what this payload says, as far as it is asked for.
///
/// # Errors
/// Never with the attributes made here, which are plain values.
pub(super) fn of(
    asked: &Asked,
    moment: Moment,
    protection: Level,
    payload: Option<&Payload>,
    limits: &AmountLimits,
) -> Result<Seen, Denied> {
    let situation = Attributes::new(asked)
        .record("time", |time| moment.attributes(time))
        .text("protection", protection.as_str());
    let attributes = match payload {
        None => situation,
        Some(payload) => {
            said(payload, limits, situation.text("payload_kind", payload.kind().as_str()))
        }
    };
    let context = Context::from_pairs(attributes.into_pairs()).map_err(|_| Denied::failed())?;
    let entities = match payload {
        Some(Payload::Eip712(data)) if typed_data::asks_for_fields(asked) => {
            vec![typed_data::fields(data).map_err(|_| Denied::failed())?]
        }
        _ => Vec::new(),
    };
    Ok(Seen { context, entities })
}

fn said<'a>(payload: &Payload, limits: &AmountLimits, situation: Attributes<'a>) -> Attributes<'a> {
    if let Payload::Digest(_) = payload {
        return situation;
    }
    let situation = situation.texts("within", limits.within(payload));
    match payload {
        Payload::Digest(_) => situation,
        Payload::Message(message) => {
            situation.record("message", |seen| self::message(message, seen))
        }
        Payload::Eip191(message) => situation.record("eip191", |seen| personal(message, seen)),
        Payload::EvmTransaction(transaction) => {
            situation.record("transaction", |seen| evm::attributes(transaction, seen))
        }
        Payload::Eip712(data) => {
            situation.record("typed_data", |seen| typed_data::attributes(data, seen))
        }
        Payload::SolanaMessage(message) => {
            situation.record("solana", |seen| solana::attributes(message, seen))
        }
    }
}

fn message<'a>(message: &[u8], seen: Attributes<'a>) -> Attributes<'a> {
    let prefix = message.get(..PREFIX).unwrap_or(message);
    seen.long("length", message.len()).text("prefix", Hex(prefix))
}

fn personal<'a>(message: &PersonalMessage, seen: Attributes<'a>) -> Attributes<'a> {
    seen.long("length", message.message().len()).some_text("text", message.text())
}

/// Bytes as policies write them: `0x`, and digits of lower case.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&alloy_primitives::hex::encode_prefixed(self.0))
    }
}
