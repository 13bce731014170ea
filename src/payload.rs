//! What a caller asks to have signed: decoded once, shown to policy, hashed here.
//!
//! ```text
//! bytes ─▶ decode: one encoding, bounded, nothing after it ─▶ what it says ─▶ policy
//!                                                         └─▶ what is signed ─▶ enclave
//! ```
//! Both come from the same decoding, so that no two payloads with one digest look
//! different to policy. Payloads are public; nothing here sees a share.
#![forbid(unsafe_code)]

pub mod eip191;
pub mod eip712;
pub mod evm;
pub mod solana;

use bytes::Bytes;

use crate::key::Algorithm;
use eip191::PersonalMessage;
use eip712::TypedData;
use evm::EvmTransaction;
use solana::SolanaMessage;

/// The longest payload, in bytes.
pub const PAYLOAD_MAX: usize = 64 * 1024;

/// A decoded payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Raw bytes, 1 to [`PAYLOAD_MAX`], hashed as the algorithm says.
    Message(Bytes),
    /// A digest that the caller computed, signed as it is.
    Digest([u8; 32]),
    /// A message for a person, EIP-191.
    Eip191(Box<PersonalMessage>),
    /// Typed data, EIP-712.
    Eip712(Box<TypedData>),
    /// An unsigned Ethereum transaction.
    EvmTransaction(Box<EvmTransaction>),
    /// A Solana message.
    SolanaMessage(Box<SolanaMessage>),
}

/// The kind of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// [`Payload::Message`].
    Message,
    /// [`Payload::Digest`].
    Digest,
    /// [`Payload::Eip191`].
    Eip191,
    /// [`Payload::Eip712`].
    Eip712,
    /// [`Payload::EvmTransaction`].
    EvmTransaction,
    /// [`Payload::SolanaMessage`].
    SolanaMessage,
}

/// Why bytes are no payload of their kind: a rule, fit for the caller, never the
/// content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub &'static str);

/// The payload is none that the share's algorithm signs; the message says what
/// would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub &'static str);

impl Payload {
    /// Decodes the bytes of a payload of this kind.
    ///
    /// # Errors
    /// The rule of the kind that the bytes break.
    pub fn decode(kind: PayloadKind, bytes: Bytes) -> Result<Self, Undecodable> {
        Ok(match kind {
            PayloadKind::Message => match bytes.len() {
                1..=PAYLOAD_MAX => Self::Message(bytes),
                _ => return Err(Undecodable("has 1 to 65536 bytes")),
            },
            PayloadKind::Digest => match bytes.as_ref().try_into() {
                Ok(digest) => Self::Digest(digest),
                Err(_) => return Err(Undecodable("has exactly 32 bytes")),
            },
            PayloadKind::Eip191 => Self::Eip191(Box::new(PersonalMessage::decode(bytes)?)),
            PayloadKind::Eip712 => Self::Eip712(Box::new(TypedData::decode(&bytes)?)),
            PayloadKind::EvmTransaction => {
                Self::EvmTransaction(Box::new(EvmTransaction::decode(&bytes)?))
            }
            PayloadKind::SolanaMessage => {
                Self::SolanaMessage(Box::new(SolanaMessage::decode(&bytes)?))
            }
        })
    }

    /// The kind.
    pub fn kind(&self) -> PayloadKind {
        match self {
            Self::Message(_) => PayloadKind::Message,
            Self::Digest(_) => PayloadKind::Digest,
            Self::Eip191(_) => PayloadKind::Eip191,
            Self::Eip712(_) => PayloadKind::Eip712,
            Self::EvmTransaction(_) => PayloadKind::EvmTransaction,
            Self::SolanaMessage(_) => PayloadKind::SolanaMessage,
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

    /// What is signed: 32 bytes for a digest and what is hashed for Ethereum, the
    /// bytes themselves for the others.
    pub fn signed_bytes(&self) -> &[u8] {
        match self {
            Self::Message(message) => message,
            Self::Digest(digest) => digest,
            Self::Eip191(message) => message.digest(),
            Self::Eip712(data) => &data.digest,
            Self::EvmTransaction(transaction) => &transaction.digest,
            Self::SolanaMessage(message) => &message.signed,
        }
    }

    /// Ethereum's v for a recovery id, where the kind has one. Ethereum cannot
    /// express the ids 2 and 3, which need an r of which there are some 2^128.
    pub fn v(&self, recovery_id: u8) -> Option<u64> {
        match self {
            _ if recovery_id > 1 => None,
            Self::EvmTransaction(transaction) => Some(transaction.v(recovery_id)),
            Self::Eip191(_) | Self::Eip712(_) => Some(27 + u64::from(recovery_id)),
            Self::Message(_) | Self::Digest(_) | Self::SolanaMessage(_) => None,
        }
    }

    /// Checks that `algorithm` signs such a payload.
    ///
    /// # Errors
    /// It does not; the reason is fit for the caller.
    pub fn fits(&self, algorithm: Algorithm) -> Result<(), Unfit> {
        use Algorithm::{EcdsaP256, EcdsaSecp256k1, Ed25519, SchnorrSecp256k1};

        match (self, algorithm) {
            (Self::Message(message), Ed25519) if SolanaMessage::looks_like(message) => {
                Err(Unfit("this is a Solana message: send it as `solana_message`"))
            }
            (Self::Message(_), Ed25519 | EcdsaP256) => Ok(()),
            (Self::Message(message), SchnorrSecp256k1) if message.len() == 32 => Ok(()),
            (Self::Message(_), SchnorrSecp256k1) => {
                Err(Unfit("a BIP-340 message has exactly 32 bytes"))
            }
            (Self::Message(_), EcdsaSecp256k1) => Err(Unfit(
                "ECDSA secp256k1 signs no bare message: send eip191, eip712, evm_transaction or a \
                 digest",
            )),
            (Self::Digest(_), EcdsaSecp256k1 | EcdsaP256) => Ok(()),
            (Self::Digest(_), Ed25519 | SchnorrSecp256k1) => {
                Err(Unfit("this algorithm signs no digest: send the message itself"))
            }
            (Self::Eip191(_) | Self::Eip712(_) | Self::EvmTransaction(_), EcdsaSecp256k1)
            | (Self::SolanaMessage(_), Ed25519) => Ok(()),
            (
                Self::Eip191(_) | Self::Eip712(_) | Self::EvmTransaction(_),
                Ed25519 | EcdsaP256 | SchnorrSecp256k1,
            ) => Err(Unfit("only ECDSA secp256k1 signs for Ethereum")),
            (Self::SolanaMessage(_), EcdsaSecp256k1 | EcdsaP256 | SchnorrSecp256k1) => {
                Err(Unfit("only Ed25519 signs for Solana"))
            }
        }
    }
}

impl PayloadKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Message,
        Self::Digest,
        Self::Eip191,
        Self::Eip712,
        Self::EvmTransaction,
        Self::SolanaMessage,
    ];

    /// The name in the contract, in policies and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Digest => "digest",
            Self::Eip191 => "eip191",
            Self::Eip712 => "eip712",
            Self::EvmTransaction => "evm_transaction",
            Self::SolanaMessage => "solana_message",
        }
    }

    /// The field of the contract that holds it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Message => "payload.message",
            Self::Digest => "payload.digest",
            Self::Eip191 => "payload.eip191",
            Self::Eip712 => "payload.eip712",
            Self::EvmTransaction => "payload.evm_transaction",
            Self::SolanaMessage => "payload.solana_message",
        }
    }
}
