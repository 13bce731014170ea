//! ===== THE TRUST BOUNDARY =====
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
mod import;
mod open_share;
mod reencrypt;
mod seal;
#[expect(unsafe_code, reason = "secret memory is mapped, entered and wiped by address")]
mod secmem;
mod section;
mod self_test;
mod signer;

use crate::{
    envelope::{Commitment, Header, Identity, KekRef, Nonce, SealedShare, TAG_LEN},
    import::{Sealed, info},
    key::{Algorithm, Binding, PublicKey},
    memory::{Budget, Level, SecretMemoryError},
    permitted::PermittedEnvelope,
    policy::{GenerateShare, ImportShare, Opens, Permit, Sign, UseShare},
    signature::{Signature, Signed, VerifyingKey},
};

pub use crate::refusal::EnclaveError;
pub use dek::{DEK_LEN, Dek};
pub use import::ImportKey;
pub use open_share::OpenShare;
pub(crate) use secmem::end_at_trapped_calls;
pub use secmem::{
    LARGE_SLOT_LEN, LEAKS, SECTION, SLOT_LEN, SecretPool, Slot, THREAD, clear_registers, is_inside,
    level,
};
pub use section::{secret_thread, warm_up};

/// Secret memory and what is done in it. Clones share one pool.
#[derive(Clone)]
pub struct Enclave(SecretPool);

/// A share that was made and sealed here; its DEK is yet to be wrapped by the KMS.
#[expect(missing_docs, reason = "each is what its type says")]
pub struct Generated {
    pub dek: Dek,
    pub header: Header,
    pub sealed: SealedShare,
    pub public_key: PublicKey,
}

impl Enclave {
    /// Maps, locks and touches the secret memory of the whole process, so that
    /// nothing is mapped on the way of a request.
    ///
    /// # Errors
    /// It cannot be had, or is weaker than `require`; the error names what to change.
    pub fn start(budget: Budget, require: Level) -> Result<Self, SecretMemoryError> {
        require.met_by(level())?;
        secmem::Room::prepare(SECTION, budget.sections, budget.kib())?;
        secmem::Room::prepare(THREAD, budget.threads, budget.kib())?;
        let pool = SecretPool::map(budget.slots, budget.large_slots, budget.kib())?;
        Ok(Self(pool))
    }

    /// The pool, for the local KEK and for tests of the KMS backends.
    pub fn pool(&self) -> &SecretPool {
        &self.0
    }

    /// Takes a slot for the DEK of a share of so many bytes, and for the share that
    /// takes its place; or [`EnclaveError::Exhausted`].
    pub fn reserve(&self, share: usize) -> Result<Slot, EnclaveError> {
        self.0.take(share)
    }

    /// Derives, signs and verifies with every algorithm; fails as the first of them.
    pub fn self_test(&self) -> Result<(), EnclaveError> {
        section::secure(self_test::self_test)
    }

    /// Signs the payload that the permit owns: one section that opens, compares,
    /// signs, verifies and wipes. Fails with any error but `Exhausted` and `Permit`.
    pub fn sign(
        &self,
        permitted: PermittedEnvelope<Sign>,
        dek: Dek,
    ) -> Result<Signed, EnclaveError> {
        let payload = &permitted.permit().action().payload;
        let mut signature = Signature::NONE;
        section::secure(|| {
            let (share, key) = open_and_compare(&permitted, dek)?;
            let made = share.reveal(|bytes| signer::sign(&key, bytes, payload));
            made.map(|made| signature.set(&made))
        })?;
        Ok(Signed::under(permitted.permit(), signature))
    }

    /// Opens a share for a stream. It stays in its slot, in plaintext, until the
    /// value is dropped. Fails as [`Enclave::sign`] does before it signs.
    pub fn open(
        &self,
        permitted: PermittedEnvelope<UseShare>,
        dek: Dek,
    ) -> Result<OpenShare, EnclaveError> {
        let key = VerifyingKey::parse(&permitted.permit().share().public_key);
        let key = key.map_err(|_| EnclaveError::PublicKey)?;
        let mut share = None;
        section::secure(|| open_and_compare(&permitted, dek).map(|(open, _)| share = Some(open)))?;
        let share = share.ok_or(EnclaveError::Share)?;
        Ok(OpenShare { permit: permitted.into_permit(), share, key })
    }

