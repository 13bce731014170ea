//! What is refused, and what looks like a transaction.

use proptest::prelude::*;
use solana_message::{
    MessageHeader, VersionedMessage, compiled_instruction::CompiledInstruction,
    v0::MessageAddressTableLookup, v1,
};

use super::{Hash, account, bytes, instruction, legacy, message, messages, refused, v0};
use crate::payload::solana::{SOLANA_MESSAGE_MAX, SolanaMessage, program};

const FORM: &str = "a fee payer that signs";
const MALFORMED: &str = "exactly its encoding";
const VERSION: &str = "legacy or version 0";

/// A legacy message of three accounts, of which 1 pays and 3 is a program.
fn plain() -> legacy::Message {
    legacy::Message {
        header: MessageHeader {
            num_required_signatures: 1,
            num_readonly_signed_accounts: 0,
            num_readonly_unsigned_accounts: 1,
        },
        account_keys: vec![account(1), account(2), account(3)],
        recent_blockhash: Hash::new_from_array([9; 32]),
        instructions: vec![CompiledInstruction {
            program_id_index: 2,
            accounts: vec![0, 1],
            data: vec![1],
        }],
    }
}

/// The same with one look-up of two accounts.
fn with_lookup() -> v0::Message {
    let legacy::Message { header, account_keys, recent_blockhash, instructions } = plain();
    let lookup = MessageAddressTableLookup {
        account_key: account(20),
        writable_indexes: vec![1],
        readonly_indexes: vec![2],
    };
    v0::Message {
        header,
        account_keys,
        recent_blockhash,
        instructions,
        address_table_lookups: vec![lookup],
    }
}

fn changed(change: impl FnOnce(&mut legacy::Message)) -> Vec<u8> {
    let mut message = plain();
    change(&mut message);
    VersionedMessage::Legacy(message).serialize()
}

fn changed_v0(change: impl FnOnce(&mut v0::Message)) -> Vec<u8> {
    let mut message = with_lookup();
    change(&mut message);
    VersionedMessage::V0(message).serialize()
}

#[test]
fn what_validators_refuse_for_its_form() {
    for taken in [changed(|_| {}), changed_v0(|_| {})] {
        assert!(SolanaMessage::decode(&taken).is_ok());
    }
    for message in [
        changed(|m| m.header.num_required_signatures = 0),
        changed(|m| m.header.num_readonly_signed_accounts = 1),
        changed(|m| m.header.num_required_signatures = 3),
        changed(|m| m.header.num_readonly_unsigned_accounts = 3),
        changed(|m| m.account_keys.clear()),
        changed(|m| m.instructions[0].program_id_index = 0),
        changed(|m| m.instructions[0].program_id_index = 3),
        changed(|m| m.instructions[0].accounts[1] = 3),
        changed_v0(|m| m.header.num_required_signatures = 0),
        changed_v0(|m| m.header.num_readonly_signed_accounts = 1),
        changed_v0(|m| m.header.num_readonly_unsigned_accounts = 3),
        changed_v0(|m| m.instructions[0].program_id_index = 0),
        // A program may not be from a table, though an account may.
        changed_v0(|m| m.instructions[0].program_id_index = 3),
        changed_v0(|m| m.instructions[0].accounts[1] = 5),
        changed_v0(|m| m.address_table_lookups[0].readonly_indexes = vec![0; 253]),
        changed_v0(|m| {
            m.address_table_lookups[0].writable_indexes.clear();
            m.address_table_lookups[0].readonly_indexes.clear();
        }),
    ] {
        refused(&message, FORM);
        assert!(!SolanaMessage::looks_like(&message));
    }
    assert!(SolanaMessage::decode(&changed_v0(|m| m.instructions[0].accounts[1] = 4)).is_ok());
}

#[test]
fn no_account_stands_twice() {
    refused(&changed(|m| m.account_keys[1] = account(1)), "no account may stand twice");
    refused(&changed_v0(|m| m.account_keys[2] = account(2)), "no account may stand twice");
}

#[test]
fn versions() {
    refused(&[], "1 to 1,232 bytes");
    let zero = changed_v0(|_| {});
    for first in 0x81..=0xff {
        let mut other = zero.clone();
        other[0] = first;
        refused(&other, VERSION);
    }
    let legacy::Message { header, account_keys, recent_blockhash, instructions } = plain();
    let one = VersionedMessage::V1(v1::Message {
        header,
        config: v1::TransactionConfig::empty().with_compute_unit_limit(7),
        lifetime_specifier: recent_blockhash,
        account_keys,
        instructions,
    })
    .serialize();
    refused(&one, VERSION);
    assert!(SolanaMessage::looks_like(&one));
    assert!(SolanaMessage::looks_like(&[&one[..], &[0]].concat()));
    assert!(!SolanaMessage::looks_like(&one[..one.len() - 1]));
    assert!(!SolanaMessage::looks_like(&one[1..]));
}

#[test]
fn sizes() {
    let memo = |length| message(&[instruction(program::MEMO[1], 0, &vec![b'm'; length])]);
    let rest = memo(1000).len() - 1000;
    let longest = memo(SOLANA_MESSAGE_MAX - rest);
    assert_eq!(longest.len(), 1232);
    assert!(SolanaMessage::decode(&longest).is_ok() && SolanaMessage::looks_like(&longest));
    let longer = memo(SOLANA_MESSAGE_MAX - rest + 1);
    refused(&longer, "1 to 1,232 bytes");
    assert!(!SolanaMessage::looks_like(&longer));
}

