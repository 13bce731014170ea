//! Amounts: limits in 256 bits that the configuration names.
//!
//! Cedar counts in 64 bits, in which 10 ether do not fit. So amounts are compared
//! here, and a policy sees the names of the limits that a payload stays within:
//! `context.within.contains("small")`. A limit is among them only if the payload
//! says an amount of the limit's unit and says all of it: what cannot be read
//! stays within nothing.

use alloy_primitives::{Address as EvmAddress, U256};

use crate::payload::{
    Payload,
    eip712::TypedData,
    evm::{EvmTransaction, TokenCall},
    solana::{Address as SolanaAddress, SolanaMessage},
};

/// A named limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmountLimit {
    /// The name in policies.
    pub name: Box<str>,
    /// What is measured.
    pub unit: Unit,
    /// The most that stays within, in the smallest unit.
    pub at_most: U256,
}

/// What an amount is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The value of an Ethereum transaction, in wei, on one chain or on any.
    Wei {
        /// EIP-155 chain id.
        chain_id: Option<u64>,
    },
    /// The most that an Ethereum transaction may pay for gas and blobs, in wei.
    WeiFee {
        /// EIP-155 chain id.
        chain_id: Option<u64>,
    },
    /// An amount of one ERC-20 token, in its smallest unit: what a call transfers
    /// or approves, or what an ERC-2612 permit allows.
    Token {
        /// EIP-155 chain id.
        chain_id: u64,
        /// The token's contract.
        token: EvmAddress,
    },
    /// What the instructions of a Solana message transfer, added up, in lamports.
    Lamports,
    /// The same of one SPL token, in its smallest unit.
    Mint(SolanaAddress),
}

/// Every named limit of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmountLimits(Box<[AmountLimit]>);

impl AmountLimits {
    /// The names of the limits that `payload` stays within.
    pub fn within<'a>(&'a self, payload: &'a Payload) -> impl Iterator<Item = &'a str> {
        let within = self.0.iter().filter(|limit| {
            limit.unit.amount(payload).is_some_and(|amount| amount <= limit.at_most)
        });
        within.map(|limit| &*limit.name)
    }
}

impl AmountLimits {
    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|limit| &*limit.name)
    }
}

impl FromIterator<AmountLimit> for AmountLimits {
    fn from_iter<I: IntoIterator<Item = AmountLimit>>(limits: I) -> Self {
        Self(limits.into_iter().collect())
    }
}

impl Unit {
    /// How much of it the payload moves or allows, if it says so.
    fn amount(&self, payload: &Payload) -> Option<U256> {
        match payload {
            Payload::EvmTransaction(transaction) => self.of_transaction(transaction),
            Payload::Eip712(data) => self.of_typed_data(data),
            Payload::SolanaMessage(message) => self.of_solana(message),
            Payload::Message(_) | Payload::Digest(_) | Payload::Eip191(_) => None,
        }
    }

    fn of_transaction(&self, transaction: &EvmTransaction) -> Option<U256> {
        let here = |chain: &Option<u64>| chain.is_none_or(|chain| chain == transaction.chain_id);
        match self {
            Self::Wei { chain_id } => here(chain_id).then_some(transaction.value),
            Self::WeiFee { chain_id } => here(chain_id).then(|| transaction.max_fee()),
            Self::Token { chain_id, token } => {
                let same =
                    *chain_id == transaction.chain_id && transaction.to.as_ref() == Some(token);
                let TokenCall { amount, .. } = transaction.call.as_ref().filter(|_| same)?;
                *amount
            }
            Self::Lamports | Self::Mint(_) => None,
        }
    }

    fn of_typed_data(&self, data: &TypedData) -> Option<U256> {
        let Self::Token { chain_id, token } = self else { return None };
        let same = data.domain.chain_id == Some(*chain_id)
            && data.domain.verifying_contract.as_ref() == Some(token);
        data.permit.as_ref().filter(|_| same).map(|permit| permit.value)
    }

    fn of_solana(&self, message: &SolanaMessage) -> Option<U256> {
        match self {
            Self::Lamports => message.lamports().map(U256::from),
            Self::Mint(mint) => message.tokens(mint).map(U256::from),
            Self::Wei { .. } | Self::WeiFee { .. } | Self::Token { .. } => None,
        }
    }
}
