//! ===== THE TRUST BOUNDARY =====
//!
//! The only code that ever sees a share or a DEK in plaintext. It does no I/O,
//! logs nothing, awaits nothing and knows nothing of gRPC, KMS or SQL.
//!
//! ```text
//!                    KMS answer                          one synchronous section
//!                        │ fill                ┌───────────────────────────────────────────┐
//!  Slot ──reserve──▶ Slot ────▶ Dek ───────────▶ open ──▶ Share ──▶ derive ─▶ sign ─▶ verify │──▶ Signed
//!  (locked page)                │              └────┬────────┬─────────────────────────────┘
//!                               │            DEK wiped   share wiped: with the section (`sign`)
//!                               │                        or with the stream (`OpenShare`)
//!                               └─ every arrow consumes the value before it
//! ```
//!
//! Each state is a type without `Debug`, `Clone`, `Serialize` or `PartialEq`.
//! The bytes of a [`Slot`] are read through one door, `Slot::reveal`, and
//! written through one, `Slot::fill`.

mod dek;
mod local_kek;
mod open_share;
mod seal;
#[expect(unsafe_code, reason = "secret memory is mapped, locked and wiped by the kernel's calls")]
mod secmem;
mod section;
pub mod signer;

use bytes::Bytes;

use crate::{
    envelope::{Header, Identity, KekRef, SealedShare},
    key::{Algorithm, PublicKey, RecordVersion},
    payload::Payload,
    permitted::PermittedEnvelope,
    policy::{GenerateShare, Opens, Permit, Sign, UseShare},
};

pub use dek::{DEK_LEN, Dek};
pub use local_kek::{KEK_LEN, LocalKek};
pub use open_share::OpenShare;
pub use seal::derive_commitment;
pub use secmem::{SLOT_LEN, SecretMemoryError, SecretPool, Slot};
pub use section::secret_thread;
pub use signer::Signature;
use signer::VerifyingKey;

/// Secret memory and what is done in it. Cheap to clone; all clones share one
/// pool.
#[derive(Clone)]
pub struct Enclave {
    pool: SecretPool,
}

/// A signature that verified before it left the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The signature.
    pub signature: Signature,
    /// The algorithm that made it.
    pub algorithm: Algorithm,
    /// The version of the record that was opened.
    pub version: RecordVersion,
}

/// A share that was made and sealed here; its DEK is yet to be wrapped.
pub struct Generated {
    /// The DEK, to be wrapped by the KMS.
    pub dek: Dek,
    /// The envelope's header.
    pub header: Header,
    /// The sealed share.
    pub sealed: SealedShare,
    /// The public key of the share.
    pub public_key: PublicKey,
}

/// Why the enclave did not do it. No variant carries anything that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnclaveError {
    /// Every slot of secret memory is in use.
    #[error("every slot of secret memory is in use")]
    Exhausted,
    /// The DEK is not the one that the envelope commits to.
    #[error("the DEK is not the one that the envelope commits to")]
    Commitment,
    /// The envelope's tag does not verify: ciphertext or header was altered.
    #[error("the envelope does not open: ciphertext or header was altered")]
    Tag,
    /// The opened share belongs to another public key than the recorded one.
    #[error("the share belongs to another public key than the recorded one")]
    PublicKey,
    /// The opened bytes are no key of the recorded algorithm.
    #[error("the opened bytes are no key of the recorded algorithm")]
    Share,
    /// The share is longer than a slot.
    #[error("the share is longer than a slot of secret memory")]
    TooLong,
    /// The payload is none that the algorithm signs.
    #[error("the payload is none that the algorithm signs")]
    Payload,
    /// The permit is for another share than the open one.
    #[error("the permit is for another share than the open one")]
    Permit,
    /// The signature did not verify: a fault of the machine or of a library.
    #[error("the signature did not verify and was withheld")]
    Unverified,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// The section panicked; what it held was wiped.
    #[error("the section panicked")]
    Panicked,
}

impl Enclave {
    /// Maps and locks the secret memory: `slots` pages, all of it now, so that
    /// nothing is mapped on the way of a request.
    ///
    /// # Errors
    /// The memory cannot be mapped or locked; the error names the limit to raise.
    pub fn start(slots: usize) -> Result<Self, SecretMemoryError> {
        Ok(Self { pool: SecretPool::map(slots)? })
    }