#[test]
fn a_message_is_exactly_its_encoding() {
    for message in messages::ALL.map(bytes) {
        assert!(SolanaMessage::looks_like(&message));
        for length in 1..message.len() {
            refused(&message[..length], MALFORMED);
            assert!(!SolanaMessage::looks_like(&message[..length]));
        }
        for byte in [0, 1, 0x80] {
            let longer = [&message[..], &[byte]].concat();
            refused(&longer, MALFORMED);
            assert!(!SolanaMessage::looks_like(&longer));
        }
    }
}

#[test]
fn lengths_have_as_few_bytes_as_they_need() {
    let message = changed(|_| {});
    // The number of accounts, of instructions, of an instruction's accounts, and
    // the length of its data.
    for (at, length) in [(3, 3), (132, 1), (134, 2), (137, 1)] {
        assert_eq!(message[at], length);
        for longer in [&[length | 0x80, 0][..], &[length | 0x80, 0x80, 0]] {
            let mut aliased = message.clone();
            aliased.splice(at..=at, longer.iter().copied());
            refused(&aliased, MALFORMED);
            assert!(!SolanaMessage::looks_like(&aliased));
        }
    }
    // 128 bytes need two.
    let long = changed(|m| m.instructions[0].data = vec![0; 128]);
    assert_eq!(long[137..139], [0x80, 1]);
    assert!(SolanaMessage::decode(&long).is_ok());
    // The most that a length can say, and one that no longer fits in 16 bits.
    for length in [[0xff, 0xff, 3], [0xff, 0xff, 4]] {
        let mut huge = message.clone();
        huge.splice(132..=132, length);
        refused(&huge, MALFORMED);
    }
}

/// The message with `byte` for what the view leaves out: the blockhash, and unless
/// `payments` are all that it has, what instructions get and which accounts of
/// tables are meant.
fn with_unseen(message: &[u8], byte: u8, payments: bool) -> Vec<u8> {
    let mut decoded: VersionedMessage = wincode::deserialize(message).unwrap();
    decoded.set_recent_blockhash(Hash::new_from_array([byte; 32]));
    let fill = |instructions: &mut Vec<CompiledInstruction>| {
        for instruction in instructions {
            instruction.data.fill(byte);
            instruction.accounts.fill(byte);
        }
    };
    match &mut decoded {
        _ if payments => {}
        VersionedMessage::Legacy(message) => fill(&mut message.instructions),
        VersionedMessage::V0(message) => {
            fill(&mut message.instructions);
            for lookup in &mut message.address_table_lookups {
                lookup.writable_indexes.fill(byte);
                lookup.readonly_indexes.fill(byte);
            }
        }
        VersionedMessage::V1(_) => panic!("not supported"),
    }
    decoded.serialize()
}

#[test]
fn every_bit_that_is_seen_changes_the_view_or_is_refused() {
    use messages::{LEGACY, TRANSFER, V0};
    for hexadecimal in messages::ALL {
        let message = bytes(hexadecimal);
        let payments = [LEGACY, TRANSFER, V0].contains(&hexadecimal);
        let [low, high] = [0, 0xff].map(|byte| with_unseen(&message, byte, payments));
        let original = SolanaMessage::decode(&message).unwrap();
        let mut same = 0;
        for bit in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let looks = SolanaMessage::looks_like(&flipped);
            let Ok(decoded) = SolanaMessage::decode(&flipped) else { continue };
            assert!(looks);
            let encoded: VersionedMessage = wincode::deserialize(&flipped).unwrap();
            assert_eq!(encoded.serialize(), flipped);
            assert_eq!(*decoded.signed, *flipped);
            let view = SolanaMessage { signed: original.signed.clone(), ..decoded };
            if view == original && original.fully_decoded {
                same += 1;
                assert_ne!(low[bit / 8], high[bit / 8], "bit {bit} of {hexadecimal}");
            }
        }
        // Those of the blockhash.
        assert!(!payments || same == 256, "{same}");
    }
}

#[test]
fn texts_and_hashes_do_not_look_like_a_transaction() {
    for text in ["", "hello", "{\"domain\":\"example.com\"}", "\u{80}", "solana offchain"] {
        assert!(!SolanaMessage::looks_like(text.as_bytes()), "{text}");
    }
    for byte in 0..=u8::MAX {
        for length in [1, 32, 64, 100, 1000, 5000] {
            assert!(!SolanaMessage::looks_like(&vec![byte; length]), "{byte} {length}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let decoded = SolanaMessage::decode(&bytes);
        prop_assert!(decoded.is_err() || SolanaMessage::looks_like(&bytes));
    }

    #[test]
    fn no_mutation_panics(
        which in 0..messages::ALL.len(), at in any::<prop::sample::Index>(),
        removed in 0_usize..4, added in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut message = bytes(messages::ALL[which]);
        let at = at.index(message.len());
        message.splice(at..(at + removed).min(message.len()), added);
        let decoded = SolanaMessage::decode(&message);
        prop_assert!(decoded.is_err() || SolanaMessage::looks_like(&message));
    }

    #[test]
    fn printable_text_does_not_look_like_a_transaction(text in "[ -~\n]{0,6000}") {
        prop_assert!(!SolanaMessage::looks_like(text.as_bytes()));
    }
}
