//! Records: what the log says, one JSON object each. `docs/audit.md` explains every
//! field to who reads it.
//!
//! Nothing here can hold a payload or a secret: bytes are digests, texts are names that
//! the configuration or the contract bounds.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tree::Hash;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the log, from 0, without gaps: also its leaf in the tree.
    pub seq: u64,
    /// When it was made, UTC.
    pub time: Time,
    /// The run of the process that made it.
    pub boot: Uuid,
    /// What it says.
    #[serde(flatten)]
    pub event: Event,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The log was made. The first record of every log.
    Created {
        /// The name of the log, for as long as it lives.
        instance: Uuid,
    },
    /// A process began to write.
    Started(Start),
    /// It ended in order.
    Stopped,
    /// A file begins.
    Segment(Segment),
    /// A key signs the heads of the tree from here on.
    Identity {
        /// The key, as C2SP writes it.
        key: String,
        /// Whether the next run has it, too.
        kept: bool,
        /// The KMS's own id of the unwrapping that opened it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kms_request_id: Option<String>,
    },
    /// Policies are in force from here on.
    Policies {
        /// How many.
        count: usize,
        /// SHA-256 over their files.
        fingerprint: Hex,
    },
    /// A request that reached policy; with its outcome where that was known at once.
    Request(Box<Request>),
    /// What became of a request that was recorded before.
    Outcome {
        /// The request's `seq`.
        of: u64,
        /// What became of it.
        #[serde(flatten)]
        ended: Ended,
    },
    /// Requests that were refused before policy, added up.
    Refused(Refused),
    /// The end of a file was cut off: a record that was not written whole.
    Cut {
        /// How many bytes.
        bytes: u64,
    },
    /// The files of the oldest records are removed, because they are old.
    Retired {
        /// The first record that stays.
        to: u64,
    },
    /// Nothing could be recorded for a while.
    Gap(Gap),
}

/// What a process begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The program's version.
    pub version: String,
    /// The environment that it serves.
    pub environment: String,
    /// SHA-256 of the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Hex>,
    /// What protects secret memory.
    pub protection: String,
}

/// What a file begins with: all that is needed to go on from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The name of the log.
    pub instance: Uuid,
    /// The link of the record before.
    pub after: Hex,
    /// The roots of the tree's complete subtrees before this record, the largest first.
    pub tree: Vec<Hex>,
    /// The `seq` of every request without an outcome.
    pub open: Vec<u64>,
}

/// What was asked, by whom, and what policy said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The id under which the caller knows it. Frames have that of their stream.
    pub request_id: String,
    /// Who asks.
    pub caller: String,
    /// What for: an action of policy.
    pub action: String,
    /// Why, in the caller's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The record of the stream that it is a frame of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<u64>,
    /// The share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// Its wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
    /// Its algorithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The version of its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_version: Option<u32>,
    /// The kind of what is to be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_kind: Option<String>,
    /// What is signed for Ethereum and for a bare digest; SHA-256 of it for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_digest: Option<Hex>,
    /// What policy said.
    pub decision: Decision,
    /// The policies that decided, by `@id`.
    pub policies: Vec<String>,
    /// What became of it, where that was known at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// What policy said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A policy permits, and none forbids.
    Permitted,
    /// No policy permits, or one forbids or fails, or there is no such share.
    #[default]
    Denied,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// In a word.
    pub outcome: Outcome,
    /// Why not, as the caller learns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The KMS's own id of the unwrapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_request_id: Option<String>,
    /// The same of a second one, with which what is to be written was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_kms_request_id: Option<String>,
    /// The version of the KEK that had wrapped the DEK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kek_version: Option<u32>,
    /// The version of the KEK that wraps it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_kek_version: Option<u32>,
    /// SHA-256 of the signature's 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Hex>,
    /// From the request's arrival, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
}

/// What became of a request, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A signature was made.
    Signed,
    /// What was asked for was done; of a stream, that it ended in order.
    Done,
    /// Policy said no.
    Denied,
    /// Policy said yes, and something else said no.
    Failed,
    /// The caller went away, or its deadline passed.
    #[default]
    Cancelled,
    /// The process died before it could say.
    Indeterminate,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Signed,
        Self::Done,
        Self::Denied,
        Self::Failed,
        Self::Cancelled,
        Self::Indeterminate,
    ];

    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// Refusals before policy, added up over a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Who asked; none where that was not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Why not, as the caller learned it.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// A time in which nothing could be recorded, and so nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Since when.
    pub since: Time,
    /// What the operating system said.
    pub error: String,
    /// How many requests were refused for it and have no other record.
    pub refused: u64,
}

/// A time, UTC, RFC 3339 with nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(String);

/// Bytes in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hex(String);

impl Time {
    /// Now.
    pub fn now() -> Self {
        Self(humantime::format_rfc3339_nanos(SystemTime::now()).to_string())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The moment; none where the text is no time.
    pub fn moment(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.0).ok()
    }
}

impl From<Hash> for Hex {
    fn from(hash: Hash) -> Self {
        Self(hex::encode(hash))
    }
}

impl Hex {
    /// The bytes; none where they are not 32.
    pub fn hash(&self) -> Option<Hash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(&self.0, &mut hash).ok()?;
        Some(hash)
    }
}

impl Ended {
    /// With nothing but the word.
    pub fn with(outcome: Outcome) -> Self {
        Self { outcome, ..Self::default() }
    }
}

/// A [`Record`] that is to be written.
#[derive(Serialize)]
pub(super) struct Written<'e> {
    pub(super) seq: u64,
    pub(super) time: Time,
    pub(super) boot: Uuid,
    #[serde(flatten)]
    pub(super) event: &'e Event,
}

impl Written<'_> {
    /// The bytes that are hashed and written.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Texts and numbers alone have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