    /// Makes a share of the algorithm that the permit names and seals it under a
    /// fresh DEK. `identity` is the record's, of a public key not known before.
    ///
    /// # Errors
    /// `Exhausted`, `Randomness` or `Panicked`.
    pub fn generate(
        &self,
        permit: &Permit<GenerateShare>,
        kek: KekRef,
        identity: impl FnOnce(&PublicKey) -> Identity,
    ) -> Result<Generated, EnclaveError> {
        let (mut share, dek) = (self.reserve(DEK_LEN)?, self.reserve(DEK_LEN)?);
        let mut public_key = PublicKey::of_point(permit.action().algorithm, &[]);
        section::secure(|| signer::generate(&mut share, &mut public_key))?;
        seal(share, Dek::generate(dek)?, kek, public_key, identity)
    }

    /// The public key of a share that is in plaintext where this is called: with a client
    /// that is about to seal it for an import.
    ///
    /// # Errors
    /// `Share` or `Panicked`.
    pub fn public_key(
        &self,
        algorithm: Algorithm,
        share: &[u8],
    ) -> Result<PublicKey, EnclaveError> {
        let mut public_key = PublicKey::of_point(algorithm, &[]);
        section::secure(|| {
            public_key = signer::derive(algorithm, share)?.public_key();
            Ok(())
        })?;
        Ok(public_key)
    }

    /// Opens an import, which must turn out to be what it is declared as unless it is
    /// opaque, and seals it under a fresh DEK. The key is wiped, whatever comes of it.
    ///
    /// # Errors
    /// `Import`, `Share`, `PublicKey`, `Exhausted`, `Randomness` or `Panicked`.
    pub fn import(
        &self,
        permit: &Permit<ImportShare>,
        key: ImportKey,
        sealed: &Sealed,
        kek: KekRef,
        identity: impl FnOnce(&PublicKey) -> Identity,
    ) -> Result<Generated, EnclaveError> {
        let (mut share, dek) = (self.reserve(sealed.share_len())?, self.reserve(DEK_LEN)?);
        let (new, declared) = (permit.subject(), &permit.action().declared);
        let info = info(new, declared);
        let mut public_key = PublicKey::of_point(new.algorithm, &[]);
        section::secure(|| {
            key.open(sealed, info.as_bytes(), &mut share)?;
            if new.binding == Binding::Derived {
                let derived = share.reveal(|bytes| signer::derive(new.algorithm, bytes))?;
                public_key = derived.public_key();
            }
            Ok(())
        })?;
        match new.binding {
            Binding::Derived if !declared.is(&public_key) => return Err(EnclaveError::PublicKey),
            Binding::Derived => {}
            // Nothing can be derived from what is opaque.
            Binding::Declared => public_key = declared.public_key_or_unknown(new.algorithm),
        }
        seal(share, Dek::generate(dek)?, kek, public_key, identity)
    }
}

/// Seals a share of this public key under its DEK.
fn seal(
    share: Slot,
    dek: Dek,
    kek: KekRef,
    public_key: PublicKey,
    identity: impl FnOnce(&PublicKey) -> Identity,
) -> Result<Generated, EnclaveError> {
    let mut header = header(identity(&public_key), kek)?;
    // What a section allocates stays in secret memory; this leaves it.
    let mut sealed = Vec::with_capacity(share.room() + TAG_LEN);
    section::secure(|| seal::seal(&dek, &mut header, share, &mut sealed))?;
    let sealed = SealedShare::new(sealed).map_err(|_| EnclaveError::TooLong)?;
    Ok(Generated { dek, header, sealed, public_key })
}

/// A header, whose commitment the section writes that knows the DEK.
fn header(identity: Identity, kek: KekRef) -> Result<Header, EnclaveError> {
    let nonce = Nonce::random().map_err(|_| EnclaveError::Randomness)?;
    Ok(Header { identity, kek, commitment: Commitment([0; 32]), nonce })
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
    clear_registers();
    Ok((share, key))
}
