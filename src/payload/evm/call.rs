//! Calls that move tokens, or let others move them.
#![forbid(unsafe_code)]

use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolInterface, sol};

use Token::TokenCalls;

sol! {
    /// ERC-20 with the two functions that OpenZeppelin added, and ERC-721. The
    /// selectors of `approve` and `transferFrom` belong to both.
    interface Token {
        function transfer(address to, uint256 amount);
        function transferFrom(address from, address to, uint256 amount);
        function approve(address spender, uint256 amount);
        function increaseAllowance(address spender, uint256 amount);
        function decreaseAllowance(address spender, uint256 amount);
        function safeTransferFrom(address from, address to, uint256 id);
        function safeTransferFrom(address from, address to, uint256 id, bytes data);
        function setApprovalForAll(address operator, bool approved);
    }
}

/// A call that has selector and arguments of a token's function. Whether `to` is a
/// token, and does what the standard says, only the chain knows: policy names the
/// contracts that it trusts.
///
/// The data are exactly the ABI encoding of the arguments. Contracts differ in what
/// they make of others, such as an address with non-zero padding, or bytes that
/// are missing or too many: of those there is no `TokenCall`, only the selector.
///
/// ERC-1155 shares `setApprovalForAll` and is otherwise not decoded: its transfers
/// name a token id and an amount, or lists of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCall {
    /// The function, as its selector is computed: `transfer(address,uint256)`.
    pub function: &'static str,
    /// Whose tokens are moved; none where they are the signer's.
    pub sender: Option<Address>,
    /// Who gets them.
    pub recipient: Option<Address>,
    /// Who may move tokens from then on, or may no longer.
    pub spender: Option<Address>,
    /// The amount in the token's smallest unit, or, of an ERC-721 token, the id:
    /// `approve` and `transferFrom` do not tell which.
    pub amount: Option<U256>,
    /// Whether the spender may move every token of the collection.
    pub approved: Option<bool>,
}

impl TokenCall {
    /// The functions that are known.
    pub const FUNCTIONS: &[&str] = TokenCalls::SIGNATURES;

    /// Decodes the data of a call, selector included.
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let call = TokenCalls::abi_decode(data).ok()?;
        if call.abi_encode() != data {
            return None;
        }
        let unnamed = Self {
            function: TokenCalls::signature_by_selector(call.selector())?,
            sender: None,
            recipient: None,
            spender: None,
            amount: None,
            approved: None,
        };
        Some(match call {
            TokenCalls::transfer(call) => {
                Self { recipient: Some(call.to), amount: Some(call.amount), ..unnamed }
            }
            TokenCalls::transferFrom(call) => unnamed.moving(call.from, call.to, call.amount),
            TokenCalls::safeTransferFrom_0(call) => unnamed.moving(call.from, call.to, call.id),
            TokenCalls::safeTransferFrom_1(call) => unnamed.moving(call.from, call.to, call.id),
            TokenCalls::approve(call) => unnamed.allowing(call.spender, call.amount),
            TokenCalls::increaseAllowance(call) => unnamed.allowing(call.spender, call.amount),
            TokenCalls::decreaseAllowance(call) => unnamed.allowing(call.spender, call.amount),
            TokenCalls::setApprovalForAll(call) => {
                Self { spender: Some(call.operator), approved: Some(call.approved), ..unnamed }
            }
        })
    }

    fn moving(self, from: Address, to: Address, amount: U256) -> Self {
        Self { sender: Some(from), recipient: Some(to), amount: Some(amount), ..self }
    }

    fn allowing(self, spender: Address, amount: U256) -> Self {
        Self { spender: Some(spender), amount: Some(amount), ..self }
    }
}

#[cfg(test)]
mod tests;
