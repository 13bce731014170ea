//! Transactions: what viem and ethers read, field by field.

use countersign::payload::{Payload, PayloadKind, evm::EvmTransaction};

use super::{
    corpus::{self, Authorization, Call, Case, Evm, EvmView},
    decoded::{assert_same, decoded, hexed},
};

#[test]
fn every_transaction_is_seen_as_viem_and_ethers_see_it() {
    let evm: Evm = corpus::read("evm.json");
    for case in &evm.cases {
        assert_same(&case.name, &view(&transaction(case)), &case.view);
    }
}

#[test]
fn calls_that_are_not_their_encoding_are_not_shown() {
    let evm: Evm = corpus::read("evm.json");
    for unclear in evm.unclear_calls {
        let corpus::UnclearCall { name, made_by, payload, digest, .. } = unclear;
        let case = Case { name, made_by, payload, digest: Some(digest), read_by: None, view: () };
        let transaction = transaction(&case);
        assert!(transaction.call.is_none(), "{}", case.name);
        assert!(transaction.selector.is_some(), "{}", case.name);
    }
}

fn transaction<V>(case: &Case<V>) -> EvmTransaction {
    match decoded(PayloadKind::EvmTransaction, case) {
        Payload::EvmTransaction(transaction) => *transaction,
        other => panic!("{other:?}"),
    }
}

fn view(transaction: &EvmTransaction) -> EvmView {
    let EvmTransaction {
        digest: _,
        kind,
        chain_id,
        nonce,
        gas_limit,
        fees,
        to,
        value,
        data_length,
        selector,
        call,
        access_list,
        authorizations,
        blobs,
    } = transaction;
    EvmView {
        kind: kind.as_str().to_owned(),
        chain_id: chain_id.to_string(),
        nonce: nonce.to_string(),
        gas_limit: gas_limit.to_string(),
        max_fee_per_gas: fees.max_fee_per_gas.to_string(),
        max_priority_fee_per_gas: fees.max_priority_fee_per_gas.map(|fee| fee.to_string()),
        max_fee_per_blob_gas: fees.max_fee_per_blob_gas.map(|fee| fee.to_string()),
        to: to.map(|to| to.to_checksum(None)),
        value: value.to_string(),
        data_length: *data_length,
        selector: selector.map(|selector| hexed(&selector)),
        access_list: access_list.iter().map(|address| address.to_checksum(None)).collect(),
        authorizations: authorizations
            .iter()
            .map(|authorization| Authorization {
                chain_id: authorization.chain_id.to_string(),
                address: authorization.address.to_checksum(None),
                nonce: authorization.nonce.to_string(),
            })
            .collect(),
        blobs: *blobs,
        call: call.as_ref().map(|call| Call {
            function: call.function.to_owned(),
            sender: call.sender.map(|address| address.to_checksum(None)),
            recipient: call.recipient.map(|address| address.to_checksum(None)),
            spender: call.spender.map(|address| address.to_checksum(None)),
            amount: call.amount.map(|amount| amount.to_string()),
            approved: call.approved,
        }),
    }
}
