//! Encodings that are not the one of an unsigned transaction.

use alloy_primitives::hex;

use super::super::{
    EvmTransaction,
    tests::{
        ALL, CREATION, EIP1559, EIP2930, EIP4844, EIP7702, LEGACY, fields, list, of_fields, with,
    },
};
use crate::payload::Undecodable;

const TYPE: &str = "a transaction begins with its type, 0x01 to 0x04, or is a legacy RLP list";
const FIELDS: &str = "the RLP list has other fields than a transaction of its type";
const SIGNED: &str = "the transaction is signed: send it unsigned";
const NOT_CANONICAL: &str = "the RLP is not canonical: a length or a number has a shorter encoding";
const TOO_SHORT: &str = "the RLP claims more bytes than there are";
const TOO_LARGE: &str = "a number is longer than its field: 32 bytes for value, 16 for \
                         fees, 8 for chain id, nonce and gas";
const FORM: &str =
    "a field has another form: a list for a string, a string for a list, or another length";
const TRAILING: &str = "nothing may follow the RLP list of a transaction";

/// The rule that bytes are refused with.
#[track_caller]
fn refused(unsigned: &[u8]) -> &'static str {
    let Undecodable(rule) = EvmTransaction::decode(unsigned).unwrap_err();
    rule
}

#[test]
fn the_first_byte_is_a_type_or_a_list() {
    assert_eq!(refused(&[]), "a transaction has at least one byte");
    // Legacy has no type byte, and 0x19 begins what EIP-191 and EIP-712 hash.
    for first in [0x00, 0x06, 0x19, 0x7f, 0x80, 0xb8, 0xbf] {
        assert_eq!(refused(&[&[first], LEGACY].concat()), TYPE, "{first:#x}");
    }
    // A typed transaction as a string, as peers send it to each other.
    assert_eq!(refused(&alloy_rlp::encode(EIP1559)), TYPE);
}

/// rlp([chain_id, address, nonce]) behind 0x05 is what EIP-7702 has an account sign
/// to give itself away.
#[test]
fn an_authorization_is_no_transaction() {
    let authorization = hex!("05d80194a0b86991c6218b36c1d19d4a2e9eb0ce3606eb4801");
    assert_eq!(refused(&authorization), "0x05 begins an EIP-7702 authorization, not a transaction");
}

#[test]
fn a_signed_transaction_is_refused() {
    // EIP-155's worked example.
    let signed = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a7640000
        8025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276
        a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );
    assert_eq!(refused(&signed), SIGNED);
    // Signed for any chain, and what alloy takes for zeros.
    assert_eq!(refused(&with(&signed, 6, vec![27])), SIGNED);
    assert_eq!(refused(&with(LEGACY, 7, vec![1])), SIGNED);
    assert_eq!(refused(&with(LEGACY, 8, vec![1])), SIGNED);

    let signature = &fields(&signed)[6..];
    for unsigned in &ALL[1..] {
        let signed = [&fields(unsigned), signature].concat();
        assert_eq!(refused(&of_fields(unsigned, &signed)), SIGNED);
    }
}

#[test]
fn legacy_names_its_chain() {
    let rule = "a legacy transaction without a chain id can be replayed on every chain: append \
                chain id, 0 and 0 (EIP-155)";
    let unsigned = list(&fields(LEGACY)[..6]);
    assert_eq!(refused(&unsigned), rule);
    // Also where it does not decode for another reason.
    assert_eq!(refused(&with(&unsigned, 0, vec![0x00])), rule);
}

#[test]
fn blobs_and_code_have_a_recipient() {
    for unsigned in [EIP4844, EIP7702] {
        assert_eq!(
            refused(&with(unsigned, 5, vec![0x80])),
            "an EIP-4844 or EIP-7702 transaction has a recipient"
        );
    }
}

#[test]
fn a_list_of_other_fields_is_refused() {
    for unsigned in ALL {
        let fields = fields(unsigned);
        for fewer in 0..fields.len() {
            if (unsigned, fewer) != (LEGACY, 6) {
                assert_eq!(refused(&of_fields(unsigned, &fields[..fewer])), FIELDS, "{fewer}");
            }
        }
        for more in [1, 2, 4, 1_000] {
            let fields = [fields.clone(), vec![vec![0x80]; more]].concat();
            assert_eq!(refused(&of_fields(unsigned, &fields)), FIELDS, "{more}");
        }
        assert_eq!(refused(&[unsigned, &[0x80]].concat()), TRAILING);
        assert_eq!(refused(&[unsigned, unsigned].concat()), TRAILING);
    }
    assert_eq!(refused(&[0x02]), TOO_SHORT);
    for string in [&[0x02, 0x80][..], &[0x02, 0x05], &[0x02, 0x83, 1, 2, 3]] {
        assert_eq!(refused(string), "after its type a transaction is an RLP list");
    }
}

