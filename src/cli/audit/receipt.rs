//! `countersign audit prove` and `countersign audit verify-receipt`.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{
    audit::{
        CHECKPOINT, chain,
        note::Name,
        receipt::Receipt,
        segment::SegmentFile,
        tree::{Frontier, Hash, leaf},
        tree_before,
    },
    cli::{failure::Failure, input::read},
    proto,
};

/// Bytes of the longest receipt that is read.
const RECEIPT_MAX: usize = 64 * 1024;

/// Print the receipt of a record, up to the last checkpoint of its log
#[derive(Args)]
pub struct Prove {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The number of the record
    #[arg(value_name = "RECORD")]
    sequence: u64,
    /// The log's public key, name+hash+base64
    #[arg(long, value_name = "KEY", value_parser = Name::parse)]
    key: Name,
}

/// Check that a record is in a log, with the log's public key and nothing else
///
/// Exit code 1 where the receipt proves nothing.
#[derive(Args)]
pub struct VerifyReceipt {
    /// The receipt in JSON, as an answer has it, or - for standard input
    #[arg(value_name = "FILE")]
    receipt: PathBuf,
    /// The log's public key, name+hash+base64
    #[arg(long, value_name = "KEY", value_parser = Name::parse)]
    key: Name,
}

/// The contract's message in protobuf's JSON.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Written {
    sequence: Number,
    record_hash: String,
    path: Vec<String>,
    checkpoint: String,
    signature_recorded: bool,
}

/// 64 bits are a text in JSON; a number is read as well.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Number(u64),
}

impl Prove {
    pub fn run(self) -> Result<(), Failure> {
        let Self { directory, sequence, key } = self;
        let failed = |error: io::Error| Failure::at(&directory, &error);
        let note = fs::read_to_string(directory.join(CHECKPOINT)).map_err(failed)?;
        let checkpoint = key.open(&note).map_err(|error| Failure::new(error.to_string()))?;
        if sequence >= checkpoint.size {
            return Err(Failure::new(format!(
                "record {sequence} came after the last checkpoint, which has {} records",
                checkpoint.size
            )));
        }
        let Leaves { before, leaves, signed } =
            Leaves::read(&directory, checkpoint.size, sequence).map_err(failed)?;
        let missing = || Failure::new(format!("record {sequence} is not here: it was removed"));
        let index = sequence.checked_sub(before.size()).ok_or_else(missing)?;
        let index = usize::try_from(index).map_err(|_| missing())?;
        let receipt = Receipt {
            sequence,
            record: *leaves.get(index).ok_or_else(missing)?,
            path: before.grow(&leaves).path(index),
            checkpoint: note.into(),
            signature_recorded: signed,
        };
        // What is printed proves something, or nothing is printed.
        receipt.verify(&key).map_err(|_| {
            Failure::new("the log is not the one of the checkpoint: run `countersign audit verify`")
        })?;
        let mut out = io::stdout().lock();
        let written = Written::from(proto::Receipt::from(receipt));
        writeln!(out, "{}", serde_json::to_string_pretty(&written)?)?;
        Ok(())
    }
}

/// The hashes of a log's records.
struct Leaves {
    /// The tree of those that were removed.
    before: Frontier,
    leaves: Vec<Hash>,
    /// Whether the record of interest has a signature's digest.
    signed: bool,
}

impl Leaves {
    fn read(directory: &Path, size: u64, of_interest: u64) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Signed {
            #[serde(default)]
            ended: serde_json::Map<String, serde_json::Value>,
        }

        let mut read = Self { before: Frontier::default(), leaves: Vec::new(), signed: false };
        for segment in SegmentFile::all(directory)? {
            let mut lines = segment.lines()?;
            while let Some(line) = lines.line()? {
                let record = chain::read(line.bytes).map_or(&b""[..], |(_, record)| record);
                if read.leaves.is_empty() && segment.first > 0 {
                    read.before = tree_before(record).unwrap_or_default();
                }
                let seq = read.before.size() + read.leaves.len() as u64;
                if seq == size {
                    return Ok(read);
                }
                if seq == of_interest {
                    let record = serde_json::from_slice::<Signed>(record);
                    read.signed = record.is_ok_and(|record| record.ended.contains_key("signature"));
                }
                read.leaves.push(leaf(record));
            }
        }
        Ok(read)
    }
}

impl VerifyReceipt {
    pub fn run(self) -> Result<(), Failure> {
        let text = read(&self.receipt, RECEIPT_MAX)?;
        let written = serde_json::from_slice::<Written>(&text).map_err(|_| Malformed);
        let receipt = written.and_then(Receipt::try_from);
        let receipt = receipt.map_err(|Malformed| Failure::new("this is no receipt in JSON"))?;
        let checkpoint = receipt.verify(&self.key);
        let checkpoint = checkpoint.map_err(|error| Failure::new(error.to_string()))?;
        let mut out = io::stdout().lock();
        writeln!(out, "log        {}", checkpoint.origin)?;
        writeln!(out, "record     {} of {}", receipt.sequence, checkpoint.size)?;
        writeln!(out, "hash       {}", hex::encode(receipt.record))?;
        writeln!(out, "the record is in the log")?;
        Ok(())
    }
}

impl Default for Number {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl From<proto::Receipt> for Written {
    fn from(receipt: proto::Receipt) -> Self {
        Self {
            sequence: Number::Text(receipt.sequence.to_string()),
            record_hash: STANDARD.encode(receipt.record_hash),
            path: receipt.path.iter().map(|hash| STANDARD.encode(hash)).collect(),
            checkpoint: receipt.checkpoint,
            signature_recorded: receipt.signature_recorded,
        }
    }
}

/// It is no receipt.
pub struct Malformed;

impl TryFrom<Written> for Receipt {
    type Error = Malformed;

    fn try_from(written: Written) -> Result<Self, Malformed> {
        let hash = |text: &String| -> Result<Hash, Malformed> {
            let bytes = STANDARD.decode(text).map_err(|_| Malformed)?;
            bytes.try_into().map_err(|_| Malformed)
        };
        Ok(Self {
            sequence: match written.sequence {
                Number::Text(text) => text.parse().map_err(|_| Malformed)?,
                Number::Number(number) => number,
            },
            record: hash(&written.record_hash)?,
            path: written.path.iter().map(hash).collect::<Result<_, _>>()?,
            checkpoint: written.checkpoint.into(),
            signature_recorded: written.signature_recorded,
        })
    }
}
