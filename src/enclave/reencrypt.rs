//! Sealing anew what is sealed.
#![forbid(unsafe_code)]

use super::{
    DEK_LEN, Dek, Enclave, EnclaveError, Generated, Slot, header, open_and_compare, seal, section,
};
use crate::{
    envelope::{Identity, KekRef, SealedShare, TAG_LEN},
    key::{Binding, RecordVersion},
    permitted::PermittedEnvelope,
    policy::ReencryptShare,
};

impl Enclave {
    /// Opens a share, compares it and seals it under a fresh DEK and nonce, in one section:
    /// as `version` of its record, under `kek`. Fails with any error but `Permit`.
    pub fn reencrypt(
        &self,
        permitted: &PermittedEnvelope<ReencryptShare>,
        dek: Dek,
        kek: KekRef,
        version: RecordVersion,
    ) -> Result<Generated, EnclaveError> {
        let fresh = Dek::generate(self.reserve(DEK_LEN)?)?;
        let recorded = permitted.permit().share();
        let mut header = header(Identity { version, ..recorded.identity.clone() }, kek)?;
        let (ciphertext, _) = permitted.envelope().sealed().parts();
        // What a section allocates stays in secret memory; this leaves it.
        let mut sealed = Vec::with_capacity(ciphertext.len() + TAG_LEN);
        section::secure(|| {
            let share = open(permitted, dek)?;
            seal::seal(&fresh, &mut header, share, &mut sealed)
        })?;
        let sealed = SealedShare::new(sealed).map_err(|_| EnclaveError::TooLong)?;
        Ok(Generated { dek: fresh, header, sealed, public_key: recorded.public_key })
    }

    /// Opens what was sealed anew, compares it and wipes it. Fails as [`Enclave::reencrypt`].
    pub fn make_sure(
        &self,
        permitted: &PermittedEnvelope<ReencryptShare>,
        dek: Dek,
    ) -> Result<(), EnclaveError> {
        section::secure(|| open(permitted, dek).map(drop))
    }
}

/// Compares what can be compared: from an opaque share no public key can be derived.
fn open(permitted: &PermittedEnvelope<ReencryptShare>, dek: Dek) -> Result<Slot, EnclaveError> {
    let envelope = permitted.envelope();
    match envelope.header().identity.binding {
        Binding::Derived => open_and_compare(permitted, dek).map(|(share, _)| share),
        Binding::Declared => seal::open(dek, envelope.header(), envelope.sealed()),
    }
}
