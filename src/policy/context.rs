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

use cedar_policy::{Context, Entity};

use super::{Denied, amount::AmountLimits, attributes::Attributes};
use crate::{
    memory::Level,
    payload::{Payload, eip191::PersonalMessage},
};

pub(super) use time::Moment;

/// How many bytes of a message policy sees.
const PREFIX: usize = 32;

/// The context of one decision, and the entities that only it has.
pub(super) struct Seen {
    pub(super) context: Context,
    pub(super) entities: Vec<Entity>,
}

/// What every decision knows, and what this payload says.
///
/// # Errors
/// Never with the attributes made here, which are plain values.
pub(super) fn of(
    moment: Moment,
    protection: Level,
    payload: Option<&Payload>,
    limits: &AmountLimits,
) -> Result<Seen, Denied> {
    let situation = Attributes::default()
        .record("time", moment.attributes())
        .text("protection", protection.as_str());
    let mut entities = Vec::new();
    let attributes = match payload {
        None => situation,
        Some(payload) => {
            let situation = situation.text("payload_kind", payload.kind().as_str());
            let within = limits.within(payload).map(ToOwned::to_owned);
            match payload {
                Payload::Digest(_) => situation,
                Payload::Message(message) => {
                    situation.texts("within", within).record("message", self::message(message))
                }
                Payload::Eip191(message) => {
                    situation.texts("within", within).record("eip191", personal(message))
                }
                Payload::EvmTransaction(transaction) => situation
                    .texts("within", within)
                    .record("transaction", evm::attributes(transaction)),
                Payload::Eip712(data) => {
                    entities.push(typed_data::fields(data).map_err(|_| Denied::failed())?);
                    situation
                        .texts("within", within)
                        .record("typed_data", typed_data::attributes(data))
                }
                Payload::SolanaMessage(message) => {
                    situation.texts("within", within).record("solana", solana::attributes(message))
                }
            }
        }
    };
    let context = Context::from_pairs(attributes.into_pairs()).map_err(|_| Denied::failed())?;
    Ok(Seen { context, entities })
}

fn message(message: &[u8]) -> Attributes {
    let prefix = message.get(..PREFIX).unwrap_or(message);
    Attributes::default().long("length", message.len()).text("prefix", hex(prefix))
}

fn personal(message: &PersonalMessage) -> Attributes {
    Attributes::default().long("length", message.message().len()).some_text("text", message.text())
}

/// Bytes as policies write them.
fn hex(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode_prefixed(bytes)
}
