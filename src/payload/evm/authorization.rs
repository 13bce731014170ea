//! EIP-7702: accounts that run a contract's code from then on.
#![forbid(unsafe_code)]

use alloy_consensus::Transaction;
use alloy_primitives::Address;

use super::{Undecodable, Unsigned, long};

/// One entry of an authorization list. The account that it is about has signed it
/// apart, and is found by recovering that signature: it is not shown here and is
/// not checked. Who signs the transaction carries and pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The chain on which it holds, 0 for every chain. A chain passes over an
    /// entry for another.
    pub chain_id: u64,
    /// The contract whose code the account is to run; zero takes code away.
    pub address: Address,
    /// The account's transaction count that it holds for.
    pub nonce: u64,
}

impl Authorization {
    /// The authorizations of a transaction, in their order.
    pub(super) fn all_of(transaction: &Unsigned) -> Result<Vec<Self>, Undecodable> {
        const RULE: &str = "chain id and nonce of an authorization are at most 2^63 - 1";
        let Some(list) = transaction.authorization_list() else { return Ok(Vec::new()) };
        // EIP-7702: the transaction is invalid where the list is empty.
        if list.is_empty() {
            return Err(Undecodable("an EIP-7702 transaction has at least one authorization"));
        }
        list.iter()
            .map(|signed| {
                Ok(Self {
                    chain_id: long(signed.chain_id, RULE)?,
                    address: signed.address,
                    nonce: long(signed.nonce, RULE)?,
                })
            })
            .collect()
    }
}
