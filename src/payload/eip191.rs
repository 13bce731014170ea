//! A personal message (`personal_sign`): EIP-191 data of version 0x45.
#![forbid(unsafe_code)]

use bytes::Bytes;
use sha3::{Digest, Keccak256};

use super::{PAYLOAD_MAX, Undecodable};

/// A message that wallets show to a person before they sign it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalMessage {
    message: Bytes,
    digest: [u8; 32],
}

impl PersonalMessage {
    /// Takes 0 to [`PAYLOAD_MAX`] bytes, without the prefix of the EIP. Bytes that
    /// begin with that prefix are prefixed once more, as wallets do.
    ///
    /// # Errors
    /// The message is too long.
    pub fn decode(message: Bytes) -> Result<Self, Undecodable> {
        if message.len() > PAYLOAD_MAX {
            return Err(Undecodable("a personal message has at most 65536 bytes"));
        }
        // EIP-191: 0x19 <0x45 (E)> <thereum Signed Message:\n" + len(message)>
        // <data to sign>; the length is decimal, without leading zeros.
        let digest = Keccak256::new()
            .chain_update(b"\x19Ethereum Signed Message:\n")
            .chain_update(message.len().to_string())
            .chain_update(&message)
            .finalize()
            .into();
        Ok(Self { message, digest })
    }

    /// The message, as it was sent.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The message as text, where it is valid UTF-8: looked at anew by every call.
    /// Nothing is normalised, so that letters which look alike stay different.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.message).ok()
    }

    /// What is signed: Keccak-256 of prefix, length and message.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

#[cfg(test)]
mod tests;
