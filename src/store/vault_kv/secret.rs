//! What a secret holds.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    key::{Environment, PublicKey, Revision, ShareId},
    record::{ShareDescription, ShareRecord},
    store::{StoreError, StoreErrorKind, document::Document, row::corrupt},
};

/// A write of a secret.
#[derive(Serialize)]
pub(super) struct Write<'a> {
    pub options: Options,
    pub data: Secret<'a>,
}

#[derive(Serialize)]
pub(super) struct Options {
    /// The version that is there; 0 where there is none.
    pub cas: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Secret<'a> {
    #[serde(borrow)]
    pub record: Document<'a>,
    /// Says which write it was.
    #[serde(borrow)]
    pub write: Cow<'a, str>,
}

/// An answer to a read.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Versioned<'a>,
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Secret<'a>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

/// A secret that was read.
pub(super) struct Found {
    description: ShareDescription,
    envelope: Option<Vec<u8>>,
}

impl Found {
    /// Reads an answer, which has to be about this share.
    ///
    /// # Errors
    /// `Corrupt`, with the place and never with what stands there.
    pub fn read(
        body: &[u8],
        share: ShareId,
        environment: &Environment,
        known: Option<PublicKey>,
    ) -> Result<Self, StoreError> {
        let read = || {
            let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| {
                let detail = format!("no record: wrong at column {}", error.column());
                StoreError::new(StoreErrorKind::Corrupt, detail)
            })?;
            let record = answer.data.data.record.checked()?;
            let mut description = record.describe(known)?;
            if description.identity.share != share {
                return Err(corrupt("id", "not the share that the secret is named after"));
            }
            if description.identity.environment != *environment {
                return Err(corrupt("environment", "not the one that the secret is below"));
            }
            description.revision = Revision::from(answer.data.metadata.version);
            let envelope = record.envelope()?;
            Ok(Self { description, envelope })
        };
        read().map_err(|StoreError { kind, detail }| {
            StoreError::new(kind, format!("the secret {share}: {detail}"))
        })
    }

    pub fn revision(&self) -> Revision {
        self.description.revision
    }

    pub fn has_envelope(&self) -> bool {
        self.envelope.is_some()
    }

    pub fn into_description(self) -> ShareDescription {
        self.description
    }

    /// The record; none where its envelope is gone.
    pub fn into_record(self) -> Option<ShareRecord> {
        let Self { description, envelope } = self;
        Some(ShareRecord { description, envelope: envelope? })
    }
}
