//! The header's fields, and what a reader expects of them.

use std::fmt;

use crate::key::{
    AccountAddress, Algorithm, Binding, Environment, Malformed, RecordVersion, ShareId, WalletId,
};

/// Which share of whom, in which environment: fixed for the record's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The environment that the record is sealed for.
    pub environment: Environment,
    /// The wallet that owns the share.
    pub wallet: WalletId,
    /// The share.
    pub share: ShareId,
    /// The version of the record.
    pub version: RecordVersion,
    /// The account address that the record is bound to, if any.
    pub address: Option<AccountAddress>,
    /// The share's algorithm.
    pub algorithm: Algorithm,
    /// How its public key is known.
    pub binding: Binding,
}

/// The key in a KMS that wraps the DEK, without its version, which lives in the
/// wrapped DEK alone. Written `provider/mount/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekRef {
    provider: Box<str>,
    mount: Box<str>,
    name: Box<str>,
}

/// The key commitment: 32 bytes that only one DEK gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment(pub [u8; 32]);

/// The AES-GCM nonce: 12 random bytes, stored although its DEK is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 12]);

/// The immutable part of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose share it is.
    pub identity: Identity,
    /// What wraps its DEK.
    pub kek: KekRef,
    /// What its DEK commits to.
    pub commitment: Commitment,
    /// The nonce of its one encryption.
    pub nonce: Nonce,
}

/// Bit 7 of the algorithm's byte: the share is opaque.
const OPAQUE: u8 = 0x80;

impl Identity {
    /// The byte for algorithm and binding.
    pub(super) fn kind(&self) -> u8 {
        let opaque = if self.binding == Binding::Declared { OPAQUE } else { 0 };
        self.algorithm.number() | opaque
    }

    /// What such a byte says.
    pub(super) fn of_kind(kind: u8) -> Result<(Algorithm, Binding), Malformed> {
        let opaque = kind & OPAQUE != 0;
        let binding = if opaque { Binding::Declared } else { Binding::Derived };
        Ok((Algorithm::try_from(kind & !OPAQUE)?, binding))
    }
}

impl KekRef {
    /// Parses the parts of a KEK reference.
    ///
    /// # Errors
    /// The provider is not 1 to 32, the mount not 0 to 64 or the name not 1 to
    /// 64 of `A-Z a-z 0-9 . _ -` (and `/` in the mount).
    pub fn new(provider: &str, mount: &str, name: &str) -> Result<Self, Malformed> {
        let word = |text: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        };
        let path = |text: &str| text.split('/').all(|part| !part.is_empty() && word(part));
        if !(1..=32).contains(&provider.len())
            || !word(provider)
            || mount.len() > 64
            || !(mount.is_empty() || path(mount))
            || !(1..=64).contains(&name.len())
            || !word(name)
        {
            return Err(Malformed(
                "a KEK is provider/mount/name of A-Z a-z 0-9 . _ - (mount with /), \
                 of at most 32, 64 and 64 characters",
            ));
        }
        Ok(Self { provider: provider.into(), mount: mount.into(), name: name.into() })
    }

    /// The kind of KMS: `vault-transit` or `local`.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Where in the KMS the key is, empty where a KMS has one place only.
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Nonce {
    /// Drawn from the operating system's generator.
    ///
    /// # Errors
    /// There is none, or it fails.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce)?;
        Ok(Self(nonce))
    }
}

impl fmt::Display for KekRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.provider, self.mount, self.name)
    }
}
