//! An Ethereum transaction as policy sees it. Addresses are written as EIP-55 has it.

use super::Hex;
use crate::{
    payload::evm::{Authorization, EvmTransaction, TokenCall},
    policy::attributes::Attributes,
};
use alloy_primitives::Address;

pub(super) fn attributes<'a>(transaction: &EvmTransaction, seen: Attributes<'a>) -> Attributes<'a> {
    let EvmTransaction {
        // Policy sees what is signed, not what it hashes to.
        digest: _,
        kind,
        chain_id,
        nonce,
        gas_limit,
        fees,
        to,
        value,
        data_length,
        selector,
        call,
        access_list,
        authorizations,
        blobs,
    } = transaction;
    let delegates = authorizations.iter().map(|authorization| authorization.address);
    seen.text("type", kind.as_str())
        .long("chain_id", *chain_id)
        .long("nonce", *nonce)
        .long("gas_limit", *gas_limit)
        .long("max_fee_per_gas", fees.max_fee_per_gas)
        .some_long("max_priority_fee_per_gas", fees.max_priority_fee_per_gas)
        .some_long("max_fee_per_blob_gas", fees.max_fee_per_blob_gas)
        .some_text("to", *to)
        .flag("creates", to.is_none())
        .text("value", value)
        .long("data_length", *data_length)
        .some_text("selector", selector.as_ref().map(|selector| Hex(selector)))
        .some_record("call", call.as_ref().zip(*to), self::call)
        .texts("access_list", access_list)
        .records("authorizations", authorizations, authorization)
        .texts("delegates", delegates)
        .long("blobs", *blobs)
}

fn call<'a>((call, token): (&TokenCall, Address), seen: Attributes<'a>) -> Attributes<'a> {
    let TokenCall { function, sender, recipient, spender, amount, approved } = call;
    seen.text("function", *function)
        .text("token", token)
        .some_text("sender", *sender)
        .some_text("recipient", *recipient)
        .some_text("spender", *spender)
        .some_text("amount", *amount)
        .some_flag("approved", *approved)
}

fn authorization<'a>(authorization: &Authorization, seen: Attributes<'a>) -> Attributes<'a> {
    let Authorization { chain_id, address, nonce } = authorization;
    seen.long("chain_id", *chain_id).text("address", address).long("nonce", *nonce)
}
