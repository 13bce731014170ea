//! Which instructions are known, and that they are known in one length only.

use solana_message::Instruction;

use super::{account, instruction, message, refused};
use crate::payload::solana::{Address, SolanaMessage, program};

fn decode(instructions: &[Instruction]) -> SolanaMessage {
    SolanaMessage::decode(&message(instructions)).unwrap()
}

/// Data of a system instruction: its number, and the fields.
fn system(number: u32, fields: &[&[u8]]) -> Vec<u8> {
    [&number.to_le_bytes()[..], &fields.concat()].concat()
}

/// Program, how many accounts it needs, data.
fn known() -> Vec<(Address, usize, Vec<u8>)> {
    let (amount, space, key) = (&[7, 0, 0, 0, 0, 0, 0, 0], &[1; 8], &[2; 32]);
    let seed = &[3, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', b'c'];
    let unseeded = &[0; 8];
    vec![
        (program::SYSTEM, 2, system(0, &[amount, space, key])),
        (program::SYSTEM, 2, system(2, &[amount])),
        (program::SYSTEM, 2, system(3, &[key, seed, amount, space, key])),
        (program::SYSTEM, 2, system(3, &[key, unseeded, amount, space, key])),
        (program::SYSTEM, 0, system(4, &[])),
        (program::SYSTEM, 5, system(5, &[amount])),
        (program::SYSTEM, 3, system(11, &[amount, seed, key])),
        (program::TOKEN, 3, [&[3][..], amount].concat()),
        (program::TOKEN_2022, 3, [&[3][..], amount].concat()),
        (program::TOKEN, 4, [&[12][..], amount, &[6]].concat()),
        (program::TOKEN_2022, 4, [&[12][..], amount, &[6]].concat()),
        (program::TOKEN_2022, 4, [&[26, 1][..], amount, &[6], &[1; 8]].concat()),
        (program::COMPUTE_BUDGET, 0, vec![1, 0, 0, 1, 0]),
        (program::COMPUTE_BUDGET, 0, vec![2, 0, 0, 1, 0]),
        (program::COMPUTE_BUDGET, 0, vec![3, 0, 0, 1, 0, 0, 0, 0, 0]),
        (program::COMPUTE_BUDGET, 0, vec![4, 0, 0, 1, 0]),
    ]
}

#[test]
fn data_of_another_length_is_not_known() {
    for (program, accounts, data) in known() {
        let decoded = |data: &[u8]| decode(&[instruction(program, accounts, data)]);
        let exact = decoded(&data);
        assert!(exact.fully_decoded, "{program} {data:?}");
        assert!(exact.transfers.iter().all(|transfer| transfer.amount == 7));
        for length in 0..data.len() {
            let shorter = decoded(&data[..length]);
            assert!(!shorter.fully_decoded, "{program} {:?}", &data[..length]);
            assert_eq!((shorter.transfers.len(), shorter.lamports()), (0, None));
        }
        let longer = decoded(&[&data[..], &[0]].concat());
        assert!(!longer.fully_decoded, "{program} {data:?}");
        assert_eq!((longer.transfers.len(), longer.lamports()), (0, None));
    }
}

#[test]
fn an_instruction_without_its_accounts_is_not_known() {
    for (program, accounts, data) in known() {
        if let Some(fewer) = accounts.checked_sub(1) {
            let decoded = decode(&[instruction(program, fewer, &data)]);
            assert!(!decoded.fully_decoded && decoded.transfers.is_empty(), "{program} {data:?}");
        }
        // More are for the signers of a multisig, and for hooks.
        assert!(decode(&[instruction(program, accounts + 2, &data)]).fully_decoded);
    }
}

#[test]
fn other_instructions_are_not_known() {
    for number in (0..=u8::MAX).filter(|number| ![3, 12].contains(number)) {
        for program in [program::TOKEN, program::TOKEN_2022] {
            for length in [1, 2, 9, 10] {
                let data = [&[number][..], &[0; 9]].concat();
                let decoded = decode(&[instruction(program, 4, &data[..length])]);
                assert!(!decoded.fully_decoded && decoded.transfers.is_empty(), "{number}");
            }
        }
    }
    for number in (0..=64).filter(|number| ![0, 2, 3, 4, 5, 11].contains(number)) {
        for length in [4, 12, 36, 44, 52, 53] {
            let data = system(number, &[&[0; 49]]);
            let decoded = decode(&[instruction(program::SYSTEM, 5, &data[..length])]);
            assert!(!decoded.fully_decoded && decoded.transfers.is_empty(), "{number}");
        }
    }
    for number in (0..=u8::MAX).filter(|number| !(1..=4).contains(number)) {
        let decoded = decode(&[instruction(program::COMPUTE_BUDGET, 0, &[number, 0, 0, 0, 0])]);
        assert!(!decoded.fully_decoded, "{number}");
    }
    let other = decode(&[instruction(account(0x40), 2, &system(2, &[&[7; 8]]))]);
    assert!(!other.fully_decoded && other.transfers.is_empty());
}

#[test]
fn a_transfer_with_a_fee_is_token_2022s() {
    let data = [26, 1, 7, 0, 0, 0, 0, 0, 0, 0, 6, 1, 0, 0, 0, 0, 0, 0, 0];
    let decoded = decode(&[instruction(program::TOKEN_2022, 4, &data)]);
    let [transfer] = &decoded.transfers[..] else { panic!("{decoded:?}") };
    assert_eq!(decoded.tokens(&transfer.mint.unwrap()), Some(7), "the fee is part of it");
    assert!(!decode(&[instruction(program::TOKEN, 4, &data)]).fully_decoded);
    let other = [&[26, 2], &data[2..]].concat();
    assert!(!decode(&[instruction(program::TOKEN_2022, 4, &other)]).fully_decoded);
}

#[test]
fn memos_of_both_programs_are_known() {
    for program in program::MEMO {
        for (accounts, data) in [(0, &b""[..]), (1, b"\xff")] {
            let decoded = decode(&[instruction(program, accounts, data)]);
            assert!(decoded.fully_decoded && decoded.transfers.is_empty());
        }
    }
}

#[test]
fn a_seed_ends_where_its_length_says() {
    let (amount, key) = ([7, 0, 0, 0, 0, 0, 0, 0], [2; 32]);
    for length in [0, 2, 4, 35, 36, 1 << 32, u64::MAX] {
        let data = system(11, &[&amount, &u64::to_le_bytes(length), b"abc", &key]);
        assert!(!decode(&[instruction(program::SYSTEM, 3, &data)]).fully_decoded, "{length}");
    }
}

#[test]
fn a_nonce_advances_in_the_first_instruction() {
    let advance = |data: &[u8]| instruction(program::SYSTEM, 3, data);
    let memo = instruction(program::MEMO[1], 0, b"");
    assert!(decode(&[advance(&system(4, &[])), memo.clone()]).durable_nonce);
    assert!(!decode(&[memo.clone(), advance(&system(4, &[]))]).durable_nonce);
    assert!(!decode(&[advance(&system(5, &[&[0; 8]]))]).durable_nonce);
    assert!(!decode(&[instruction(account(0x40), 3, &system(4, &[]))]).durable_nonce);
    // Validators read the number alone.
    let longer = decode(&[advance(&system(4, &[&[0]])), memo]);
    assert!(longer.durable_nonce && !longer.fully_decoded);
}

#[test]
fn a_compute_budget_counts_as_validators_read_it() {
    let set = |data: &[u8]| instruction(program::COMPUTE_BUDGET, 0, data);
    // Some wallets write the limit in eight bytes, of which four are read.
    let decoded =
        decode(&[set(&[2, 1, 0, 0, 0, 0, 0, 0, 0]), set(&[3, 2, 0, 0, 0, 0, 0, 0, 0, 9])]);
    assert_eq!((decoded.compute_unit_limit, decoded.compute_unit_price), (Some(1), Some(2)));
    assert!(!decoded.fully_decoded);

    for data in [&[1; 5][..], &[2; 5], &[3, 1, 1, 1, 1, 1, 1, 1, 1], &[4; 5]] {
        refused(&message(&[set(data), set(data)]), "may stand twice in one message");
        refused(&message(&[set(data), set(&[data, &[0]].concat())]), "twice in one message");
    }
    let price = |price: u64| message(&[set(&[&[3][..], &price.to_le_bytes()].concat())]);
    let highest = SolanaMessage::decode(&price(i64::MAX.unsigned_abs())).unwrap();
    assert_eq!(highest.compute_unit_price, Some(i64::MAX.unsigned_abs()));
    refused(&price(i64::MAX.unsigned_abs() + 1), "at most 2^63 - 1");
}

#[test]
fn sums() {
    let pay = |amount: u64| instruction(program::SYSTEM, 2, &system(2, &[&amount.to_le_bytes()]));
    let decoded = decode(&[pay(u64::MAX), pay(u64::MAX)]);
    assert_eq!(decoded.lamports(), Some(u128::from(u64::MAX) * 2));

    let checked = |program| instruction(program, 4, &[12, 5, 0, 0, 0, 0, 0, 0, 0, 6]);
    let both = [checked(program::TOKEN), checked(program::TOKEN_2022)];
    let decoded = decode(&both);
    assert_eq!(decoded.tokens(&account(0x51)), Some(10));
    assert_eq!((decoded.tokens(&account(0x50)), decoded.lamports()), (Some(0), Some(0)));

    // One transfer does not say which token it moves.
    let unchecked = instruction(program::TOKEN, 3, &[3, 5, 0, 0, 0, 0, 0, 0, 0]);
    let [first, second] = both;
    let unknown = instruction(account(0x40), 0, &[]);
    let decoded = decode(&[first.clone(), unknown]);
    assert_eq!((decoded.tokens(&account(0x51)), decoded.lamports()), (None, None));
    let decoded = decode(&[first, unchecked, second]);
    assert_eq!((decoded.tokens(&account(0x51)), decoded.lamports()), (None, Some(0)));
}

#[test]
fn a_message_without_instructions_moves_nothing() {
    let decoded = decode(&[]);
    assert!(decoded.fully_decoded && decoded.programs.is_empty());
    assert_eq!(decoded.lamports(), Some(0));
}