    /// The pool, for the local KEK and for tests of the KMS backends.
    pub fn pool(&self) -> &SecretPool {
        &self.pool
    }

    /// Takes a slot before anything is fetched that would need one.
    ///
    /// # Errors
    /// [`EnclaveError::Exhausted`].
    pub fn reserve(&self) -> Result<Slot, EnclaveError> {
        self.pool.take().ok_or(EnclaveError::Exhausted)
    }

    /// Makes a key of every algorithm, signs with it and verifies: what a broken
    /// build or machine would fail, before it is asked to sign in earnest. Also
    /// fills the tables that the libraries build at first use.
    ///
    /// # Errors
    /// The error of the first algorithm that fails.
    pub fn self_test(&self) -> Result<(), EnclaveError> {
        for algorithm in Algorithm::ALL {
            let slot = self.reserve()?;
            section::secure(|| {
                let (share, key) = signer::generate(algorithm, slot)?;
                let payload = match algorithm {
                    Algorithm::EcdsaSecp256k1 => Payload::Digest([0x5a; 32]),
                    Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::SchnorrSecp256k1 => {
                        Payload::Message(Bytes::from_static(&[0x5a; 32]))
                    }
                };
                share.reveal(|bytes| key.sign(bytes, &payload)).map(drop)
            })?;
        }
        Ok(())
    }

    /// Signs the payload that the permit owns: one section that opens, compares,
    /// signs, verifies and wipes.
    ///
    /// # Errors
    /// Any [`EnclaveError`] but `Exhausted` and `Permit`.
    pub fn sign(
        &self,
        permitted: PermittedEnvelope<Sign>,
        dek: Dek,
    ) -> Result<Signed, EnclaveError> {
        let payload = &permitted.permit().action().payload;
        let signature = section::secure(|| {
            let (share, key) = open_and_compare(&permitted, dek)?;
            share.reveal(|bytes| key.sign(bytes, payload))
        })?;
        let identity = &permitted.envelope().header().identity;
        Ok(Signed { signature, algorithm: identity.algorithm, version: identity.version })
    }

    /// Opens a share for a stream. It stays in its slot, in plaintext, until the
    /// value is dropped; each operation enters a section of its own.
    ///
    /// # Errors
    /// `Commitment`, `Tag`, `PublicKey`, `Share`, `TooLong` or `Panicked`.
    pub fn open(
        &self,
        permitted: PermittedEnvelope<UseShare>,
        dek: Dek,
    ) -> Result<OpenShare, EnclaveError> {
        let (share, key) = section::secure(|| open_and_compare(&permitted, dek))?;
        Ok(OpenShare::new(permitted.into_permit(), share, key))
    }

    /// Makes a share of the algorithm that the permit names and seals it under a
    /// fresh DEK. `identity` gives the record's identity for the public key,
    /// which is not known before.
    ///
    /// # Errors
    /// `Exhausted`, `Randomness` or `Panicked`.
    pub fn generate(
        &self,
        permit: &Permit<GenerateShare>,
        kek: KekRef,
        identity: impl FnOnce(&PublicKey) -> Identity,
    ) -> Result<Generated, EnclaveError> {
        let (share, dek) = (self.reserve()?, self.reserve()?);
        section::secure(|| {
            let (share, key) = signer::generate(permit.action().algorithm, share)?;
            let public_key = key.public_key();
            let dek = Dek::generate(dek)?;
            let (header, sealed) = seal::seal(&dek, identity(&public_key), kek, share)?;
            Ok(Generated { dek, header, sealed, public_key })
        })
    }
}

/// Opens an envelope, derives the public key of what was in it, and compares it
/// with the recorded one. Called inside a section.
fn open_and_compare<A: Opens>(
    permitted: &PermittedEnvelope<A>,
    dek: Dek,
) -> Result<(Slot, VerifyingKey), EnclaveError> {
    let envelope = permitted.envelope();
    let recorded = permitted.permit().share().public_key;
    let share = seal::open(dek, envelope.header(), envelope.sealed())?;
    let key = share.reveal(|bytes| signer::derive(recorded.algorithm(), bytes))?;
    if key.public_key() != recorded {
        return Err(EnclaveError::PublicKey);
    }
    Ok((share, key))
}
