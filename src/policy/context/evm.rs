//! An Ethereum transaction as policy sees it.

use super::hex;
use crate::{
    payload::evm::{Authorization, EvmTransaction, TokenCall},
    policy::attributes::Attributes,
};
use alloy_primitives::Address;

pub(super) fn attributes(transaction: &EvmTransaction) -> Attributes {
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
    let call = call.as_ref().zip(*to).map(|(call, token)| self::call(call, &token));
    let delegates = authorizations.iter().map(|authorization| text(&authorization.address));
    Attributes::default()
        .text("type", kind.as_str())
        .long("chain_id", *chain_id)
        .long("nonce", *nonce)
        .long("gas_limit", *gas_limit)
        .long("max_fee_per_gas", fees.max_fee_per_gas)
        .some_long("max_priority_fee_per_gas", fees.max_priority_fee_per_gas)
        .some_long("max_fee_per_blob_gas", fees.max_fee_per_blob_gas)
        .some_text("to", to.as_ref().map(text))
        .flag("creates", to.is_none())
        .text("value", value.to_string())
        .long("data_length", *data_length)
        .some_text("selector", selector.map(|selector| hex(&selector)))
        .some_record("call", call)
        .texts("access_list", access_list.iter().map(text))
        .records("authorizations", authorizations.iter().map(authorization))
        .texts("delegates", delegates)
        .long("blobs", *blobs)
}

fn call(call: &TokenCall, token: &Address) -> Attributes {
    let TokenCall { function, sender, recipient, spender, amount, approved } = call;
    Attributes::default()
        .text("function", *function)
        .text("token", text(token))
        .some_text("sender", sender.as_ref().map(text))
        .some_text("recipient", recipient.as_ref().map(text))
        .some_text("spender", spender.as_ref().map(text))
        .some_text("amount", amount.map(|amount| amount.to_string()))
        .some_flag("approved", *approved)
}

fn authorization(authorization: &Authorization) -> Attributes {
    let Authorization { chain_id, address, nonce } = authorization;
    Attributes::default()
        .long("chain_id", *chain_id)
        .text("address", text(address))
        .long("nonce", *nonce)
}

/// EIP-55.
pub(super) fn text(address: &Address) -> String {
    address.to_checksum(None)
}
