//! Signed notes: what leaves the machine about a log. The formats are C2SP's
//! [`tlog-checkpoint`](https://c2sp.org/tlog-checkpoint) in a
//! [`signed-note`](https://c2sp.org/signed-note) with an Ed25519 signature.
//!
//! ```text
//! countersign/staging/<instance>      the name of the log, and of its key
//! 1234                                how many records
//! <base64>                            the root of their tree
//!                                     an empty line
//! — <name> <base64>                   4 bytes that name the key, and 64 that sign the text
//! ```

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::tree::Hash;

/// The algorithm's number in a key.
const ED25519: u8 = 1;

/// The name and the public half of a key. Its text is the key as C2SP writes it:
/// `name+hash+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    origin: String,
    key: [u8; 32],
}

/// What signs.
pub struct Signer {
    name: Name,
    sign: Box<Sign>,
}

/// Signs a text; none if it fails.
type Sign = dyn Fn(&str) -> Option<[u8; 64]> + Send + Sync;

/// The head of a log's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// How many records it has.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// Why a note is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text is no key.
    #[error("this is no key of the form name+hash+base64 with Ed25519")]
    Key,
    /// It is not a note of three lines and signatures.
    #[error("this is no signed checkpoint")]
    Form,
    /// Nothing in it is by this key.
    #[error("no signature is by this key")]
    OtherKey,
    /// What is by this key does not sign this text.
    #[error("the signature does not belong to this text")]
    Signature,
    /// The text is of another log.
    #[error("the checkpoint is of another log")]
    Origin,
}

impl Name {
    /// The name of a log's key.
    pub fn new(origin: String, key: [u8; 32]) -> Self {
        Self { origin, key }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// `Key`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(origin), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::Key);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let (algorithm, key) = key.split_first().ok_or(NoteError::Key)?;
        let key = key.try_into().map_err(|_| NoteError::Key)?;
        let name = Self { origin: origin.to_owned(), key };
        let right = *algorithm == ED25519 && hash == hex::encode(name.hash());
        right.then_some(name).ok_or(NoteError::Key)
    }

    /// The name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The public key.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    fn hash(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(&self.origin)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key)
            .finalize();
        let [first, second, third, fourth, ..] = <[u8; 32]>::from(digest);
        [first, second, third, fourth]
    }

    /// Believes a checkpoint that this key signed, of the log that has its name.
    ///
    /// # Errors
    /// All but `Key`, and that where the key is no point.
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let checkpoint = Checkpoint::parse(&self.signed(note)?).ok_or(NoteError::Form)?;
        let same = checkpoint.origin == self.origin;
        same.then_some(checkpoint).ok_or(NoteError::Origin)
    }

    /// The text of a note that this key signed, whatever it says.
    ///
    /// # Errors
    /// As [`Name::open`], but for `Origin`.
    pub fn signed(&self, note: &str) -> Result<String, NoteError> {
        let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::Form)?;
        let text = format!("{text}\n");
        let own = format!("\u{2014} {} ", self.origin);
        let signature = signatures
            .lines()
            .filter_map(|line| STANDARD.decode(line.strip_prefix(&own)?).ok())
            .find_map(|bytes| bytes.strip_prefix(&self.hash())?.try_into().ok())
            .ok_or(NoteError::OtherKey)?;
        let key = VerifyingKey::from_bytes(&self.key).map_err(|_| NoteError::Key)?;
        key.verify_strict(text.as_bytes(), &Signature::from_bytes(&signature))
            .map_err(|_| NoteError::Signature)?;
        Ok(text)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = STANDARD.encode([&[ED25519], &self.key[..]].concat());
        write!(f, "{}+{}+{key}", self.origin, hex::encode(self.hash()))
    }
}

impl Signer {
    /// Signs texts under a name.
    pub fn new(
        name: Name,
        sign: impl Fn(&str) -> Option<[u8; 64]> + Send + Sync + 'static,
    ) -> Self {
        Self { name, sign: Box::new(sign) }
    }

    /// Under which name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Signs the head of a tree; none if the enclave fails.
    pub(super) fn checkpoint(&self, size: u64, root: &Hash) -> Option<String> {
        let origin = self.name.origin();
        self.note(&format!("{origin}\n{size}\n{}\n", STANDARD.encode(root)))
    }

    /// Signs a text, which ends with a line feed; none if the enclave fails.
    pub(crate) fn note(&self, text: &str) -> Option<String> {
        let signature = (self.sign)(text)?;
        let signature = STANDARD.encode([&self.name.hash()[..], &signature].concat());
        Some(format!("{text}\n\u{2014} {} {signature}\n", self.name.origin()))
    }
}

impl Checkpoint {
    /// What a note says, whoever signed it.
    pub(super) fn of(note: &str) -> Option<Self> {
        let (text, _) = note.split_once("\n\n")?;
        Self::parse(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let number: u64 = size.parse().ok()?;
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        // One spelling of the number, and no line that this reader does not know.
        let exact = number.to_string() == size && lines.next().is_none();
        exact.then(|| Self { origin: origin.to_owned(), size: number, root })
    }
}
