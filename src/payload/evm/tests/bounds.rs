//! What decodes and is refused all the same, and what every flipped bit does.

use super::*;

const LONG_MAX: u128 = i64::MAX as u128;

#[test]
fn numbers_go_up_to_what_policy_can_compare() {
    const NONCE: &str = "a nonce is at most 2^63 - 1";
    const GAS: &str = "a gas limit is at most 2^63 - 1";
    const FEE: &str = "a fee per unit of gas is at most 2^63 - 1 wei, which policy can compare";
    const CHAIN: &str = "a chain id is at most 9223372036854775771 (EIP-2294)";
    const CHAIN_MAX: u128 = 9_223_372_036_854_775_771;
    for (unsigned, field, most, rule) in [
        (LEGACY, 0, LONG_MAX, NONCE),
        (LEGACY, 1, LONG_MAX, FEE),
        (LEGACY, 2, LONG_MAX, GAS),
        (LEGACY, 6, CHAIN_MAX, CHAIN),
        (EIP2930, 0, CHAIN_MAX, CHAIN),
        (EIP2930, 2, LONG_MAX, FEE),
        (EIP1559, 0, CHAIN_MAX, CHAIN),
        (EIP1559, 1, LONG_MAX, NONCE),
        (EIP1559, 3, LONG_MAX, FEE),
        (EIP1559, 4, LONG_MAX, GAS),
        (EIP4844, 0, CHAIN_MAX, CHAIN),
        (EIP4844, 9, LONG_MAX, FEE),
        (EIP7702, 0, CHAIN_MAX, CHAIN),
        (EIP7702, 3, LONG_MAX, FEE),
    ] {
        decoded(&with(unsigned, field, rlp(most)));
        assert_eq!(refused(&with(unsigned, field, rlp(most + 1))), rule, "field {field}");
    }
    let largest = with(EIP1559, 3, rlp(u64::MAX));
    assert_eq!(refused(&with(&largest, 2, rlp(u64::MAX))), FEE);
}

#[test]
fn chain_id_0_names_no_chain() {
    for (unsigned, field) in [(LEGACY, 6), (EIP2930, 0), (EIP1559, 0), (EIP4844, 0), (EIP7702, 0)] {
        assert_eq!(refused(&with(unsigned, field, rlp(0_u8))), "chain id 0 names no chain");
    }
}

#[test]
fn the_priority_fee_is_part_of_the_maximum_fee() {
    for unsigned in [EIP1559, EIP4844, EIP7702] {
        let most = decoded(unsigned).fees.max_fee_per_gas;
        decoded(&with(unsigned, 2, rlp(most)));
        assert_eq!(
            refused(&with(unsigned, 2, rlp(most + 1))),
            "the priority fee is at most the maximum fee (EIP-1559)"
        );
    }
}

#[test]
fn every_blob_has_a_hash_of_version_1() {
    let of = |versions: &[u8]| {
        let hashes: Vec<_> = versions.iter().map(|version| rlp([*version; 32])).collect();
        with(EIP4844, 10, list(&hashes))
    };
    assert_eq!(decoded(&of(&[1, 1, 1])).blobs, 3);
    assert_eq!(refused(&of(&[])), "an EIP-4844 transaction has at least one blob");
    for versions in [[0, 1], [1, 2]] {
        assert_eq!(refused(&of(&versions)), "a blob's versioned hash begins with 0x01 (EIP-4844)");
    }
}

#[test]
fn authorizations_are_there_and_fit_into_policy() {
    let of = |chain_id: U256, nonce: u64| {
        let one = U256::ONE;
        let entry = [rlp(chain_id), rlp(TOKEN), rlp(nonce), rlp(0_u8), rlp(one), rlp(one)];
        with(EIP7702, 9, list(&[list(&entry)]))
    };
    let most = i64::MAX as u64;
    let expected = Authorization { chain_id: most, address: TOKEN, nonce: most };
    assert_eq!(decoded(&of(U256::from(most), most)).authorizations, [expected]);
    for unsigned in [of(U256::from(most + 1), 0), of(U256::MAX, 0), of(U256::ZERO, most + 1)] {
        assert_eq!(
            refused(&unsigned),
            "chain id and nonce of an authorization are at most 2^63 - 1"
        );
    }
    assert_eq!(
        refused(&with(EIP7702, 9, list(&[]))),
        "an EIP-7702 transaction has at least one authorization"
    );
}

#[test]
fn a_transaction_has_at_most_65536_bytes() {
    let of = |length: usize| {
        let with_data = |data: usize| with(CREATION, 7, rlp(&*vec![0xfe; data]));
        let frame = with_data(60_000).len() - 60_000;
        with_data(length - frame)
    };
    let longest = of(PAYLOAD_MAX);
    assert_eq!(longest.len(), PAYLOAD_MAX);
    assert!(decoded(&longest).data_length > 65_000);
    assert_eq!(refused(&of(PAYLOAD_MAX + 1)), "a transaction has at most 65536 bytes");
}

/// A bit that policy sees changes what policy sees, or makes the bytes invalid. The
/// others are those of data that policy sees by length only, of storage keys, of
/// blob hashes and of the signatures of authorizations.
#[test]
fn a_flipped_bit_shows() {
    let signatures = fields(EIP7702)[9].clone();
    let [first, second] = [27..94, 119..186].map(|range| &signatures[range]);
    let code = hex!("6001600155");
    let unseen = [&code[..], &[0x11; 32], &[0x22; 32], &[0xaa; 31], &[0xbb; 31], first, second];
    let mut accepted = 0;
    for unsigned in ALL {
        let view = decoded(unsigned);
        for position in 0..unsigned.len() {
            let hidden = unseen.iter().any(|part| {
                (0..part.len())
                    .any(|at| position >= at && unsigned[position - at..].starts_with(part))
            });
            for bit in 0..8 {
                let mut flipped = unsigned.to_vec();
                flipped[position] ^= 1 << bit;
                let Ok(other) = EvmTransaction::decode(&flipped) else { continue };
                accepted += 1;
                assert_ne!(other.digest, view.digest);
                let other = EvmTransaction { digest: view.digest, ..other };
                assert_eq!(other == view, hidden, "{position}, bit {bit}");
            }
        }
    }
    assert!(accepted > 1_000, "{accepted}");
}

#[test]
fn a_part_of_a_transaction_is_none() {
    for unsigned in ALL {
        for length in 0..unsigned.len() {
            refused(&unsigned[..length]);
        }
    }
}
