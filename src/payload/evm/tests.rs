//! Known answers: EIP-155's worked example; the others from eth-account 0.14.0 and
//! rlp 5.0.0, which agree on each hash.

use alloy_primitives::{Address, address, hex};
use alloy_rlp::{Encodable, Header, PayloadView};

use super::*;
use crate::payload::PAYLOAD_MAX;

pub(super) const LEGACY: &[u8] = &hex!(
    "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
);
pub(super) const EIP2930: &[u8] = &hex!(
    "01f89c8189808506fc23ac0083015f90943535353535353535353535353535353535353535018412345678
    f872f85994a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48f842
    a01111111111111111111111111111111111111111111111111111111111111111
    a02222222222222222222222222222222222222222222222222222222222222222
    d69470997970c51812dc3a010c7d01b50e0d17dc79c8c0"
);
pub(super) const EIP1559: &[u8] = &hex!(
    "02f86d012a8459682f008509502f900082fde894a0b86991c6218b36c1d19d4a2e9eb0ce3606eb4880b844
    a9059cbb00000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c8
    000000000000000000000000000000000000000000000000000000000ee6b280c0"
);
pub(super) const CREATION: &[u8] = &hex!("02d78221050780843b9aca00830f42408005856001600155c0");
pub(super) const EIP4844: &[u8] = &hex!(
    "03f8e983aa36a7038477359400850ba43b7400830186a09470997970c51812dc3a010c7d01b50e0d17dc79c88080
    f872f85994a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48f842
    a01111111111111111111111111111111111111111111111111111111111111111
    a02222222222222222222222222222222222222222222222222222222222222222
    d69470997970c51812dc3a010c7d01b50e0d17dc79c8c08501a13b8600f842
    a001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    a001bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
);
pub(super) const EIP7702: &[u8] = &hex!(
    "04f8e50a04830f4240843b9aca0083030d40944a62316623ad457f02cdc5d997ded67a383ec56980848129fc1c
    c0f8b8f85a0a94a0b86991c6218b36c1d19d4a2e9eb0ce3606eb480580
    a0a3b1b3c29801f5dbfbec50bb508a1ee01f211629fbb1135a5c1e71b40f4b8d63
    a07ad2670dc97c53999c3d1f4a69aa889382bac1cbb524ed3f619733453cf84b15
    f85a809470997970c51812dc3a010c7d01b50e0d17dc79c88080
    a016b21b32609d74b43daedf3b7ae77b21eac7015beb2aef77a672e3d74561e9b8
    a05a4941e54dc6ae2313edef099d5ef0d2666c699abe058d906155d57fa1be8ae7"
);
pub(super) const ALL: [&[u8]; 6] = [LEGACY, EIP2930, EIP1559, CREATION, EIP4844, EIP7702];

const TOKEN: Address = address!("a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48");
const RECIPIENT: Address = address!("70997970c51812dc3a010c7d01b50e0d17dc79c8");

/// The fields of a transaction, each in RLP.
pub(super) fn fields(unsigned: &[u8]) -> Vec<Vec<u8>> {
    let mut list = if unsigned[0] < 0xc0 { &unsigned[1..] } else { unsigned };
    let PayloadView::List(fields) = Header::decode_raw(&mut list).unwrap() else { panic!() };
    fields.into_iter().map(<[u8]>::to_vec).collect()
}

/// A list of what is in RLP already.
pub(super) fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let items = items.concat();
    let mut encoded = Vec::new();
    Header { list: true, payload_length: items.len() }.encode(&mut encoded);
    [encoded, items].concat()
}

/// A transaction of the same type with these fields.
pub(super) fn of_fields(like: &[u8], fields: &[Vec<u8>]) -> Vec<u8> {
    let kind = if like[0] < 0xc0 { &like[..1] } else { &[] };
    [kind, &list(fields)].concat()
}

/// A transaction with one field changed.
pub(super) fn with(like: &[u8], field: usize, encoded: Vec<u8>) -> Vec<u8> {
    let mut fields = fields(like);
    fields[field] = encoded;
    of_fields(like, &fields)
}

fn rlp(value: impl Encodable) -> Vec<u8> {
    alloy_rlp::encode(value)
}

