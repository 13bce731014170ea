//! Known answers of eth-abi 6.0.0 and of the selectors' Keccak-256.

use alloy_primitives::{Address, U256, address, hex};

use super::*;

const OWNER: Address = address!("70997970c51812dc3a010c7d01b50e0d17dc79c8");
const OTHER: Address = address!("3c44cdddb6a900fa2b585dd299e03d12fa4293bc");

const TRANSFER: [u8; 68] = hex!(
    "a9059cbb00000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c8
    000000000000000000000000000000000000000000000000000000000ee6b280"
);
const SAFE_TRANSFER_WITH_DATA: [u8; 196] = hex!(
    "b88d4fde00000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c8
    0000000000000000000000003c44cdddb6a900fa2b585dd299e03d12fa4293bc
    0000000000000000000000000000000000000000000000000000000000000004
    0000000000000000000000000000000000000000000000000000000000000080
    0000000000000000000000000000000000000000000000000000000000000002
    dead000000000000000000000000000000000000000000000000000000000000"
);
const APPROVAL_FOR_ALL: [u8; 68] = hex!(
    "a22cb46500000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c8
    0000000000000000000000000000000000000000000000000000000000000001"
);

fn call(function: &'static str) -> TokenCall {
    let (sender, recipient, spender) = (None, None, None);
    TokenCall { function, sender, recipient, spender, amount: None, approved: None }
}

/// A call whose arguments are two addresses at most, and one word.
fn data(selector: [u8; 4], words: &[U256]) -> Vec<u8> {
    let words = words.iter().flat_map(|word| word.to_be_bytes::<32>());
    selector.into_iter().chain(words).collect()
}

fn word(address: Address) -> U256 {
    address.into_word().into()
}

#[test]
fn transfers_name_whose_tokens_go_to_whom() {
    let [owner, other] = [OWNER, OTHER].map(word);
    let transfer = TokenCall {
        recipient: Some(OWNER),
        amount: Some(U256::from(250_000_000)),
        ..call("transfer(address,uint256)")
    };
    assert_eq!(TokenCall::decode(&TRANSFER), Some(transfer));
    for (data, function, amount) in [
        (
            data(hex!("23b872dd"), &[owner, other, U256::from(7)]),
            "transferFrom(address,address,uint256)",
            7,
        ),
        (
            data(hex!("42842e0e"), &[owner, other, U256::from(3)]),
            "safeTransferFrom(address,address,uint256)",
            3,
        ),
        (SAFE_TRANSFER_WITH_DATA.to_vec(), "safeTransferFrom(address,address,uint256,bytes)", 4),
    ] {
        let expected = TokenCall {
            sender: Some(OWNER),
            recipient: Some(OTHER),
            amount: Some(U256::from(amount)),
            ..call(function)
        };
        assert_eq!(TokenCall::decode(&data), Some(expected));
    }
}

#[test]
fn allowances_name_who_may_spend() {
    for (selector, function, amount) in [
        (hex!("095ea7b3"), "approve(address,uint256)", U256::MAX),
        (hex!("39509351"), "increaseAllowance(address,uint256)", U256::ONE),
        (hex!("a457c2d7"), "decreaseAllowance(address,uint256)", U256::from(2)),
    ] {
        let expected = TokenCall { spender: Some(OWNER), amount: Some(amount), ..call(function) };
        assert_eq!(TokenCall::decode(&data(selector, &[word(OWNER), amount])), Some(expected));
    }
    let mut approval = APPROVAL_FOR_ALL;
    for approved in [true, false] {
        approval[67] = u8::from(approved);
        let expected = TokenCall {
            spender: Some(OWNER),
            approved: Some(approved),
            ..call("setApprovalForAll(address,bool)")
        };
        assert_eq!(TokenCall::decode(&approval), Some(expected));
    }
}

#[test]
fn other_functions_are_no_token_calls() {
    assert_eq!(TokenCall::decode(&[]), None);
    assert_eq!(TokenCall::decode(&TRANSFER[..3]), None);
    // mint(address,uint256), and ERC-1155's safeTransferFrom.
    let mint = data(hex!("40c10f19"), &[word(OWNER), U256::ONE]);
    assert_eq!(TokenCall::decode(&mint), None);
    let [owner, other] = [OWNER, OTHER].map(word);
    let [id, amount, offset, length] = [1, 2, 0xa0, 0].map(U256::from);
    let erc1155 = data(hex!("f242432a"), &[owner, other, id, amount, offset, length]);
    assert_eq!(TokenCall::decode(&erc1155), None);
}

#[test]
fn a_call_ends_where_its_arguments_end() {
    for whole in [&TRANSFER[..], &SAFE_TRANSFER_WITH_DATA, &APPROVAL_FOR_ALL] {
        assert!(TokenCall::decode(whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(TokenCall::decode(&whole[..length]), None, "{length}");
        }
        for more in [&[0][..], &[0; 32], &[0xff; 32]] {
            assert_eq!(TokenCall::decode(&[whole, more].concat()), None);
        }
    }
}

#[test]
fn padding_is_zero() {
    // The 12 bytes before an address, the 31 before a bool, and what fills the last
    // word of bytes up.
    let paddings = [
        (&TRANSFER[..], 4..16),
        (&APPROVAL_FOR_ALL, 4..16),
        (&APPROVAL_FOR_ALL, 36..67),
        (&SAFE_TRANSFER_WITH_DATA, 4..16),
        (&SAFE_TRANSFER_WITH_DATA, 36..48),
        (&SAFE_TRANSFER_WITH_DATA, 166..196),
    ];
    for (whole, padding) in paddings {
        for at in padding {
            let mut dirty = whole.to_vec();
            dirty[at] = 1;
            assert_eq!(TokenCall::decode(&dirty), None, "{at}");
        }
    }
    let mut neither = APPROVAL_FOR_ALL;
    neither[67] = 2;
    assert_eq!(TokenCall::decode(&neither), None);
}

/// ABI encoding places bytes by offset: there are many ways to write the same, and
/// one that Solidity writes.
#[test]
fn bytes_stand_where_solidity_puts_them() {
    let [owner, other] = [OWNER, OTHER].map(word);
    let of = |words: &[u64]| {
        let words: Vec<_> =
            [owner, other].into_iter().chain(words.iter().map(|word| U256::from(*word))).collect();
        TokenCall::decode(&data(hex!("b88d4fde"), &words))
    };
    // Id, offset, length: no bytes.
    assert!(of(&[4, 0x80, 0]).is_some());
    // With a gap before, over the arguments, beyond the end, and of an absurd length.
    for words in [
        &[4, 0xa0, 0, 0][..],
        &[4, 0x40, 0],
        &[4, 0x60],
        &[4, 0xa0, 0],
        &[4, u64::MAX, 0],
        &[4, 0x80, u64::MAX],
    ] {
        assert_eq!(of(words), None, "{words:x?}");
    }
}
