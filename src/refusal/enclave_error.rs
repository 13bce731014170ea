//! Why the enclave did not do it.

/// No variant carries anything that was opened.
#[expect(missing_docs, reason = "each says it in its message")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
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
    #[error("the import does not open: altered, or sealed for something else or to another key")]
    Import,
    #[error("the permit is for another share than the open one")]
    Permit,
    #[error("the signature did not verify and was withheld: a library or the machine is broken")]
    Unverified,
    #[error("the operating system gave no randomness")]
    Randomness,
    #[error("the section panicked; what it held was wiped")]
    Panicked,
}
