//! Encoding and strict decoding.

use std::str::{self, FromStr};

use super::{
    AAD_DOMAIN, ENVELOPE_MAX, FORMAT, MAGIC, SHARE_MAX, SUITE, TAG_LEN, WRAPPED_DEK_MAX,
    header::{Commitment, Header, Identity, KekRef, Nonce},
};
use crate::key::{Malformed, RecordVersion, ShareId};

/// A DEK as the KMS wrapped it: 1 to 4096 bytes, opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedDek(Box<[u8]>);

/// A share sealed under its DEK: ciphertext ‖ tag, 17 to 65,552 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedShare(Box<[u8]>);

/// A decoded envelope. Ciphertext and public header only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    header: Header,
    wrapped_dek: WrappedDek,
    sealed: SealedShare,
}

/// Why bytes are no envelope. Carries positions and lengths, never contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than any envelope.
    #[error("an envelope has at most {ENVELOPE_MAX} bytes, this has {0}")]
    Oversize(usize),
    /// The input ends inside a field.
    #[error("the envelope ends inside its {0}")]
    Truncated(&'static str),
    /// The first four bytes are not "CSGN".
    #[error("not an envelope: wrong magic")]
    Magic,
    /// A format version that this reader does not know.
    #[error("format version {0} is unknown to this reader")]
    Format(u8),
    /// A suite that this reader does not know.
    #[error("suite {0} is unknown to this reader")]
    Suite(u8),
    /// A field breaks the rule of its type.
    #[error("the envelope's {0} is malformed: {1}")]
    Field(&'static str, Malformed),
    /// Bytes after the sealed share.
    #[error("{0} bytes follow the sealed share")]
    Trailing(usize),
}

// === impl WrappedDek, SealedShare ===

impl WrappedDek {
    /// Takes a KMS's answer.
    ///
    /// # Errors
    /// It is empty or longer than [`WRAPPED_DEK_MAX`].
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, Malformed> {
        let bytes = bytes.into();
        if !(1..=WRAPPED_DEK_MAX).contains(&bytes.len()) {
            return Err(Malformed("a wrapped DEK has 1 to 4096 bytes"));
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The version of the KEK that wrapped it, where the text says it as Vault Transit's
    /// does: `provider:v<version>:…`.
    pub fn kek_version(&self) -> Option<u32> {
        let text = str::from_utf8(&self.0).ok()?;
        let (_, rest) = text.split_once(":v")?;
        rest.split_once(':')?.0.parse().ok()
    }
}

impl SealedShare {
    /// Takes ciphertext ‖ tag.
    ///
    /// # Errors
    /// It holds no byte of ciphertext or more than [`SHARE_MAX`].
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, Malformed> {
        let bytes = bytes.into();
        if !(TAG_LEN + 1..=TAG_LEN + SHARE_MAX).contains(&bytes.len()) {
            return Err(Malformed("a sealed share has 17 to 65552 bytes"));
        }
        Ok(Self(bytes))
    }

    /// The bytes: ciphertext ‖ tag.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Ciphertext, as long as the share, and tag.
    pub fn parts(&self) -> (&[u8], &[u8; TAG_LEN]) {
        self.0.split_last_chunk().expect("`new` takes no less than a tag and a byte")
    }
}

// === impl Header ===

impl Header {
    /// The associated data of the share's encryption.
    pub fn aad(&self) -> Vec<u8> {
        let mut aad = AAD_DOMAIN.to_vec();
        self.encode_into(&mut aad);
        aad
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        let identity = &self.identity;
        let Identity { environment, wallet, share, version, address, .. } = identity;
        let address = address.as_ref().map_or("", |address| address.as_str());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[FORMAT, SUITE]);
        put_short(out, environment.as_str().as_bytes());
        put_short(out, wallet.as_str().as_bytes());
        out.extend_from_slice(share.as_bytes());
        out.extend_from_slice(&version.get().to_be_bytes());
        put_short(out, address.as_bytes());
        out.push(identity.kind());
        put_short(out, self.kek.provider().as_bytes());
        put_short(out, self.kek.mount().as_bytes());
        put_short(out, self.kek.name().as_bytes());
        out.extend_from_slice(&self.commitment.0);
        out.extend_from_slice(&self.nonce.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, EnvelopeError> {
        if input.array::<4>("magic")? != *MAGIC {
            return Err(EnvelopeError::Magic);
        }
        match input.byte("format version")? {
            FORMAT => {}
            other => return Err(EnvelopeError::Format(other)),
        }
        match input.byte("suite")? {
            SUITE => {}
            other => return Err(EnvelopeError::Suite(other)),
        }
        let environment = input.name("environment")?;
        let wallet = input.name("wallet id")?;
        let share = field("share id", {
            ShareId::try_from(uuid::Uuid::from_bytes(input.array("share id")?))
        })?;
        let version = field("record version", {
            RecordVersion::try_from(u32::from_be_bytes(input.array("record version")?))
        })?;
        let address = match input.text("account address")? {
            "" => None,
            text => Some(field("account address", text.parse())?),
        };
        let (algorithm, binding) =
            field("key algorithm", Identity::of_kind(input.byte("key algorithm")?))?;
        let provider = input.text("KEK provider")?;
        let mount = input.text("KEK mount")?;
        let name = input.text("KEK name")?;
        Ok(Self {
            identity: Identity { environment, wallet, share, version, address, algorithm, binding },
            kek: field("KEK", KekRef::new(provider, mount, name))?,
            commitment: Commitment(input.array("key commitment")?),
            nonce: Nonce(input.array("nonce")?),
        })
    }
}

// === impl Envelope ===

impl Envelope {
    /// Puts together what was sealed and wrapped.
    pub fn new(header: Header, wrapped_dek: WrappedDek, sealed: SealedShare) -> Self {
        Self { header, wrapped_dek, sealed }
    }

    /// The immutable header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The wrapped DEK.
    pub fn wrapped_dek(&self) -> &WrappedDek {
        &self.wrapped_dek
    }

    /// The sealed share.
    pub fn sealed(&self) -> &SealedShare {
        &self.sealed
    }

    /// The envelope as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.header.encode_into(&mut out);
        put_short(&mut out, self.wrapped_dek.as_bytes());
        // At most 65,552 by the type.
        out.extend_from_slice(&(self.sealed.as_bytes().len() as u32).to_be_bytes());
        out.extend_from_slice(self.sealed.as_bytes());
        out
    }

    /// Reads a stored envelope: one interpretation, every byte accounted for.
    ///
    /// # Errors
    /// See [`EnvelopeError`]; the size is checked before anything is parsed.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENVELOPE_MAX {
            return Err(EnvelopeError::Oversize(bytes.len()));
        }
        let mut input = Reader(bytes);
        let header = Header::decode(&mut input)?;
        let wrapped_dek = field("wrapped DEK", WrappedDek::new(input.short("wrapped DEK")?))?;
        let length = u32::from_be_bytes(input.array("sealed share")?) as usize;
        let sealed = field("sealed share", SealedShare::new(input.take(length, "sealed share")?))?;
        match input.0.len() {
            0 => Ok(Self::new(header, wrapped_dek, sealed)),
            trailing => Err(EnvelopeError::Trailing(trailing)),
        }
    }
}

/// What is left of the input. Each method names the field it reads, so that an
/// error says where the input ends.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], EnvelopeError> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(EnvelopeError::Truncated(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], EnvelopeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(EnvelopeError::Truncated(field))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, EnvelopeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    fn short(&mut self, field: &'static str) -> Result<&'a [u8], EnvelopeError> {
        let length = u16::from_be_bytes(self.array(field)?);
        self.take(length.into(), field)
    }

    fn text(&mut self, name: &'static str) -> Result<&'a str, EnvelopeError> {
        str::from_utf8(self.short(name)?)
            .map_err(|_| EnvelopeError::Field(name, Malformed("not UTF-8")))
    }

    fn name<T: FromStr<Err = Malformed>>(
        &mut self,
        name: &'static str,
    ) -> Result<T, EnvelopeError> {
        field(name, self.text(name)?.parse())
    }
}

fn field<T>(name: &'static str, parsed: Result<T, Malformed>) -> Result<T, EnvelopeError> {
    parsed.map_err(|malformed| EnvelopeError::Field(name, malformed))
}

/// Every field written with this is at most 4096 bytes by its type.
fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}
