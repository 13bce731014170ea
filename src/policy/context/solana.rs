//! A Solana message as policy sees it.

use crate::{
    payload::solana::{Account, SolanaMessage, Transfer},
    policy::attributes::Attributes,
};

/// The recipient that a look-up table names.
const UNKNOWN: &str = "unknown";

pub(super) fn attributes(message: &SolanaMessage) -> Attributes {
    let accounts = |wanted: fn(&Account) -> bool| {
        let accounts = message.accounts.iter().filter(move |account| wanted(account));
        accounts.map(|account| account.address.to_string())
    };
    // One that a look-up table names must not look like none.
    let recipients = message.transfers.iter().map(|transfer| {
        let destination = transfer.destination.as_ref();
        destination.map_or_else(|| UNKNOWN.to_owned(), ToString::to_string)
    });
    Attributes::default()
        .text("version", message.version.as_str())
        .text("fee_payer", message.fee_payer.to_string())
        .texts("programs", message.programs.iter().map(ToString::to_string))
        .texts("accounts", accounts(|_| true))
        .texts("signers", accounts(|account| account.signer))
        .texts("writable", accounts(|account| account.writable))
        .texts("lookup_tables", message.lookup_tables.iter().map(ToString::to_string))
        .records("transfers", message.transfers.iter().map(transfer))
        .texts("recipients", recipients)
        .flag("fully_decoded", message.fully_decoded)
        .some_long("compute_unit_limit", message.compute_unit_limit)
        .some_long("compute_unit_price", message.compute_unit_price)
        .flag("durable_nonce", message.durable_nonce)
}

fn transfer(transfer: &Transfer) -> Attributes {
    let Transfer { program, source, destination, authority, mint, amount } = transfer;
    Attributes::default()
        .text("program", program.as_str())
        .some_text("source", source.as_ref().map(ToString::to_string))
        .some_text("destination", destination.as_ref().map(ToString::to_string))
        .some_text("authority", authority.as_ref().map(ToString::to_string))
        .some_text("mint", mint.as_ref().map(ToString::to_string))
        .text("amount", amount.to_string())
}
