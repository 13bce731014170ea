//! An unsigned Ethereum transaction: what it would do, and the digest that makes
//! it valid.
//!
//! The bytes are those that a wallet hashes: the type byte of EIP-2718 and the
//! RLP list of the fields without a signature, or the RLP list of EIP-155 with
//! the chain id and two zeros at its end. alloy decodes them, and what it decoded
//! must encode to the same bytes again: so there is one view of every digest.
//!
//! What its EIP calls invalid is refused with the rule that it breaks, and so is a
//! number that policy could not compare: Cedar's integers are `i64`. Whether the
//! sender has the funds, the nonce fits or the gas suffices is not looked at.
#![forbid(unsafe_code)]

mod authorization;
mod call;
mod encoding;
mod fees;

use alloy_consensus::{EthereumTypedTransaction, Transaction, TxEip4844};
use alloy_primitives::{Address, U256};
use sha3::{Digest, Keccak256};

use super::Undecodable;

pub use authorization::Authorization;
pub use call::TokenCall;
pub use fees::Fees;

/// The largest chain id of EIP-2294: floor(2^64 / 2) - 36, so that the v of
/// EIP-155 fits into 64 bits.
pub const CHAIN_ID_MAX: u64 = u64::MAX / 2 - 36;

/// The gas of one blob (EIP-4844, `GAS_PER_BLOB`).
const GAS_PER_BLOB: u64 = 1 << 17;

/// The first byte of a blob's versioned hash (EIP-4844, `VERSIONED_HASH_VERSION_KZG`).
const VERSIONED_HASH_VERSION_KZG: u8 = 0x01;

/// A transaction, decoded. All numbers of 64 bits fit into an `i64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvmTransaction {
    /// What is signed: Keccak-256 of the bytes that were decoded.
    pub digest: [u8; 32],
    /// The kind.
    pub kind: TransactionKind,
    /// The chain, 1 to [`CHAIN_ID_MAX`].
    pub chain_id: u64,
    /// The sender's transaction count before this one.
    pub nonce: u64,
    /// The most gas that it may use, blobs apart.
    pub gas_limit: u64,
    /// What is offered for gas.
    pub fees: Fees,
    /// Who is called or paid; none creates a contract.
    pub to: Option<Address>,
    /// What `to` or the new contract gets, in wei.
    pub value: U256,
    /// Bytes of call data, or of the new contract's init code.
    pub data_length: usize,
    /// The function that is called: the first 4 bytes of a call's data. None for
    /// a creation, and for shorter data, which contracts give to their fallback
    /// function.
    pub selector: Option<[u8; 4]>,
    /// The call, where it is one of a token's.
    pub call: Option<TokenCall>,
    /// The addresses of the access list (EIP-2930), in their order, repetitions
    /// included. It changes what gas costs, not what the transaction may touch.
    pub access_list: Vec<Address>,
    /// The accounts that are to get code (EIP-7702), in their order.
    pub authorizations: Vec<Authorization>,
    /// The number of blobs (EIP-4844).
    pub blobs: usize,
}

/// The kinds of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionKind {
    /// Without a type, with the chain id of EIP-155.
    Legacy,
    /// EIP-2930, type 1.
    AccessList,
    /// EIP-1559, type 2.
    DynamicFee,
    /// EIP-4844, type 3: the blobs themselves travel beside it, unsigned.
    Blob,
    /// EIP-7702, type 4.
    SetCode,
}

impl TransactionKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Legacy, Self::AccessList, Self::DynamicFee, Self::Blob, Self::SetCode];
}

/// What alloy decodes.
type Unsigned = EthereumTypedTransaction<TxEip4844>;