fn decoded(unsigned: &[u8]) -> EvmTransaction {
    EvmTransaction::decode(unsigned).unwrap()
}

fn refused(unsigned: &[u8]) -> &'static str {
    EvmTransaction::decode(unsigned).unwrap_err().0
}

#[test]
fn the_worked_example_of_eip_155() {
    let transaction = decoded(LEGACY);
    let expected = EvmTransaction {
        digest: hex!("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"),
        kind: TransactionKind::Legacy,
        chain_id: 1,
        nonce: 9,
        gas_limit: 21_000,
        fees: Fees {
            max_fee_per_gas: 20_000_000_000,
            max_priority_fee_per_gas: None,
            max_fee_per_blob_gas: None,
        },
        to: Some(Address::repeat_byte(0x35)),
        value: U256::from(10).pow(U256::from(18)),
        data_length: 0,
        selector: None,
        call: None,
        access_list: Vec::new(),
        authorizations: Vec::new(),
        blobs: 0,
    };
    assert_eq!(transaction, expected);
    // The v of its signature, whose recovery id is 0.
    assert_eq!(transaction.v(0), 37);
    assert_eq!(transaction.v(1), 38);
}

#[test]
fn an_access_list() {
    let expected = EvmTransaction {
        digest: hex!("f6e900681e07d6f1bb61b6ccdaea4bbd7d7057a98543985db8fff43b024e0531"),
        kind: TransactionKind::AccessList,
        chain_id: 137,
        nonce: 0,
        gas_limit: 90_000,
        fees: Fees {
            max_fee_per_gas: 30_000_000_000,
            max_priority_fee_per_gas: None,
            max_fee_per_blob_gas: None,
        },
        to: Some(Address::repeat_byte(0x35)),
        value: U256::ONE,
        data_length: 4,
        selector: Some([0x12, 0x34, 0x56, 0x78]),
        call: None,
        access_list: vec![TOKEN, RECIPIENT],
        authorizations: Vec::new(),
        blobs: 0,
    };
    assert_eq!(decoded(EIP2930), expected);
}

#[test]
fn a_dynamic_fee_and_a_token_transfer() {
    let expected = EvmTransaction {
        digest: hex!("b98abccb0927b7a8afb3309608ec9dd61cc728dfc85bd8110dcece142ec5e94d"),
        kind: TransactionKind::DynamicFee,
        chain_id: 1,
        nonce: 42,
        gas_limit: 65_000,
        fees: Fees {
            max_fee_per_gas: 40_000_000_000,
            max_priority_fee_per_gas: Some(1_500_000_000),
            max_fee_per_blob_gas: None,
        },
        to: Some(TOKEN),
        value: U256::ZERO,
        data_length: 68,
        selector: Some([0xa9, 0x05, 0x9c, 0xbb]),
        call: Some(TokenCall {
            function: "transfer(address,uint256)",
            sender: None,
            recipient: Some(RECIPIENT),
            spender: None,
            amount: Some(U256::from(250_000_000)),
            approved: None,
        }),
        access_list: Vec::new(),
        authorizations: Vec::new(),
        blobs: 0,
    };
    assert_eq!(decoded(EIP1559), expected);
}

#[test]
fn a_creation_calls_nothing() {
    let transaction = decoded(CREATION);
    let digest = hex!("ce98603ffbd743be7ce41419e0b3e139439352b37aaf8b1585c48998e197e813");
    assert_eq!(transaction.digest, digest);
    assert_eq!((transaction.chain_id, transaction.nonce), (8453, 7));
    assert_eq!((transaction.to, transaction.value), (None, U256::from(5)));
    assert_eq!((transaction.data_length, transaction.selector), (5, None));
    // Init code that looks like a call is none.
    let transfer = fields(EIP1559)[7].clone();
    let transaction = decoded(&with(CREATION, 7, transfer));
    assert_eq!((transaction.data_length, transaction.selector), (68, None));
    assert_eq!(transaction.call, None);
}

