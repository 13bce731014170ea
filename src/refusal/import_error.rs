//! Why a share is not imported.

/// For the log; the caller gets a reason of its own for each.
#[expect(missing_docs, reason = "each says it in its message")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("there is no such key: it was used, is too old, or is another instance's")]
    Key,
    #[error("it does not open: altered, or sealed for something else or to another key")]
    Unopened,
    #[error("what was sealed is no key of the algorithm")]
    NoKey,
    #[error("what was sealed is the key of another public key or address than declared")]
    OtherKey,
}
