//! A Solana transaction message, as it is signed: legacy or version 0.
//!
//! The bytes are read by the library that validators use, and hold what it would
//! write. What policy sees beside the message's own parts is what its instructions
//! do with lamports and tokens, as far as that is known here; whether it is known
//! of every one of them is said too.
#![forbid(unsafe_code)]

mod compute_budget;
mod instruction;
mod program;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use solana_message::{MESSAGE_VERSION_PREFIX, VersionedMessage, v1::V1_PREFIX};

pub use solana_message::Address;

use self::{
    compute_budget::ComputeBudget,
    instruction::{Effect, Instruction},
};
use super::Undecodable;

/// The longest message, in bytes: a packet, which also holds the signatures.
pub const SOLANA_MESSAGE_MAX: usize = 1232;

/// A decoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolanaMessage {
    /// What is signed: the bytes that were decoded.
    pub signed: Box<[u8]>,
    /// The version.
    pub version: Version,
    /// Who pays the fee: the first account.
    pub fee_payer: Address,
    /// The static accounts, in their order. Those of look-up tables are not in the
    /// message.
    pub accounts: Vec<Account>,
    /// The programs that instructions call, in the order of their first call.
    pub programs: Vec<Address>,
    /// The address look-up tables.
    pub lookup_tables: Vec<Address>,
    /// The transfers that were decoded, in the order of the instructions.
    pub transfers: Vec<Transfer>,
    /// The compute unit limit that is set.
    pub compute_unit_limit: Option<u32>,
    /// The price of a compute unit that is set, in micro-lamports, at most 2⁶³ − 1.
    /// It is paid for the whole limit, beside the fee for each signature.
    pub compute_unit_price: Option<u64>,
    /// Whether the blockhash is a durable nonce: the message does not expire.
    pub durable_nonce: bool,
    /// Whether it is known of every instruction what it does with lamports and
    /// tokens. If not, the transfers may not be all.
    pub fully_decoded: bool,
}

/// The version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Without a version.
    Legacy,
    /// Version 0: with look-up tables.
    V0,
}

/// An account that is named in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub address: Address,
    /// Whether it must sign.
    pub signer: bool,
    /// Whether instructions may write to it. Validators take this from programs and
    /// from some accounts of their own.
    pub writable: bool,
}

/// A transfer of lamports or tokens. An account is none if it is from a look-up
/// table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The program that makes it.
    pub program: TransferProgram,
    /// From which account; of tokens, a token account.
    pub source: Option<Address>,
    /// To which account; of tokens, a token account. It may be a new one.
    pub destination: Option<Address>,
    /// Who agrees by signing.
    pub authority: Option<Address>,
    /// What token, if the instruction says.
    pub mint: Option<Address>,
    /// How much, in lamports or the token's smallest unit.
    pub amount: u64,
}

/// The program of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferProgram {
    /// The System program: lamports.
    System,
    /// The SPL Token program. Wrapped SOL is one of its tokens.
    Token,
    /// The Token-2022 program.
    Token2022,
}

const SIZE: Undecodable = Undecodable("a Solana message has 1 to 1,232 bytes");
const VERSION: Undecodable =
    Undecodable("a Solana message is legacy or version 0; no other version is supported");
const MALFORMED: Undecodable = Undecodable(
    "a Solana message is exactly its encoding: lengths in as few bytes as they need, and nothing after it",
);
const INSANE: Undecodable = Undecodable(
    "a Solana message has a fee payer that signs and can be written to, and names no account, program or look-up that it does not have",
);
const TWICE: Undecodable = Undecodable("no account may stand twice in one Solana message");

