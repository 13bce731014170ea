//! Messages from outside, and what each rule is for.

mod instructions;
mod known;
mod messages;
mod refusals;

use solana_message::{AccountMeta, Hash, Instruction, VersionedMessage, legacy, v0};

use super::{Address, SolanaMessage, Transfer, TransferProgram, Undecodable, Version};

/// The address of one byte 32 times.
fn account(byte: u8) -> Address {
    Address::new_from_array([byte; 32])
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    hex::decode(hexadecimal).unwrap()
}

fn decode(hexadecimal: &str) -> SolanaMessage {
    SolanaMessage::decode(&bytes(hexadecimal)).unwrap()
}

/// A legacy message that 1 pays, as the library of validators encodes it.
fn message(instructions: &[Instruction]) -> Vec<u8> {
    let blockhash = Hash::new_from_array([9; 32]);
    let message = legacy::Message::new_with_blockhash(instructions, Some(&account(1)), &blockhash);
    VersionedMessage::Legacy(message).serialize()
}

/// An instruction with the accounts `0x50`, `0x51`, …, that all sign.
fn instruction(program: Address, accounts: usize, data: &[u8]) -> Instruction {
    let accounts = (0x50..).take(accounts).map(|byte| AccountMeta::new(account(byte), true));
    Instruction { program_id: program, accounts: accounts.collect(), data: data.to_vec() }
}

fn lamports(from: u8, to: u8, authority: u8, amount: u64) -> Transfer {
    Transfer {
        program: TransferProgram::System,
        source: Some(account(from)),
        destination: Some(account(to)),
        authority: Some(account(authority)),
        mint: None,
        amount,
    }
}

#[track_caller]
fn refused(message: &[u8], rule: &str) {
    match SolanaMessage::decode(message) {
        Ok(decoded) => panic!("taken, and not refused for {rule:?}: {decoded:?}"),
        Err(Undecodable(refusal)) => assert!(refusal.contains(rule), "{refusal}"),
    }
}
