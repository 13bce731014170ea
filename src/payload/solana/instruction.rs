//! What an instruction does with lamports and tokens.
//!
//! Known are the payments of the System and the token programs, and of the rest
//! only what cannot cost anything. `Assign` and `Allocate` are not among them: an
//! account that is assigned to another program is that program's to empty, and one
//! that has data can pay no more. Nor is the making of a token account: its rent
//! is not in the message.

use solana_message::{Address, compiled_instruction::CompiledInstruction};

use super::{Transfer, TransferProgram, program};

/// An instruction, and the static accounts that its numbers stand for.
#[derive(Clone, Copy)]
pub(super) struct Instruction<'m> {
    pub(super) program: &'m Address,
    pub(super) data: &'m [u8],
    accounts: &'m [u8],
    addresses: &'m [Address],
}

/// What a known instruction does.
pub(super) enum Effect {
    /// It moves lamports or tokens.
    Transfer(Transfer),
    /// It moves nothing, and gives nobody the right to.
    Nothing,
}

/// `SystemInstruction`, a 32-bit number before little-endian fields (bincode).
mod system {
    pub(super) const CREATE_ACCOUNT: u32 = 0;
    pub(super) const TRANSFER: u32 = 2;
    pub(super) const CREATE_ACCOUNT_WITH_SEED: u32 = 3;
    pub(super) const ADVANCE_NONCE_ACCOUNT: u32 = 4;
    pub(super) const WITHDRAW_NONCE_ACCOUNT: u32 = 5;
    pub(super) const TRANSFER_WITH_SEED: u32 = 11;
}

/// `TokenInstruction`, one byte before little-endian fields.
mod token {
    pub(super) const TRANSFER: u8 = 3;
    pub(super) const TRANSFER_CHECKED: u8 = 12;
    /// Token-2022 alone: instructions about fees, told apart by a second byte.
    pub(super) const FEE_EXTENSION: u8 = 26;
    pub(super) const TRANSFER_CHECKED_WITH_FEE: u8 = 1;
}

impl<'m> Instruction<'m> {
    /// None if the program is no static account, which no validator takes.
    pub(super) fn new(compiled: &'m CompiledInstruction, addresses: &'m [Address]) -> Option<Self> {
        Some(Self {
            program: addresses.get(usize::from(compiled.program_id_index))?,
            data: &compiled.data,
            accounts: &compiled.accounts,
            addresses,
        })
    }

    /// What it does; none if that is not known here, also because its data is
    /// longer or shorter than its program writes it.
    pub(super) fn effect(self) -> Option<Effect> {
        match *self.program {
            program::SYSTEM => self.system(),
            program::TOKEN => self.token(TransferProgram::Token),
            program::TOKEN_2022 => self.token(TransferProgram::Token2022),
            program if program::MEMO.contains(&program) => Some(Effect::Nothing),
            _ => None,
        }
    }

    /// Whether validators would take the message's blockhash for a nonce, had it
    /// this as its first instruction. They read no further than the number.
    pub(super) fn advances_nonce(self) -> bool {
        let number = system::ADVANCE_NONCE_ACCOUNT.to_le_bytes();
        *self.program == program::SYSTEM && self.data.starts_with(&number)
    }

    fn system(self) -> Option<Effect> {
        let (number, fields) = self.data.split_first_chunk()?;
        let ([source, destination], authority, lamports) = match u32::from_le_bytes(*number) {
            system::TRANSFER => {
                let ([source, destination], amount) = (self.first()?, fields.try_into().ok()?);
                ([source, destination], source, amount)
            }
            system::CREATE_ACCOUNT => {
                let [source, created] = self.first()?;
                let (amount, rest) = fields.split_first_chunk()?;
                // Space and owner.
                <&[u8; 40]>::try_from(rest).ok()?;
                ([source, created], source, *amount)
            }
            system::CREATE_ACCOUNT_WITH_SEED => {
                let [source, created] = self.first()?;
                let (_base, rest) = fields.split_first_chunk::<32>()?;
                let (amount, rest) = after_seed(rest)?.split_first_chunk()?;
                <&[u8; 40]>::try_from(rest).ok()?;
                ([source, created], source, *amount)
            }
            system::TRANSFER_WITH_SEED => {
                let [source, base, destination] = self.first()?;
                let (amount, rest) = fields.split_first_chunk()?;
                // The owner.
                <&[u8; 32]>::try_from(after_seed(rest)?).ok()?;
                ([source, destination], base, *amount)
            }
            system::WITHDRAW_NONCE_ACCOUNT => {
                let [nonce, destination, _blockhashes, _rent, authority] = self.first()?;
                ([nonce, destination], authority, fields.try_into().ok()?)
            }
            system::ADVANCE_NONCE_ACCOUNT if fields.is_empty() => return Some(Effect::Nothing),
            _ => return None,
        };
        Some(Effect::Transfer(Transfer {
            program: TransferProgram::System,
            source,
            destination,
            authority,
            mint: None,
            amount: u64::from_le_bytes(lamports),
        }))
    }

    fn token(self, program: TransferProgram) -> Option<Effect> {
        let (number, fields) = self.data.split_first()?;
        let ([source, destination, authority, mint], amount) = match *number {
            token::TRANSFER => {
                let [source, destination, authority] = self.first()?;
                ([source, destination, authority, None], fields.try_into().ok()?)
            }
            token::TRANSFER_CHECKED => {
                let [source, mint, destination, authority] = self.first()?;
                let (amount, decimals) = fields.split_first_chunk()?;
                <&[u8; 1]>::try_from(decimals).ok()?;
                ([source, destination, authority, mint], *amount)
            }
            token::FEE_EXTENSION if program == TransferProgram::Token2022 => {
                let [source, mint, destination, authority] = self.first()?;
                let fields = fields.strip_prefix(&[token::TRANSFER_CHECKED_WITH_FEE])?;
                let (amount, rest) = fields.split_first_chunk()?;
                // Decimals, and the fee, which is a part of the amount.
                <&[u8; 9]>::try_from(rest).ok()?;
                ([source, destination, authority, mint], *amount)
            }
            _ => return None,
        };
        let amount = u64::from_le_bytes(amount);
        Some(Effect::Transfer(Transfer { program, source, destination, authority, mint, amount }))
    }

    /// The first accounts; each none if it is from a look-up table.
    fn first<const N: usize>(self) -> Option<[Option<Address>; N]> {
        let indexes = self.accounts.first_chunk::<N>()?;
        Some(indexes.map(|index| self.addresses.get(usize::from(index)).copied()))
    }
}

/// What follows a seed: its length in 64 bits, and as many bytes.
fn after_seed(fields: &[u8]) -> Option<&[u8]> {
    let (length, rest) = fields.split_first_chunk()?;
    rest.get(usize::try_from(u64::from_le_bytes(*length)).ok()?..)
}
