//! What a store keeps about a share: ciphertext and public metadata only.
#![forbid(unsafe_code)]

use std::time::SystemTime;

use crate::{
    envelope::{Envelope, Identity, KekRef},
    key::{PublicKey, Revision, ShareState},
};

/// The public metadata of a share, read without a permit.
///
/// It comes from plain columns that a database writer can change. What policy
/// reads of it is part of [`Identity`], which the envelope's associated data
/// binds: a forged column makes the share unusable, not somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareDescription {
    /// Whose share it is, in which version.
    pub identity: Identity,
    /// The recorded public key; compared with the derived one at each opening.
    pub public_key: PublicKey,
    /// Whether the share may be used.
    pub state: ShareState,
    /// When it may be removed, where that was asked for.
    pub destroy_after: Option<SystemTime>,
    /// What wraps the record's DEK.
    pub kek: KekRef,
    /// When the record was made.
    pub created_at: SystemTime,
    /// Counts the writes to the row.
    pub revision: Revision,
}

/// A whole row: the description and the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareRecord {
    /// The public metadata.
    pub description: ShareDescription,
    /// The sealed share, as stored: decoded by whoever opens it.
    pub envelope: Vec<u8>,
}

impl ShareRecord {
    /// The row of a share that was just sealed and wrapped: enabled, revision 1.
    pub fn new(envelope: &Envelope, public_key: PublicKey, created_at: SystemTime) -> Self {
        let header = envelope.header();
        Self {
            description: ShareDescription {
                identity: header.identity.clone(),
                public_key,
                state: ShareState::Enabled,
                destroy_after: None,
                kek: header.kek.clone(),
                created_at,
                revision: Revision::FIRST,
            },
            envelope: envelope.encode(),
        }
    }
}
