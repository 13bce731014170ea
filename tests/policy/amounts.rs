//! What stays within a named limit, and what does not.

use alloy_primitives::{Address, U256};
use countersign::{
    payload::{Payload, PayloadKind},
    policy::amount::{AmountLimit, AmountLimits, Unit},
};

/// The contract in the vectors below.
const TOKEN: &str = "0x7d31bB30a582a559EDBB940C21e2C1037197E48e";

/// transfer(address,uint256), EIP-1559 on chain 1, gas 90,000 at 30 gwei at most; by viem.
const TRANSFER: &str = "02f86e0180843b9aca008506fc23ac0083015f90947d31bb30a582a559edbb940c21e2c1037197e48e80b844a9059cbb00000000000000000000000090763defbd225df01907a64a6b43b93b96a9c8b000000000000000000000000000000000000000000000b3ca359f601d901bbc7dc0";
/// 0xb3ca359f601d901bbc7d, what it transfers.
const TRANSFERRED: &str = "849033706649241217907837";
const FEE: u64 = 90_000 * 30_000_000_000;

/// One lamport is not much: a System transfer of 0, by @solana/web3.js.
const LAMPORTS: &str = "01000103949f3ad2fbdcf303350b0694241c9df91c01e2b0affae33d549cac6defe16a26dd1ee24fd7e49dfb95a940f99bf97ee80632634959237209526ac40e6579fdbf0000000000000000000000000000000000000000000000000000000000000000ab44bf129de538e758002f59c59f0392df2504f351a8c608e84f27eb66fbbb5901020200010c020000000000000000000000";

fn decode(kind: PayloadKind, digits: &str) -> Payload {
    Payload::decode(kind, hex::decode(digits).unwrap().into()).unwrap()
}

fn is_within(payload: &Payload, unit: Unit, at_most: U256) -> bool {
    let limit = AmountLimit { name: "limit".into(), unit, at_most };
    let limits: AmountLimits = [limit].into_iter().collect();
    limits.within(payload).next().is_some()
}

fn token(chain_id: u64, token: &str) -> Unit {
    Unit::Token { chain_id, token: token.parse().unwrap() }
}

#[test]
fn a_token_transfer_is_within_up_to_its_amount() {
    let payload = decode(PayloadKind::EvmTransaction, TRANSFER);
    let amount: U256 = TRANSFERRED.parse().unwrap();
    assert!(is_within(&payload, token(1, TOKEN), amount));
    assert!(is_within(&payload, token(1, TOKEN), U256::MAX));
    assert!(!is_within(&payload, token(1, TOKEN), amount - U256::ONE));
    assert!(!is_within(&payload, token(10, TOKEN), U256::MAX), "another chain");
    let other = Address::repeat_byte(1).to_string();
    assert!(!is_within(&payload, token(1, &other), U256::MAX), "another token");
    assert!(!is_within(&payload, Unit::Lamports, U256::MAX), "another unit");
}

#[test]
fn a_call_that_is_not_read_is_within_nothing_of_its_token() {
    // One bit of the padding: no known call any more.
    let dirty = TRANSFER.replace("a9059cbb00", "a9059cbb01");
    let payload = decode(PayloadKind::EvmTransaction, &dirty);
    assert!(!is_within(&payload, token(1, TOKEN), U256::MAX));
    assert!(is_within(&payload, Unit::Wei { chain_id: None }, U256::ZERO), "it sends no ether");
}

#[test]
fn approvals_count_as_transfers_do() {
    let approval = TRANSFER.replace("a9059cbb", "095ea7b3");
    let payload = decode(PayloadKind::EvmTransaction, &approval);
    let amount: U256 = TRANSFERRED.parse().unwrap();
    assert!(is_within(&payload, token(1, TOKEN), amount));
    assert!(!is_within(&payload, token(1, TOKEN), amount - U256::ONE));
}

#[test]
fn value_and_fee_are_compared_apart_and_by_chain() {
    let payload = decode(PayloadKind::EvmTransaction, TRANSFER);
    for chain_id in [None, Some(1)] {
        assert!(is_within(&payload, Unit::Wei { chain_id }, U256::ZERO));
        assert!(is_within(&payload, Unit::WeiFee { chain_id }, U256::from(FEE)));
        assert!(!is_within(&payload, Unit::WeiFee { chain_id }, U256::from(FEE - 1)));
    }
    let elsewhere = Some(10);
    assert!(!is_within(&payload, Unit::Wei { chain_id: elsewhere }, U256::MAX));
    assert!(!is_within(&payload, Unit::WeiFee { chain_id: elsewhere }, U256::MAX));
}

#[test]
fn a_permit_counts_for_the_token_of_its_domain() {
    let json = |value: &str| {
        let json = format!(
            r#"{{"types":{{"Permit":[{{"name":"owner","type":"address"}},{{"name":"spender","type":"address"}},{{"name":"value","type":"uint256"}},{{"name":"nonce","type":"uint256"}},{{"name":"deadline","type":"uint256"}}]}},"primaryType":"Permit","domain":{{"chainId":1,"verifyingContract":"{TOKEN}"}},"message":{{"owner":"{TOKEN}","spender":"{TOKEN}","value":"{value}","nonce":0,"deadline":1}}}}"#
        );
        Payload::decode(PayloadKind::Eip712, json.into()).unwrap()
    };
    let all = U256::MAX.to_string();
    assert!(is_within(&json("1000"), token(1, TOKEN), U256::from(1000)));
    assert!(!is_within(&json("1001"), token(1, TOKEN), U256::from(1000)));
    assert!(!is_within(&json(&all), token(1, TOKEN), U256::MAX - U256::ONE));
    assert!(is_within(&json(&all), token(1, TOKEN), U256::MAX));
    assert!(!is_within(&json("1"), token(2, TOKEN), U256::MAX));
}

#[test]
fn lamports_are_added_up_where_all_is_known() {
    let payload = decode(PayloadKind::SolanaMessage, LAMPORTS);
    assert!(is_within(&payload, Unit::Lamports, U256::ZERO));
    // 1 lamport: the amount is the last eight bytes.
    let one = format!("{}0100000000000000", &LAMPORTS[..LAMPORTS.len() - 16]);
    let payload = decode(PayloadKind::SolanaMessage, &one);
    assert!(!is_within(&payload, Unit::Lamports, U256::ZERO));
    assert!(is_within(&payload, Unit::Lamports, U256::from(1)));
    // Instruction 9 of the System program (Allocate): not one that is known here.
    let opaque = LAMPORTS.replace("0c0200000000", "0c0900000000");
    let payload = decode(PayloadKind::SolanaMessage, &opaque);
    assert!(!is_within(&payload, Unit::Lamports, U256::MAX));
}
