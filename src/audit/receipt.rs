//! Receipts: proof that a record is in a log, for whoever has the log's public key and
//! nothing else.

use std::sync::Arc;

use super::{
    note::{Checkpoint, Name, NoteError},
    tree::{Hash, root_by},
};

/// Proof that a record is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The record's `seq`.
    pub sequence: u64,
    /// Its hash: the leaf of the tree.
    pub record: Hash,
    /// The inclusion path from the leaf to the checkpoint's root.
    pub path: Vec<Hash>,
    /// The signed head of the tree.
    pub checkpoint: Arc<str>,
    /// Whether the record itself has the signature's digest; the record of its outcome
    /// has it otherwise.
    pub signature_recorded: bool,
}

/// Why a receipt proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Its checkpoint is not believed.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// The record is not in the checkpoint's tree at this place.
    #[error("the path does not lead from the record to the checkpoint's root")]
    Path,
}

impl Receipt {
    /// Checks it against the key of the log, and gives the checkpoint.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, key: &Name) -> Result<Checkpoint, ReceiptError> {
        let checkpoint = key.open(&self.checkpoint)?;
        let root = root_by(&self.path, self.record, self.sequence, checkpoint.size);
        (root == Some(checkpoint.root)).then_some(checkpoint).ok_or(ReceiptError::Path)
    }
}
