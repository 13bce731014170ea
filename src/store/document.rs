//! A record as a JSON document: a file of a directory or of a backup, or a secret in
//! Vault. The fields are the columns of the databases, under the same names.
#![forbid(unsafe_code)]

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    StoreError, StoreErrorKind,
    row::{Columns, corrupt, micros},
};
use crate::{
    envelope::ENVELOPE_MAX,
    key::{PublicKey, ShareId},
    record::{ShareDescription, ShareRecord},
};

/// The version of the form. A reader refuses what it does not know.
const FORMAT: u32 = 1;

/// The longest document, in bytes: the longest envelope in base64, and some 1,500 bytes of
/// metadata with every field at its longest.
pub(super) const DOCUMENT_MAX: usize = ENVELOPE_MAX.div_ceil(3) * 4 + 4096;

/// The document, before any field is believed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document<'a> {
    format: u32,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    environment: Cow<'a, str>,
    #[serde(borrow)]
    wallet_id: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    account_address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    /// Hexadecimal.
    #[serde(borrow)]
    public_key: Cow<'a, str>,
    record_version: u32,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    kek_provider: Cow<'a, str>,
    #[serde(borrow)]
    kek_mount: Cow<'a, str>,
    #[serde(borrow)]
    kek_name: Cow<'a, str>,
    #[serde(borrow)]
    binding: Cow<'a, str>,
    /// As `created_at`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    destroy_after: Option<Cow<'a, str>>,
    /// RFC 3339, in UTC, with microseconds.
    #[serde(borrow)]
    created_at: Cow<'a, str>,
    revision: u64,
    /// The envelope in base64.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    encrypted_key_shares: Option<Cow<'a, str>>,
}

impl<'a> Document<'a> {
    /// The document of a record.
    pub fn of(record: &'a ShareRecord) -> Self {
        let envelope = Cow::Owned(STANDARD.encode(&record.envelope));
        Self { encrypted_key_shares: Some(envelope), ..Self::without_envelope(&record.description) }
    }

    /// The document of what is public alone.
    pub fn without_envelope(description: &'a ShareDescription) -> Self {
        let ShareDescription {
            identity,
            public_key,
            state,
            destroy_after,
            kek,
            created_at,
            revision,
        } = description;
        Self {
            format: FORMAT,
            id: identity.share.to_string().into(),
            environment: identity.environment.as_str().into(),
            wallet_id: identity.wallet.as_str().into(),
            account_address: identity.address.as_ref().map(|address| address.as_str().into()),
            algorithm: identity.algorithm.as_str().into(),
            public_key: hex::encode(public_key.as_bytes()).into(),
            record_version: identity.version.get(),
            state: state.as_str().into(),
            binding: identity.binding.as_str().into(),
            destroy_after: destroy_after.map(|after| written(after).into()),
            kek_provider: kek.provider().into(),
            kek_mount: kek.mount().into(),
            kek_name: kek.name().into(),
            created_at: written(*created_at).into(),
            revision: revision.get(),
            encrypted_key_shares: None,
        }
    }

    /// Reads a text, which is no longer than [`DOCUMENT_MAX`].
    ///
    /// # Errors
    /// `Corrupt`, with the place and never with what stands there.
    pub fn parse(text: &'a [u8]) -> Result<Self, StoreError> {
        let document: Self = serde_json::from_slice(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let detail = format!("no record in JSON: wrong at line {line}, column {column}");
            StoreError::new(StoreErrorKind::Corrupt, detail)
        })?;
        document.checked()
    }

    /// Refuses a form that this reader does not know.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn checked(self) -> Result<Self, StoreError> {
        match self.format {
            FORMAT => Ok(self),
            _ => Err(corrupt("format", format!("this reader knows {FORMAT} alone"))),
        }
    }

    /// The public metadata, as [`Columns::describe`] parses it.
    ///
    /// # Errors
    /// `Corrupt`, naming the field and its rule.
    pub fn describe(&self, known: Option<PublicKey>) -> Result<ShareDescription, StoreError> {
        let id: ShareId = self.id.parse().map_err(|rule| corrupt("id", rule))?;
        let public_key = hex::decode(&*self.public_key);
        Columns {
            id: id.as_uuid(),
            environment: &self.environment,
            wallet_id: &self.wallet_id,
            account_address: self.account_address.as_deref(),
            algorithm: &self.algorithm,
            public_key: &public_key.map_err(|_| corrupt("public_key", "not hexadecimal"))?,
            record_version: self.record_version.into(),
            state: &self.state,
            binding: &self.binding,
            destroy_after: self
                .destroy_after
                .as_deref()
                .map(|text| moment("destroy_after", text))
                .transpose()?,
            kek_provider: &self.kek_provider,
            kek_mount: &self.kek_mount,
            kek_name: &self.kek_name,
            created_at: moment("created_at", &self.created_at)?,
            revision: i64::try_from(self.revision)
                .map_err(|_| corrupt("revision", "above 2^63 - 1"))?,
        }
        .describe(known)
    }

    /// The envelope's bytes; none where it was removed.
    ///
    /// # Errors
    /// `Corrupt`: it is not base64, or longer than any envelope.
    pub fn envelope(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(envelope) = self.encrypted_key_shares.as_deref() else { return Ok(None) };
        let envelope = STANDARD.decode(envelope);
        let envelope = envelope.map_err(|_| corrupt("encrypted_key_shares", "not base64"))?;
        if envelope.len() > ENVELOPE_MAX {
            return Err(corrupt("encrypted_key_shares", "longer than any envelope"));
        }
        Ok(Some(envelope))
    }
}

/// As [`micros`] counts.
fn moment(column: &str, text: &str) -> Result<i64, StoreError> {
    let time = humantime::parse_rfc3339(text).map_err(|_| corrupt(column, "not RFC 3339"))?;
    Ok(micros(time))
}

/// As fine as the databases keep time.
fn written(time: SystemTime) -> String {
    let micros = u64::try_from(micros(time)).unwrap_or(0);
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
    humantime::format_rfc3339_micros(time).to_string()
}
