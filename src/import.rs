//! Imports: how a share comes in that was made elsewhere. It is sealed to a key that the
//! enclave makes for this one import, so that it lies in plaintext nowhere on the way.
//!
//! ```text
//! enclave   key pair in a slot ─▶ statement: public key, until when; signed by the instance
//! client    statement ─▶ verified with a key that is known from elsewhere ─▶ sealed
//! enclave   sealed ─▶ section: open ▸ derive ▸ compare ▸ seal under a fresh DEK ─▶ stored
//! ```
//! Sealing is RFC 9180 in mode Base with DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256
//! 0x0001 and AES-256-GCM 0x0002; `info` is [`info`], the associated data is empty,
//! and what travels is the encapsulated key, 32 bytes, and the ciphertext with its tag.
#![forbid(unsafe_code)]

mod keys;
mod seal;
mod statement;
#[cfg(test)]
mod tests;

use crate::{
    envelope::{SHARE_MAX, TAG_LEN},
    key::{AccountAddress, Algorithm, Malformed, PublicKey},
    policy::NewShare,
};

pub use keys::{ImportKeys, LIFETIME, LIVE_MAX};
pub use seal::{SealError, seal};
pub use statement::{Statement, StatementError};

/// Bytes of a public key, and of an encapsulated one.
pub const KEY_LEN: usize = 32;
/// The longest sealed share, in bytes: encapsulated key, ciphertext, tag.
pub const SEALED_MAX: usize = KEY_LEN + SHARE_MAX + TAG_LEN;

/// The public key of a share that is imported, or its account address, or both: what the
/// share must turn out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    public_key: Option<PublicKey>,
    address: Option<AccountAddress>,
}

/// A share as it travels: 49 to 65,584 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(Box<[u8]>);

/// The `info` of RFC 9180 §5.1, by which a share opens as what it was sealed for and as
/// nothing else: eight lines of ASCII, each ended by a line feed. The first is
/// `countersign/v1/import`; then environment, wallet id, share id, algorithm, binding,
/// public key in lower-case hexadecimal, account address. What is not declared is an empty
/// line.
pub fn info(new: &NewShare, declared: &Declared) -> String {
    let NewShare { environment, wallet, share, algorithm, binding } = new;
    let Declared { public_key, address } = declared;
    let key = public_key.as_ref().map(|key| hex::encode(key.as_bytes())).unwrap_or_default();
    let address = address.as_ref().map_or("", |address| address.as_str());
    let lines = [
        "countersign/v1/import",
        environment.as_str(),
        wallet.as_str(),
        &share.to_string(),
        algorithm.as_str(),
        binding.as_str(),
        &key,
        address,
        "",
    ];
    lines.join("\n")
}

impl Declared {
    /// What is declared of a share of this algorithm.
    ///
    /// # Errors
    /// It is nothing, the address is not written as this algorithm's are, or key and
    /// address are not each other's.
    pub fn new(
        algorithm: Algorithm,
        public_key: Option<PublicKey>,
        address: Option<AccountAddress>,
    ) -> Result<Self, Malformed> {
        if let Some(address) = &address {
            address.require_canonical(algorithm)?;
        }
        match (&public_key, &address) {
            (None, None) => Err(Malformed("is required where no account address is given")),
            (Some(key), Some(address)) if AccountAddress::of(key).as_ref() != Some(address) => {
                Err(Malformed("is not the account address of the public key"))
            }
            _ => Ok(Self { public_key, address }),
        }
    }

    /// The public key, where that is declared.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.public_key.as_ref()
    }

    /// The public key, or that it is unknown.
    pub(crate) fn public_key_or_unknown(&self, algorithm: Algorithm) -> PublicKey {
        self.public_key.unwrap_or_else(|| PublicKey::unknown(algorithm))
    }

    /// The account address, where that is declared.
    pub fn address(&self) -> Option<&AccountAddress> {
        self.address.as_ref()
    }

    /// Whether a public key is the declared one.
    pub fn is(&self, key: &PublicKey) -> bool {
        let Self { public_key, address } = self;
        public_key.as_ref().is_none_or(|declared| declared == key)
            && (address.is_none() || *address == AccountAddress::of(key))
    }
}

impl Sealed {
    /// Takes what a client sealed.
    ///
    /// # Errors
    /// It is too short to hold a byte, or too long.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, Malformed> {
        let bytes = bytes.into();
        if !(KEY_LEN + 1 + TAG_LEN..=SEALED_MAX).contains(&bytes.len()) {
            return Err(Malformed("has 49 to 65584 bytes"));
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of the share in it.
    pub fn share_len(&self) -> usize {
        self.0.len() - KEY_LEN - TAG_LEN
    }

    /// Encapsulated key, ciphertext, tag.
    pub(crate) fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        // Never shorter than both.
        let (key, rest) = self.0.split_at(KEY_LEN);
        let (ciphertext, tag) = rest.split_at(rest.len() - TAG_LEN);
        (key, ciphertext, tag)
    }
}
