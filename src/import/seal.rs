//! Sealing: what a client does. The library's own, for the command line; `docs/import.md`
//! says it for every other.

use hpke::{
    Deserializable, Kem, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256,
    kem::X25519HkdfSha256, setup_sender,
};
use zeroize::Zeroizing;

use super::{Declared, KEY_LEN, Sealed, Statement, info};
use crate::{key::Environment, policy::NewShare};

/// Why nothing is sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is of an instance in another environment.
    #[error("the key is of the environment {0}")]
    Environment(Environment),
    /// The share is empty or longer than 64 KiB.
    #[error("a share has 1 to 65536 bytes")]
    Length,
    /// The statement's key is of small order.
    #[error("the key of the statement is none")]
    Key,
}

/// Seals a share to the key of a statement. The plaintext is wiped.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    mut share: Zeroizing<Vec<u8>>,
    new: &NewShare,
    declared: &Declared,
    statement: &Statement,
) -> Result<Sealed, SealError> {
    if statement.environment != new.environment {
        return Err(SealError::Environment(statement.environment.clone()));
    }
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&statement.key);
    let key = key.map_err(|_| SealError::Key)?;
    let info = info(new, declared);
    let (encapsulated, mut sender) = setup_sender::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        info.as_bytes(),
    )
    .map_err(|_| SealError::Key)?;
    let tag = sender.seal_inout_detached(share.as_mut_slice().into(), b"");
    let tag = tag.map_err(|_| SealError::Length)?;
    let mut sealed = vec![0; KEY_LEN];
    encapsulated.write_exact(&mut sealed);
    sealed.extend_from_slice(&share);
    sealed.extend_from_slice(&tag.to_bytes());
    Sealed::new(sealed).map_err(|_| SealError::Length)
}
