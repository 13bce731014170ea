//! The KMS context: what binds a wrapped DEK to its record inside the KMS.

use sha2::{Digest, Sha256};

use super::{FORMAT, header::Identity};
use crate::key::{Environment, Malformed};

/// The context under which a DEK is wrapped: at Vault Transit the derivation
/// `context`, at the local KEK the associated data.
///
/// ```text
/// prefix  = "countersign:v1:" ‖ environment ‖ ":", padded with ":" to a multiple of 3 bytes
/// context = prefix ‖ SHA-256("countersign/v1/context" ‖ format version ‖ fields)
/// fields  = environment, wallet id, share id, record version, account address and
///           algorithm, each as u16 big-endian length ‖ bytes
/// ```
/// The prefix has whole base64 quanta, so a Vault policy can pin its base64 and
/// with it the environment. Only fields that never change for the life of the
/// record are in it, so that `rewrap` needs no plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekContext(Vec<u8>);

impl KekContext {
    /// The context of one record.
    pub fn of(identity: &Identity) -> Self {
        let mut hash = Sha256::new_with_prefix(b"countersign/v1/context");
        hash.update([FORMAT]);
        let mut field = |bytes: &[u8]| {
            // Every field is far below 64 KiB by its type.
            hash.update((bytes.len() as u16).to_be_bytes());
            hash.update(bytes);
        };
        field(identity.environment.as_str().as_bytes());
        field(identity.wallet.as_str().as_bytes());
        field(identity.share.as_bytes());
        field(&identity.version.get().to_be_bytes());
        let address = identity.address.as_ref();
        field(address.map_or("", |address| address.as_str()).as_bytes());
        field(&[identity.kind()]);

        let mut context = Self::prefix(&identity.environment).into_bytes();
        context.extend_from_slice(&hash.finalize());
        Self(context)
    }

    /// One that begins as those of another environment do: for who tries whether the KMS
    /// tells environments apart.
    pub(crate) fn of_another(environment: &Environment) -> Result<Self, Malformed> {
        let other = if environment.as_str() == "elsewhere" { "another" } else { "elsewhere" };
        let mut context = Self::prefix(&other.parse()?).into_bytes();
        context.extend_from_slice(&[0; 32]);
        Ok(Self(context))
    }

    /// What every context of an environment begins with.
    pub fn prefix(environment: &Environment) -> String {
        let mut prefix = format!("countersign:v1:{environment}:");
        while !prefix.len().is_multiple_of(3) {
            prefix.push(':');
        }
        prefix
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
