//! What a transaction offers for gas, in wei.
#![forbid(unsafe_code)]

use alloy_consensus::Transaction;

use super::{Undecodable, Unsigned, long};

/// Prices in wei per unit of gas, each below 2^63 wei, which is 9.2 ether: policy
/// compares them as `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The most that a unit of gas may cost, priority fee included. In legacy and
    /// EIP-2930 transactions the gas price, which is what it does cost.
    pub max_fee_per_gas: u64,
    /// The part of it that may go to the block's proposer, from EIP-1559 on.
    pub max_priority_fee_per_gas: Option<u64>,
    /// The most that a unit of blob gas may cost, in EIP-4844 only.
    pub max_fee_per_blob_gas: Option<u64>,
}

impl Fees {
    pub(super) fn of(transaction: &Unsigned) -> Result<Self, Undecodable> {
        let fee = |fee: u128| {
            long(fee, "a fee per unit of gas is at most 2^63 - 1 wei, which policy can compare")
        };
        let fees = Self {
            max_fee_per_gas: fee(transaction.max_fee_per_gas())?,
            max_priority_fee_per_gas: transaction
                .max_priority_fee_per_gas()
                .map(fee)
                .transpose()?,
            max_fee_per_blob_gas: transaction.max_fee_per_blob_gas().map(fee).transpose()?,
        };
        // EIP-1559: the priority fee is part of the maximum fee. Where there is none,
        // it is less than any.
        if fees.max_priority_fee_per_gas > Some(fees.max_fee_per_gas) {
            return Err(Undecodable("the priority fee is at most the maximum fee (EIP-1559)"));
        }
        Ok(fees)
    }
}
