//! `[[amount_limit]]`: limits on amounts, which policies name.

use alloy_primitives::{Address as EvmAddress, U256};

use super::document::Table;
use crate::{
    payload::{evm::CHAIN_ID_MAX, solana::Address as SolanaAddress},
    policy::amount::{AmountLimit, AmountLimits, Unit},
};

pub(crate) fn read(tables: Vec<Table<'_>>) -> Option<AmountLimits> {
    let mut limits: Vec<AmountLimit> = Vec::new();
    let mut whole = true;
    for table in tables {
        match limit(&table) {
            Some(limit) => {
                if limits.iter().any(|other| other.name == limit.name) {
                    let name = &limit.name;
                    table.note(format!("there is another amount limit with the name \"{name}\""));
                }
                limits.push(limit);
            }
            None => whole = false,
        }
        table.finish();
    }
    whole.then(|| limits.into_iter().collect())
}

fn limit(table: &Table<'_>) -> Option<AmountLimit> {
    let name = table.text("name", "the limit's name in policies");
    let unit = unit(table);
    let at_most = table.text("at_most", "the most that stays within, in the smallest unit");
    let at_most = at_most.and_then(|text| {
        let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        let amount = digits.then(|| U256::from_str_radix(&text, 10).ok()).flatten();
        if amount.is_none() {
            table.note("`amount_limit.at_most` is decimal digits in quotes, below 2^256");
        }
        amount
    });
    Some(AmountLimit { name: name?.into(), unit: unit?, at_most: at_most? })
}

fn unit(table: &Table<'_>) -> Option<Unit> {
    let unit = table.one_of("unit", &["wei", "wei-fee", "token", "lamports", "mint"])?;
    match unit {
        "wei" => Some(Unit::Wei { chain_id: chain_id(table)? }),
        "wei-fee" => Some(Unit::WeiFee { chain_id: chain_id(table)? }),
        "token" => {
            let chain_id = chain_id(table);
            if chain_id == Some(None) {
                table.note("`amount_limit.chain_id` is missing: the chain of the token");
            }
            let token =
                table.text("token", "the address of the token's contract, as EIP-55 writes it");
            let token = token.and_then(|text| {
                let address = EvmAddress::parse_checksummed(&text, None).ok();
                if address.is_none() {
                    table.note(
                        "`amount_limit.token` is an address as EIP-55 writes it, 0x and 40 digits",
                    );
                }
                address
            });
            Some(Unit::Token { chain_id: chain_id??, token: token? })
        }
        "lamports" => Some(Unit::Lamports),
        _ => {
            let mint = table.text("mint", "the address of the token's mint, in base58")?;
            let address = mint.parse::<SolanaAddress>().ok();
            if address.is_none() {
                table.note("`amount_limit.mint` is an address in base58, 32 bytes");
            }
            address.map(Unit::Mint)
        }
    }
}

/// None is any chain.
fn chain_id(table: &Table<'_>) -> Option<Option<u64>> {
    let what = "a chain id, 1 or more (EIP-155)";
    table.or("chain_id", what, None, |value| {
        let integer = value.as_integer()?;
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
        (1..=CHAIN_ID_MAX).contains(&number).then_some(Some(number))
    })
}
