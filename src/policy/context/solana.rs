//! A Solana message as policy sees it.

use crate::{
    payload::solana::{Account, Address, SolanaMessage, Transfer, TransferProgram},
    policy::attributes::Attributes,
};

/// A recipient or mint that a look-up table names, a mint that an instruction does not.
const UNKNOWN: &str = "unknown";

pub(super) fn attributes<'a>(message: &SolanaMessage, seen: Attributes<'a>) -> Attributes<'a> {
    let accounts = |wanted: fn(&Account) -> bool| {
        let accounts = message.accounts.iter().filter(move |account| wanted(account));
        accounts.map(|account| &account.address)
    };
    // One that is not known must not look like none.
    let known = |address: &Option<Address>| {
        address.as_ref().map_or_else(|| UNKNOWN.to_owned(), ToString::to_string)
    };
    let recipients = message.transfers.iter().map(|transfer| known(&transfer.destination));
    let tokens = message.transfers.iter().filter(|one| one.program != TransferProgram::System);
    seen.text("version", message.version.as_str())
        .text("fee_payer", message.fee_payer)
        .texts("programs", &message.programs)
        .texts("accounts", accounts(|_| true))
        .texts("signers", accounts(|account| account.signer))
        .texts("writable", accounts(|account| account.writable))
        .texts("lookup_tables", &message.lookup_tables)
        .records("transfers", &message.transfers, transfer)
        .texts("recipients", recipients)
        .texts("mints", tokens.map(|transfer| known(&transfer.mint)))
        .flag("fully_decoded", message.fully_decoded)
        .some_long("compute_unit_limit", message.compute_unit_limit)
        .some_long("compute_unit_price", message.compute_unit_price)
        .flag("durable_nonce", message.durable_nonce)
}

fn transfer<'a>(transfer: &Transfer, seen: Attributes<'a>) -> Attributes<'a> {
    let Transfer { program, source, destination, authority, mint, amount } = transfer;
    seen.text("program", program.as_str())
        .some_text("source", source.as_ref())
        .some_text("destination", destination.as_ref())
        .some_text("authority", authority.as_ref())
        .some_text("mint", mint.as_ref())
        .text("amount", amount)
}
