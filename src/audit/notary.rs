//! The notary: one thread that signs heads of the tree while the disk flushes what they
//! are of.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use super::{note::Signer, tree::Hash};

/// The writer's end of the thread.
pub(super) struct Notary {
    heads: mpsc::Sender<(u64, Hash)>,
    notes: mpsc::Receiver<Option<String>>,
}

impl Notary {
    /// Starts the thread.
    pub(super) fn start(signer: Arc<Signer>) -> io::Result<Self> {
        let (heads, asked) = mpsc::channel::<(u64, Hash)>();
        let (answer, notes) = mpsc::channel();
        let thread = thread::Builder::new().name("notary".to_owned());
        thread.spawn(move || {
            for (size, root) in asked {
                if answer.send(signer.checkpoint(size, &root)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { heads, notes })
    }

    /// Begins to sign a head. Whoever asks takes the note.
    pub(super) fn ask(&self, size: u64, root: Hash) {
        // Where the thread is gone, there is no note.
        let _ = self.heads.send((size, root));
    }

    /// The note that was asked for; none if the enclave fails.
    pub(super) fn note(&self) -> Option<String> {
        self.notes.recv().ok()?
    }
}