#[test]
fn a_longer_encoding_is_refused() {
    // The list's own length, where one byte would do, and with a leading zero.
    assert_eq!(refused(&[&[0xf8, 0x2c], &LEGACY[1..]].concat()), NOT_CANONICAL);
    assert_eq!(refused(&[&[0xf9, 0x00, 0x2c], &LEGACY[1..]].concat()), NOT_CANONICAL);
    assert_eq!(refused(&[&[0x02, 0xf9, 0x00], &EIP1559[2..]].concat()), NOT_CANONICAL);
    for (unsigned, numbers) in [
        (LEGACY, &[0, 1, 2, 4, 6][..]),
        (EIP2930, &[0, 1, 2, 3, 5]),
        (EIP1559, &[0, 1, 2, 3, 4, 6]),
        (EIP4844, &[0, 1, 2, 3, 4, 6, 9]),
        (EIP7702, &[0, 1, 2, 3, 4, 6]),
    ] {
        for field in numbers {
            // Zero as a byte, and 9 with a leading zero, with a needless length,
            // and with a length of its length.
            for number in [&[0x00][..], &[0x82, 0, 9], &[0x81, 9], &[0xb8, 1, 9], &[0x81, 0]] {
                let unsigned = with(unsigned, *field, number.to_vec());
                assert_eq!(refused(&unsigned), NOT_CANONICAL, "{field}: {number:x?}");
            }
        }
    }
    // Call data: one small byte, and four bytes, both with a needless length.
    for data in [&[0x81, 0x12][..], &[0xb8, 4, 0x12, 0x34, 0x56, 0x78]] {
        assert_eq!(refused(&with(EIP1559, 7, data.to_vec())), NOT_CANONICAL);
    }
}

#[test]
fn a_number_too_large_for_its_field_is_refused() {
    let of = |bytes: usize| alloy_rlp::encode(&*vec![1; bytes]);
    for (unsigned, field, room) in [
        (LEGACY, 0, 8),
        (LEGACY, 1, 16),
        (LEGACY, 2, 8),
        (LEGACY, 4, 32),
        (LEGACY, 6, 8),
        (EIP1559, 0, 8),
        (EIP1559, 2, 16),
        (EIP1559, 3, 16),
        (EIP1559, 6, 32),
        (EIP4844, 9, 16),
    ] {
        assert_eq!(refused(&with(unsigned, field, of(room + 1))), TOO_LARGE, "{field}");
    }
}

#[test]
fn a_field_of_another_form_is_refused() {
    let address = |bytes: usize| alloy_rlp::encode(&*vec![0x35; bytes]);
    for (field, encoded) in [
        (5, address(19)),
        (5, address(21)),
        (5, vec![0x00]),
        (5, list(&[])),
        (0, list(&[])),
        (7, list(&[address(20)])),
        (8, vec![0x80]),
        // An address alone, without its keys, with a key of 31 bytes, with a key that
        // is a list, and with something behind the keys.
        (8, list(&[address(20)])),
        (8, list(&[list(&[address(20), list(&[address(31)])])])),
        (8, list(&[list(&[address(20), list(&[list(&[address(32)])])])])),
        (8, list(&[list(&[address(20), list(&[]), list(&[])])])),
    ] {
        assert_eq!(refused(&with(EIP1559, field, encoded.clone())), FORM, "{encoded:x?}");
    }
    let bare = list(&[list(&[address(20)])]);
    assert_eq!(refused(&with(EIP1559, 8, bare)), TOO_SHORT);
}

#[test]
fn a_claimed_length_takes_no_memory() {
    for head in [
        &[0xff; 9][..],
        &[0xfb, 1, 0, 0, 0],
        &[0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        // The same inside of the list: data, and an access list.
        &[0x02, 0xca, 1, 0xbf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x02, 0xca, 1, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(refused(head), TOO_SHORT);
    }
}

#[test]
fn nesting_is_not_followed() {
    let mut nested = list(&[]);
    while nested.len() < 60_000 {
        nested = list(&[nested]);
    }
    for field in 0..9 {
        assert_eq!(refused(&with(EIP1559, field, nested.clone())), FORM);
    }
    assert_eq!(refused(&nested), FIELDS);
    let creation = with(CREATION, 8, list(&[nested]));
    assert_eq!(refused(&creation), FORM);
}
