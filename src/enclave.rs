//! ===== THE TRUST BOUNDARY =====
//!
//! The only code that ever sees a share or a DEK in plaintext. It does no I/O,
//! logs nothing, awaits nothing and knows nothing of gRPC, KMS or SQL. Where the
//! bytes are at each step of a request, ▓ memory that no other process can read:
//!
//! ```text
//!  KMS answer: TLS, JSON      a worker enters a room for one section and leaves it wiped
//! ┌ secret thread ▓▓▓▓▓▓┐    ┌ section ▓▓▓▓ stack 128 KiB, heap 16 KiB, registers cleared ┐
//! │ stack, heap: base64 │    │ DEK ─▶ key schedule ─▶ share ▸ derive ▸ sign ▸ verify       │─▶ Signed
//! └──────────┬──────────┘    └──▲───────────────────────┬──────────────────────────────────┘
//!            ▼ in place         │                       ▼ takes the DEK's place
//! ┌ pool ▓▓ Slot: DEK ──────────┘      Slot: share of an open stream (`OpenShare`) ▓▓▓▓▓▓▓▓▓▓┐
//! └─────────────────────────────────────── wiped when dropped: each arrow consumes ─────────┘
//! ```
//! No type here has `Debug`, `Clone`, `Serialize` or `PartialEq`. A [`Slot`] is
//! read through one door, `reveal`, and written through one, `fill`; both open in
//! secret memory only.

mod dek;
mod open_share;
mod seal;
#[expect(
    unsafe_code,
    reason = "secret memory is mapped, entered and wiped by the kernel's and the processor's calls"
)]
mod secmem;
mod section;
mod self_test;
mod signer;

use crate::{
    envelope::{Commitment, Header, Identity, KekRef, Nonce, SealedShare, TAG_LEN},
    key::PublicKey,
    memory::{Budget, Level, SecretMemoryError},
    permitted::PermittedEnvelope,
    policy::{GenerateShare, Opens, Permit, Sign, UseShare},
    signature::{Signed, VerifyingKey},
};

pub use dek::{DEK_LEN, Dek};
pub use open_share::OpenShare;
pub use secmem::{
    LARGE_SLOT_LEN, SECTION, SLOT_LEN, SecretPool, Slot, THREAD, is_inside, leaks, level,
};
pub use section::{secret_thread, warm_up};

/// Secret memory and what is done in it. Clones share one pool.
#[derive(Clone)]
pub struct Enclave {
    pool: SecretPool,
}

/// A share that was made and sealed here; its DEK is yet to be wrapped by the KMS.
#[expect(missing_docs, reason = "each is what its type says")]
pub struct Generated {
    pub dek: Dek,
    pub header: Header,
    pub sealed: SealedShare,
    pub public_key: PublicKey,
}

/// Why the enclave did not do it. No variant carries anything that was opened.
#[expect(missing_docs, reason = "each says it in its message")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnclaveError {
    #[error("every slot of secret memory is in use")]
    Exhausted,
    #[error("the DEK is not the one that the envelope commits to")]
    Commitment,
    #[error("the envelope does not open: ciphertext or header was altered")]
    Tag,
    #[error("the share belongs to another public key than the recorded one")]
    PublicKey,
    #[error("the opened bytes are no key of the recorded algorithm")]
    Share,
    #[error("the secret is longer than its slot of secret memory")]
    TooLong,
    #[error("the payload is none that the algorithm signs")]
    Payload,
    #[error("the permit is for another share than the open one")]
    Permit,
    #[error("the signature did not verify and was withheld: a library or the machine is broken")]
    Unverified,
    #[error("the operating system gave no randomness")]
    Randomness,
    #[error("the section panicked; what it held was wiped")]
    Panicked,
}

impl Enclave {
    /// Maps, locks and touches the secret memory of the whole process, so that
    /// nothing is mapped on the way of a request.
    ///
    /// # Errors
    /// It cannot be had, or is weaker than `require`; the error names what to change.
    pub fn start(budget: Budget, require: Level) -> Result<Self, SecretMemoryError> {
        if let (level, Some(why)) = level()
            && level < require
        {
            return Err(SecretMemoryError::NoSecretMemory(why));
        }
        secmem::Room::prepare(budget.sections, budget.kib())?;
        let pool = SecretPool::map(budget.slots, budget.large_slots, budget.kib())?;
        Ok(Self { pool })
    }

    /// The pool, for the local KEK and for tests of the KMS backends.
    pub fn pool(&self) -> &SecretPool {
        &self.pool
    }

    /// Takes a slot for the DEK of a share of so many bytes, and for the share that
    /// takes its place, before anything is unwrapped that would need one.
    ///
    /// # Errors
    /// [`EnclaveError::Exhausted`].
    pub fn reserve(&self, share: usize) -> Result<Slot, EnclaveError> {
        self.pool.take(share).ok_or(EnclaveError::Exhausted)
    }

    /// Derives, signs, verifies, seals and opens with every algorithm.
    ///
    /// # Errors
    /// The error of the first algorithm that fails.
    pub fn self_test(&self) -> Result<(), EnclaveError> {
        section::secure(self_test::self_test)
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
            share.reveal(|bytes| signer::sign(&key, bytes, payload))
        })?;
        Ok(Signed::by(&permitted.permit().share().identity, signature))
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
        Ok(OpenShare { permit: permitted.into_permit(), share, key })
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
        let (share, dek) = (self.reserve(DEK_LEN)?, self.reserve(DEK_LEN)?);
        let (share, key) = section::secure(|| signer::generate(permit.action().algorithm, share))?;
        let dek = Dek::generate(dek)?;
        let public_key = key.public_key();
        let mut header = Header {
            identity: identity(&public_key),
            kek,
            // The section that knows the DEK writes it.
            commitment: Commitment([0; 32]),
            nonce: Nonce::random().map_err(|_| EnclaveError::Randomness)?,
        };
        // What a section allocates stays in secret memory; this leaves it.
        let mut sealed = Vec::with_capacity(share.filled() + TAG_LEN);
        section::secure(|| seal::seal(&dek, &mut header, share, &mut sealed))?;
        let sealed = SealedShare::new(sealed).map_err(|_| EnclaveError::TooLong)?;
        Ok(Generated { dek, header, sealed, public_key })
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
    // The round keys of the DEK would otherwise stay there while the share signs.
    secmem::clear_registers();
    Ok((share, key))
}
