//! Names of things: newtypes that are parsed once, on construction.
//!
//! A value of one of these types has the size and the alphabet that its
//! documentation gives, so nothing further down checks again. All of them are
//! public; none is derived from a secret except [`PublicKey`].
#![forbid(unsafe_code)]

mod address;
mod algorithm;

use std::{fmt, num::NonZeroU32, str::FromStr};

use uuid::Uuid;

pub use address::AccountAddress;
pub use algorithm::{Algorithm, PublicKey, PublicKeyError};

/// How the public key of a record is known to belong to its share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Binding {
    /// It is derived from the share at every opening, and compared.
    #[default]
    Derived,
    /// Somebody said so when the share came in: the share is opaque, one party's of a key
    /// that signs with others, and of no use alone.
    Declared,
}

/// Why somebody changes a share, in his own words: 1 to 200 printable characters. For the
/// audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why(Box<str>);

/// Why a text is not a valid name; the message says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The environment that a record belongs to, such as `staging`: 1 to 32 of
/// `a-z 0-9 -`, beginning with a letter.
///
/// It comes from the configuration only and is bound into every envelope, into
/// the KMS context and into the name of the KEK.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Environment(Box<str>);

/// The wallet that a share belongs to: 1 to 128 of `A-Z a-z 0-9 . _ : -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WalletId(Box<str>);

/// A share's identity: a UUID, not nil, written as 36 lower-case characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShareId(Uuid);

/// The version of a record, from 1. A new version has a new DEK and nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordVersion(NonZeroU32);

/// How many times a row was written, from 1: what compare-and-swap compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(u64);

/// Names one call in logs and errors: 1 to 64 of `A-Z a-z 0-9 - _ .`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Box<str>);

/// Whether a share may be used. A column that a database writer can change,
/// and therefore never policy input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareState {
    /// Used by whomever policy allows.
    Enabled,
    /// Used by nobody.
    Disabled,
}

// === impl Environment ===

impl Environment {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name says production: one of its hyphenated parts is `prod`
    /// or `production`. Development-only parts refuse to start there.
    pub fn is_production(&self) -> bool {
        self.0.split('-').any(|part| matches!(part, "prod" | "production"))
    }
}

impl FromStr for Environment {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=32).contains(&text.len())
            || !text.starts_with(|c: char| c.is_ascii_lowercase())
            || !text.chars().all(letters)
        {
            return Err(Malformed(
                "an environment is 1 to 32 of a-z 0-9 - and begins with a letter",
            ));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl WalletId ===

impl WalletId {
    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WalletId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
        if !(1..=128).contains(&text.len()) || !text.chars().all(letters) {
            return Err(Malformed("a wallet id is 1 to 128 of A-Z a-z 0-9 . _ : -"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for WalletId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl ShareId ===

impl ShareId {
    /// The 16 bytes, in the order in which they are written.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The UUID itself, for stores that have a type for it.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }

    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl TryFrom<Uuid> for ShareId {
    type Error = Malformed;

    fn try_from(uuid: Uuid) -> Result<Self, Malformed> {
        if uuid.is_nil() {
            return Err(Malformed("a share id is not the nil UUID"));
        }
        Ok(Self(uuid))
    }
}

impl FromStr for ShareId {
    type Err = Malformed;

    /// Accepts the canonical spelling only, so that one share has one name in
    /// policies and logs.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let canonical = Uuid::try_parse(text)
            .ok()
            .filter(|uuid| uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text);
        canonical
            .ok_or(Malformed("a share id is a UUID of 36 characters, lower case with hyphens"))?
            .try_into()
    }
}

impl fmt::Display for ShareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

// === impl RecordVersion ===

impl RecordVersion {
    /// The version of a share that was just made.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The number, from 1.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The version after this one, if there can be one.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl TryFrom<u32> for RecordVersion {
    type Error = Malformed;

    fn try_from(number: u32) -> Result<Self, Malformed> {
        NonZeroU32::new(number).map(Self).ok_or(Malformed("a record version is at least 1"))
    }
}

// === impl Revision ===

impl Revision {
    /// The revision of a row that was just inserted.
    pub const FIRST: Self = Self(1);

    /// The number, from 1.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The revision after one more write.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl From<u64> for Revision {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

// === impl RequestId ===

impl RequestId {
    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A new random id: a UUID.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }
}

impl FromStr for RequestId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !(1..=64).contains(&text.len()) || !text.chars().all(letters) {
            return Err(Malformed("a request id is 1 to 64 of A-Z a-z 0-9 - _ ."));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Binding ===

impl Binding {
    /// The word for it in policies, stores and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Derived => "derived",
            Self::Declared => "declared",
        }
    }
}

impl FromStr for Binding {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "derived" => Ok(Self::Derived),
            "declared" => Ok(Self::Declared),
            _ => Err(Malformed("a binding is derived or declared")),
        }
    }
}

// === impl Why ===

impl Why {
    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Why {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let length = text.chars().count();
        if !(1..=200).contains(&length) || text.chars().any(char::is_control) {
            return Err(Malformed("is required: 1 to 200 printable characters"));
        }
        Ok(Self(text.into()))
    }
}

// === impl ShareState ===

impl ShareState {
    /// The word for the state in stores, logs and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

impl FromStr for ShareState {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "enabled" => Ok(Self::Enabled),
            "disabled" => Ok(Self::Disabled),
            _ => Err(Malformed("a share state is enabled or disabled")),
        }
    }
}
