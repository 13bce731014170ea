//! Statements: what an instance says of a key for an import, as a signed note
//! (<https://c2sp.org/signed-note>) by the key that signs its audit log.
//!
//! ```text
//! countersign/v1/import-key
//! countersign/staging/<instance>      who says so: the name of the key that signs
//! <base64>                            the public key, 32 bytes
//! 2027-01-31T12:00:00Z                until when it opens an import
//!                                     an empty line
//! — <name> <base64>                   as in a checkpoint
//! ```
//! Its first line keeps it apart from the checkpoints that the same key signs.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::KEY_LEN;
use crate::{
    audit::note::{Name, NoteError, Signer},
    key::Environment,
};

/// The first line.
const KIND: &str = "countersign/v1/import-key";

/// A statement that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The environment of the instance.
    pub environment: Environment,
    /// The public key.
    pub key: [u8; KEY_LEN],
    /// Until when it opens an import.
    pub until: SystemTime,
}

/// Why a statement is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The trusted key did not sign it.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// It is something else that the key signed.
    #[error("this is no statement about a key for an import")]
    Form,
    /// Its time is over.
    #[error("the key opened imports until {0}: get another")]
    Expired(String),
}

impl Statement {
    /// What an instance says; none if the enclave fails.
    pub fn sign(signer: &Signer, key: &[u8; KEY_LEN], until: SystemTime) -> Option<String> {
        let (origin, key) = (signer.name().origin(), STANDARD.encode(key));
        let until = humantime::format_rfc3339_seconds(until);
        signer.note(&format!("{KIND}\n{origin}\n{key}\n{until}\n"))
    }

    /// Believes what an instance said whose key is known from elsewhere.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn open(note: &str, trusted: &Name, now: SystemTime) -> Result<Self, StatementError> {
        let text = trusted.signed(note)?;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or(StatementError::Form);
        let (kind, origin, key, until) = (line()?, line()?, line()?, line()?);
        if kind != KIND || origin != trusted.origin() || line().is_ok() {
            return Err(StatementError::Form);
        }
        let environment = origin.strip_prefix("countersign/").and_then(|name| name.split_once('/'));
        let environment = environment.and_then(|(environment, _)| environment.parse().ok());
        let key = STANDARD.decode(key).ok().and_then(|key| key.try_into().ok());
        let moment = humantime::parse_rfc3339(until).ok();
        let (Some(environment), Some(key), Some(moment)) = (environment, key, moment) else {
            return Err(StatementError::Form);
        };
        if moment.max(UNIX_EPOCH) <= now {
            return Err(StatementError::Expired(until.to_owned()));
        }
        Ok(Self { environment, key, until: moment })
    }
}
