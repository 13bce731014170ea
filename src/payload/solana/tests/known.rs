//! What is read from messages of other libraries; the flags of accounts and the
//! numbers are those that these libraries print for them.

use super::{
    Transfer, TransferProgram, Version, account, decode, lamports,
    messages::{ASSIGN, CHECKED, LEGACY, LOOKUP, SIGNERS, SYSTEM, TOKEN, TRANSFER, V0},
};
use crate::payload::solana::{Address, SolanaMessage, program};

/// Address, whether it signs, whether it is written to.
fn flags(message: &SolanaMessage) -> Vec<(Address, bool, bool)> {
    message
        .accounts
        .iter()
        .map(|account| (account.address, account.signer, account.writable))
        .collect()
}

#[test]
fn a_transfer() {
    let message = decode(TRANSFER);
    assert_eq!((message.version, message.version.as_str()), (Version::Legacy, "legacy"));
    assert_eq!(message.fee_payer, account(1));
    assert_eq!(message.fee_payer.to_string(), "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi");
    let expected =
        [(account(1), true, true), (account(2), false, true), (program::SYSTEM, false, false)];
    assert_eq!(flags(&message), expected);
    assert_eq!(message.programs, [program::SYSTEM]);
    assert_eq!(message.lookup_tables, []);
    assert_eq!(message.transfers, [lamports(1, 2, 1, 1_000_000_000)]);
    assert_eq!((message.compute_unit_limit, message.compute_unit_price), (None, None));
    assert!(message.fully_decoded && !message.durable_nonce);
    assert_eq!(message.lamports(), Some(1_000_000_000));
    assert_eq!(message.tokens(&account(4)), Some(0));
}

#[test]
fn a_checked_token_transfer() {
    let message = decode(CHECKED);
    assert_eq!((message.version, message.version.as_str()), (Version::V0, "0"));
    let programs = [program::COMPUTE_BUDGET, program::TOKEN, program::MEMO[1]];
    assert_eq!(message.programs, programs);
    let transfer = Transfer {
        program: TransferProgram::Token,
        source: Some(account(3)),
        destination: Some(account(5)),
        authority: Some(account(1)),
        mint: Some(account(4)),
        amount: 2_500_000,
    };
    assert_eq!(message.transfers, [transfer]);
    assert_eq!(message.compute_unit_limit, Some(200_000));
    assert_eq!(message.compute_unit_price, Some(5_000));
    assert!(message.fully_decoded);
    assert_eq!(message.lamports(), Some(0));
    assert_eq!(message.tokens(&account(4)), Some(2_500_000));
    assert_eq!(message.tokens(&account(5)), Some(0));
}

#[test]
fn accounts_of_look_up_tables() {
    let message = decode(LOOKUP);
    assert_eq!(message.lookup_tables, [account(20)]);
    let paid = Transfer { destination: None, ..lamports(1, 2, 1, 7) };
    let moved = Transfer {
        program: TransferProgram::Token2022,
        source: Some(account(3)),
        destination: None,
        authority: Some(account(1)),
        mint: Some(account(4)),
        amount: 8,
    };
    assert_eq!(message.transfers, [paid, moved]);
    assert!(message.fully_decoded);
    assert_eq!(message.lamports(), Some(7));
    assert_eq!(message.tokens(&account(4)), Some(8));
}

#[test]
fn every_system_instruction_that_is_known() {
    let message = decode(SYSTEM);
    let transfers = [
        lamports(1, 7, 1, 100),
        lamports(1, 8, 1, 200),
        lamports(8, 2, 1, 300),
        lamports(6, 2, 10, 400),
    ];
    assert_eq!(message.transfers, transfers);
    assert!(message.durable_nonce && message.fully_decoded);
    assert_eq!(message.lamports(), Some(1000));
    let signers = message.accounts.iter().filter(|account| account.signer).count();
    assert_eq!(signers, 3);
}

#[test]
fn a_message_with_an_instruction_that_is_not_known_has_no_sums() {
    let message = decode(TOKEN);
    let moved = Transfer {
        program: TransferProgram::Token,
        source: Some(account(3)),
        destination: Some(account(5)),
        authority: Some(account(10)),
        mint: None,
        amount: 9,
    };
    assert_eq!(message.transfers, [moved]);
    assert!(!message.fully_decoded);
    assert_eq!((message.lamports(), message.tokens(&account(4))), (None, None));

    let message = decode(ASSIGN);
    assert_eq!((message.transfers.len(), message.fully_decoded), (0, false));
    assert_eq!(message.lamports(), None);
}

#[test]
fn messages_of_solders() {
    let message = decode(LEGACY);
    assert_eq!(message.transfers, [lamports(1, 2, 1, 5)]);
    assert_eq!((message.compute_unit_limit, message.compute_unit_price), (Some(1000), Some(42)));
    assert_eq!(message.programs, [program::COMPUTE_BUDGET, program::SYSTEM]);

    let message = decode(V0);
    assert_eq!(message.version, Version::V0);
    assert_eq!(message.transfers, [lamports(1, 2, 1, 5)]);

    let message = decode(SIGNERS);
    let expected = [
        (account(1), true, true),
        (account(14), true, false),
        (account(2), false, true),
        (account(15), false, true),
        (program::SYSTEM, false, false),
        (account(13), false, false),
        (account(16), false, false),
    ];
    assert_eq!(flags(&message), expected);
    assert_eq!(message.programs, [account(13), program::SYSTEM]);
    assert!(!message.fully_decoded);
}