impl SolanaMessage {
    /// Decodes a message of 1 to [`SOLANA_MESSAGE_MAX`] bytes, without signatures.
    ///
    /// # Errors
    /// The first rule that it breaks. Validators would refuse it too, but for other
    /// versions and a price beyond 2⁶³ − 1.
    pub fn decode(message: &[u8]) -> Result<Self, Undecodable> {
        if !(1..=SOLANA_MESSAGE_MAX).contains(&message.len()) {
            return Err(SIZE);
        }
        let decoded = sanitized(message)?;
        let version = match decoded {
            VersionedMessage::Legacy(_) => Version::Legacy,
            VersionedMessage::V0(_) => Version::V0,
            VersionedMessage::V1(_) => return Err(VERSION),
        };
        let addresses = decoded.static_account_keys();
        let mut distinct = HashSet::new();
        if !addresses.iter().all(|address| distinct.insert(address)) {
            return Err(TWICE);
        }

        let mut programs = Vec::new();
        let mut transfers = Vec::new();
        let mut budget = ComputeBudget::default();
        let (mut durable_nonce, mut fully_decoded) = (false, true);
        for (position, compiled) in decoded.instructions().iter().enumerate() {
            let instruction = Instruction::new(compiled, addresses).ok_or(INSANE)?;
            if !programs.contains(instruction.program) {
                programs.push(*instruction.program);
            }
            durable_nonce |= position == 0 && instruction.advances_nonce();
            fully_decoded &= if *instruction.program == program::COMPUTE_BUDGET {
                budget.set(instruction.data)?
            } else {
                let effect = instruction.effect();
                let known = effect.is_some();
                if let Some(Effect::Transfer(transfer)) = effect {
                    transfers.push(transfer);
                }
                known
            };
        }

        let lookups = decoded.address_table_lookups().unwrap_or_default();
        Ok(Self {
            signed: message.into(),
            version,
            fee_payer: *addresses.first().ok_or(INSANE)?,
            accounts: accounts(&decoded),
            programs,
            lookup_tables: lookups.iter().map(|lookup| lookup.account_key).collect(),
            transfers,
            compute_unit_limit: budget.unit_limit,
            compute_unit_price: budget.unit_price,
            durable_nonce,
            fully_decoded,
        })
    }

    /// Whether a validator could take bytes for a transaction message, of a version
    /// that is not decoded here too. Who signs them signs a transaction.
    pub fn looks_like(bytes: &[u8]) -> bool {
        match bytes.first() {
            // Of version 1 the beginning is enough, and no rule but its encoding:
            // it is new, and may still grow.
            Some(&V1_PREFIX) => wincode::deserialize::<VersionedMessage>(bytes).is_ok(),
            _ => bytes.len() <= SOLANA_MESSAGE_MAX && sanitized(bytes).is_ok(),
        }
    }

    /// The lamports that transfers move, fees not counted; none if an instruction is
    /// not known.
    pub fn lamports(&self) -> Option<u128> {
        let system = self.transfers.iter().filter(|t| t.program == TransferProgram::System);
        self.fully_decoded.then(|| system.map(|transfer| u128::from(transfer.amount)).sum())
    }

    /// The tokens of `mint` that transfers move, in its smallest unit; none if an
    /// instruction is not known, or moves tokens and does not say which.
    pub fn tokens(&self, mint: &Address) -> Option<u128> {
        let mut tokens = self.transfers.iter().filter(|t| t.program != TransferProgram::System);
        let sum = tokens.try_fold(0, |sum, transfer| {
            let amount = if transfer.mint? == *mint { transfer.amount } else { 0 };
            Some(sum + u128::from(amount))
        });
        sum.filter(|_| self.fully_decoded)
    }
}

impl Version {
    /// Every version.
    pub const ALL: [Self; 2] = [Self::Legacy, Self::V0];

    /// The name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::V0 => "0",
        }
    }
}

impl TransferProgram {
    /// The name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Token => "token",
            Self::Token2022 => "token-2022",
        }
    }
}

/// Reads a legacy message or one of version 0 that validators would not refuse for
/// its form.
fn sanitized(message: &[u8]) -> Result<VersionedMessage, Undecodable> {
    let first = *message.first().ok_or(SIZE)?;
    if first > MESSAGE_VERSION_PREFIX {
        return Err(VERSION);
    }
    let decoded: VersionedMessage = wincode::deserialize(message).map_err(|_| MALFORMED)?;
    decoded.sanitize().map_err(|_| INSANE)?;
    if decoded.serialize() == message { Ok(decoded) } else { Err(MALFORMED) }
}

/// The header counts signers from the front, and among signers and others the
/// read-only ones from the end.
fn accounts(message: &VersionedMessage) -> Vec<Account> {
    let header = message.header();
    let signers = usize::from(header.num_required_signatures);
    let addresses = message.static_account_keys();
    let written = signers.saturating_sub(header.num_readonly_signed_accounts.into());
    let end = addresses.len().saturating_sub(header.num_readonly_unsigned_accounts.into());
    let account = |(index, address): (usize, &Address)| Account {
        address: *address,
        signer: index < signers,
        writable: index < written || (signers..end).contains(&index),
    };
    addresses.iter().enumerate().map(account).collect()
}