impl EvmTransaction {
    /// Decodes the bytes that a wallet would hash, 1 to
    /// [`PAYLOAD_MAX`](super::PAYLOAD_MAX).
    ///
    /// # Errors
    /// They are not the one encoding of an unsigned transaction, or its EIP calls
    /// it invalid, or a number is too large for policy.
    pub fn decode(unsigned: &[u8]) -> Result<Self, Undecodable> {
        let transaction = encoding::decode(unsigned)?;
        let to = transaction.to();
        let data = transaction.input();
        let selector = to.and(data.first_chunk()).copied();
        Ok(Self {
            digest: Keccak256::digest(unsigned).into(),
            kind: TransactionKind::of(&transaction),
            chain_id: chain_id(&transaction)?,
            nonce: long(transaction.nonce(), "a nonce is at most 2^63 - 1")?,
            gas_limit: long(transaction.gas_limit(), "a gas limit is at most 2^63 - 1")?,
            fees: Fees::of(&transaction)?,
            to,
            value: transaction.value(),
            data_length: data.len(),
            selector,
            call: selector.and_then(|_| TokenCall::decode(data)),
            access_list: transaction
                .access_list()
                .map(|list| list.iter().map(|item| item.address).collect())
                .unwrap_or_default(),
            authorizations: Authorization::all_of(&transaction)?,
            blobs: blobs(&transaction)?,
        })
    }

    /// The most wei that gas may cost: limit × fee, and for blobs their number ×
    /// 131,072 × their fee. `value` comes on top, and on some rollups what they
    /// charge for publishing the data, which no field limits.
    ///
    /// It cannot overflow: the factors have 64 bits, 64, 17 and 64, so that the
    /// sum stays below 2^146.
    pub fn max_fee(&self) -> U256 {
        let gas = U256::from(self.gas_limit) * U256::from(self.fees.max_fee_per_gas);
        let blob_gas = U256::from(self.blobs) * U256::from(GAS_PER_BLOB);
        gas + blob_gas * U256::from(self.fees.max_fee_per_blob_gas.unwrap_or_default())
    }

    /// The v that goes with a recovery id of 0 or 1, which is the parity of R's
    /// y: the parity itself, and for legacy chain id × 2 + 35 + parity (EIP-155).
    /// Ethereum cannot express the recovery ids 2 and 3.
    pub fn v(&self, recovery_id: u8) -> u64 {
        let parity = u64::from(recovery_id & 1);
        match self.kind {
            TransactionKind::Legacy => self.chain_id * 2 + 35 + parity,
            TransactionKind::AccessList
            | TransactionKind::DynamicFee
            | TransactionKind::Blob
            | TransactionKind::SetCode => parity,
        }
    }
}

impl TransactionKind {
    /// The name in policies: the EIP that defined it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::AccessList => "eip2930",
            Self::DynamicFee => "eip1559",
            Self::Blob => "eip4844",
            Self::SetCode => "eip7702",
        }
    }

    fn of(transaction: &Unsigned) -> Self {
        match transaction {
            Unsigned::Legacy(_) => Self::Legacy,
            Unsigned::Eip2930(_) => Self::AccessList,
            Unsigned::Eip1559(_) => Self::DynamicFee,
            Unsigned::Eip4844(_) => Self::Blob,
            Unsigned::Eip7702(_) => Self::SetCode,
        }
    }
}

fn chain_id(transaction: &Unsigned) -> Result<u64, Undecodable> {
    match transaction.chain_id() {
        None => Err(encoding::WITHOUT_CHAIN_ID),
        Some(0) => Err(Undecodable("chain id 0 names no chain")),
        Some(id) if id > CHAIN_ID_MAX => {
            Err(Undecodable("a chain id is at most 9223372036854775771 (EIP-2294)"))
        }
        Some(id) => Ok(id),
    }
}

/// EIP-4844: at least one blob, each named by a versioned hash of version 1.
fn blobs(transaction: &Unsigned) -> Result<usize, Undecodable> {
    let Some(hashes) = transaction.blob_versioned_hashes() else { return Ok(0) };
    if hashes.is_empty() {
        return Err(Undecodable("an EIP-4844 transaction has at least one blob"));
    }
    if hashes.iter().any(|hash| hash.first() != Some(&VERSIONED_HASH_VERSION_KZG)) {
        return Err(Undecodable("a blob's versioned hash begins with 0x01 (EIP-4844)"));
    }
    Ok(hashes.len())
}

/// A number that policy can compare: Cedar's `Long` is an `i64`.
fn long(number: impl TryInto<i64>, rule: &'static str) -> Result<u64, Undecodable> {
    number.try_into().ok().map(i64::unsigned_abs).ok_or(Undecodable(rule))
}

#[cfg(test)]
mod tests;