#[test]
fn blobs() {
    let transaction = decoded(EIP4844);
    let expected = EvmTransaction {
        digest: hex!("5daa58108539458cf4c12f49e9dc59dce7078d1eed36274d2046576a719d4244"),
        kind: TransactionKind::Blob,
        chain_id: 11_155_111,
        nonce: 3,
        gas_limit: 100_000,
        fees: Fees {
            max_fee_per_gas: 50_000_000_000,
            max_priority_fee_per_gas: Some(2_000_000_000),
            max_fee_per_blob_gas: Some(7_000_000_000),
        },
        to: Some(RECIPIENT),
        value: U256::ZERO,
        data_length: 0,
        selector: None,
        call: None,
        access_list: vec![TOKEN, RECIPIENT],
        authorizations: Vec::new(),
        blobs: 2,
    };
    assert_eq!(transaction, expected);
}

#[test]
fn authorizations() {
    let transaction = decoded(EIP7702);
    let digest = hex!("108353ee081bd50d79b6622f4e1e908336e948c5332282e960bff58b3e23be65");
    assert_eq!(transaction.digest, digest);
    assert_eq!(transaction.kind, TransactionKind::SetCode);
    assert_eq!((transaction.chain_id, transaction.nonce), (10, 4));
    assert_eq!(transaction.gas_limit, 200_000);
    assert_eq!(transaction.fees.max_fee_per_gas, 1_000_000_000);
    assert_eq!(transaction.fees.max_priority_fee_per_gas, Some(1_000_000));
    assert_eq!(transaction.to, Some(address!("4a62316623ad457f02cdc5d997ded67a383ec569")));
    assert_eq!(transaction.selector, Some([0x81, 0x29, 0xfc, 0x1c]));
    let expected = [
        Authorization { chain_id: 10, address: TOKEN, nonce: 5 },
        Authorization { chain_id: 0, address: RECIPIENT, nonce: 0 },
    ];
    assert_eq!(transaction.authorizations, expected);
}

#[test]
fn a_selector_needs_four_bytes() {
    for (data, selector) in
        [(&[1, 2, 3][..], None), (&[1, 2, 3, 4][..], Some([1, 2, 3, 4])), (&[][..], None)]
    {
        let transaction = decoded(&with(EIP1559, 7, rlp(data)));
        assert_eq!((transaction.selector, transaction.data_length), (selector, data.len()));
    }
}

#[test]
fn the_largest_fee_is_that_of_gas_and_of_blobs() {
    assert_eq!(decoded(LEGACY).max_fee(), U256::from(21_000 * 20_000_000_000_u64));
    assert_eq!(decoded(EIP1559).max_fee(), U256::from(65_000 * 40_000_000_000_u64));
    let blobs = 2 * 131_072 * 7_000_000_000_u64;
    assert_eq!(decoded(EIP4844).max_fee(), U256::from(100_000 * 50_000_000_000_u64 + blobs));

    // As large as the types allow, which is more than what decodes.
    let mut largest = decoded(EIP4844);
    (largest.gas_limit, largest.blobs) = (u64::MAX, usize::MAX);
    largest.fees.max_fee_per_gas = u64::MAX;
    largest.fees.max_fee_per_blob_gas = Some(u64::MAX);
    let square = U256::from(u64::MAX) * U256::from(u64::MAX);
    assert_eq!(largest.max_fee(), square * U256::from(131_073));
}

#[test]
fn v_is_the_parity_and_for_legacy_names_the_chain() {
    for typed in [EIP2930, EIP1559, EIP4844, EIP7702] {
        assert_eq!([0, 1].map(|id| decoded(typed).v(id)), [0, 1]);
    }
    // The largest chain id of EIP-2294 leaves room for any recovery id.
    let transaction = decoded(&with(LEGACY, 6, rlp(CHAIN_ID_MAX)));
    assert_eq!(transaction.v(1), 18_446_744_073_709_551_578);
    assert_eq!(transaction.v(u8::MAX), transaction.v(1));
}

#[test]
fn kinds_are_named_by_their_eip() {
    let names = ALL.map(|unsigned| decoded(unsigned).kind.as_str());
    assert_eq!(names, ["legacy", "eip2930", "eip1559", "eip1559", "eip4844", "eip7702"]);
}

mod bounds;
