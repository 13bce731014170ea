//! What a caller asks to have signed.
#![forbid(unsafe_code)]

pub mod eip191;
pub mod eip712;
pub mod evm;
pub mod solana;

use bytes::Bytes;

use crate::key::Algorithm;

/// The longest message, in bytes.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// A decoded payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Raw bytes, 1 to [`MESSAGE_MAX`], hashed as the algorithm says.
    Message(Bytes),
    /// A digest that the caller computed, signed as it is.
    Digest([u8; 32]),
}

/// The kind of a payload: what policy sees of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// [`Payload::Message`].
    Message,
    /// [`Payload::Digest`].
    Digest,
}

/// Why bytes are no payload of their kind: a rule, fit for the caller, never the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub &'static str);

/// The payload is none that the share's algorithm signs; the message says what
/// would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub &'static str);

/// Why bytes are no payload of their kind: a rule, fit for the caller, never the
/// content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub &'static str);

impl Payload {
    /// The kind.
    pub fn kind(&self) -> PayloadKind {
        match self {
            Self::Message(_) => PayloadKind::Message,
            Self::Digest(_) => PayloadKind::Digest,
        }
    }

    /// A payload that `algorithm` signs, and nobody asked for.
    pub fn sample(algorithm: Algorithm) -> Self {
        const BYTES: [u8; 32] = [0x5a; 32];
        match algorithm {
            Algorithm::EcdsaSecp256k1 => Self::Digest(BYTES),
            Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::SchnorrSecp256k1 => {
                Self::Message(Bytes::from_static(&BYTES))
            }
        }
    }

    /// Checks that `algorithm` signs such a payload.
    ///
    /// # Errors
    /// It does not; the reason is fit for the caller.
    pub fn fits(&self, algorithm: Algorithm) -> Result<(), Unfit> {
        match (algorithm, self) {
            (Algorithm::Ed25519 | Algorithm::EcdsaP256, Self::Message(_))
            | (Algorithm::EcdsaSecp256k1 | Algorithm::EcdsaP256, Self::Digest(_)) => Ok(()),
            (Algorithm::SchnorrSecp256k1, Self::Message(message)) if message.len() == 32 => Ok(()),
            (Algorithm::SchnorrSecp256k1, Self::Message(_)) => {
                Err(Unfit("a BIP-340 message has exactly 32 bytes"))
            }
            (Algorithm::EcdsaSecp256k1, Self::Message(_)) => {
                Err(Unfit("ECDSA secp256k1 signs no bare message: send a digest"))
            }
            (Algorithm::Ed25519 | Algorithm::SchnorrSecp256k1, Self::Digest(_)) => {
                Err(Unfit("this algorithm signs no digest: send the message itself"))
            }
        }
    }
}

impl PayloadKind {
    /// The name in policies and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Digest => "digest",
        }
    }
}
