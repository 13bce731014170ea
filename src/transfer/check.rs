//! What a record has to be before it is written anywhere, and how two differ.

use crate::{
    envelope::{Envelope, EnvelopeError},
    key::Environment,
    record::{ShareDescription, ShareRecord},
};

/// Why a record goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// Its envelope is none.
    #[error("{0}")]
    Envelope(EnvelopeError),
    /// Its envelope is bound to something else than its metadata says.
    #[error("its envelope is bound to another {0}")]
    Bound(&'static str),
    /// It was sealed for another environment, in which alone it opens.
    #[error("it belongs to the environment \"{0}\"")]
    Environment(Environment),
}

/// Whether a record is what its metadata says, and belongs to an environment: every field
/// of the metadata that the envelope's associated data binds is compared with it, and what
/// only the envelope has is there.
///
/// # Errors
/// The first field that does not fit.
pub fn check(record: &ShareRecord, environment: &Environment) -> Result<(), Unfit> {
    let envelope = Envelope::decode(&record.envelope).map_err(Unfit::Envelope)?;
    let (bound, told) = (envelope.header(), &record.description);
    let (ours, said) = (&bound.identity, &told.identity);
    let fields = [
        ("environment", ours.environment == said.environment),
        ("wallet_id", ours.wallet == said.wallet),
        ("id", ours.share == said.share),
        ("record_version", ours.version == said.version),
        ("account_address", ours.address == said.address),
        ("algorithm", ours.algorithm == said.algorithm),
        ("binding", ours.binding == said.binding),
        ("kek_provider, kek_mount or kek_name", bound.kek == told.kek),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, is_same)| !is_same) {
        return Err(Unfit::Bound(field));
    }
    if ours.environment != *environment {
        return Err(Unfit::Environment(ours.environment.clone()));
    }
    Ok(())
}

/// In what two records differ, by the names of the columns. How often each was written, and
/// when first, is a matter of where it is.
pub fn differences(one: &ShareRecord, other: &ShareRecord) -> Vec<&'static str> {
    let ShareDescription {
        identity,
        public_key,
        state,
        destroy_after,
        kek,
        created_at: _,
        revision: _,
    } = &one.description;
    let (theirs, found) = (&other.description.identity, &other.description);
    let fields = [
        ("environment", identity.environment == theirs.environment),
        ("wallet_id", identity.wallet == theirs.wallet),
        ("id", identity.share == theirs.share),
        ("record_version", identity.version == theirs.version),
        ("account_address", identity.address == theirs.address),
        ("algorithm", identity.algorithm == theirs.algorithm),
        ("binding", identity.binding == theirs.binding),
        ("public_key", *public_key == found.public_key),
        ("state", *state == found.state),
        ("destroy_after", *destroy_after == found.destroy_after),
        ("kek", *kek == found.kek),
        ("encrypted_key_shares", one.envelope == other.envelope),
    ];
    let differing = fields.into_iter().filter(|(_, is_same)| !is_same);
    differing.map(|(field, _)| field).collect()
}
