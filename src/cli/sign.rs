//! `countersign sign`.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;

use super::{block_on, failure::Failure};
use crate::{client, payload::PAYLOAD_MAX, proto};

/// Ask a running enclave for one signature
#[derive(Args)]
pub struct Sign {
    /// The enclave's socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The share
    #[arg(long, value_name = "UUID")]
    share_id: String,
    /// The share's wallet
    #[arg(long, value_name = "ID")]
    wallet_id: String,
    #[command(flatten)]
    payload: Payload,
    /// DER instead of 64 raw bytes; ECDSA only
    #[arg(long)]
    der: bool,
    /// Refuse when the share is bound to another account address
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    expected_address: String,
    /// Refuse a record of a lower version
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_record_version: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Payload {
    /// A file with the message, or - for standard input
    #[arg(long, value_name = "FILE")]
    message_file: Option<PathBuf>,
    /// The message as text
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// A digest, 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    signature: String,
    recovery_id: Option<u32>,
    record_version: u32,
}

impl Sign {
    pub fn run(self) -> Result<(), Failure> {
        let kind = self.payload.read()?;
        let encoding =
            if self.der { proto::SignatureEncoding::Der } else { proto::SignatureEncoding::Raw };
        let request = proto::SignRequest {
            share_id: self.share_id,
            wallet_id: self.wallet_id,
            payload: Some(proto::Payload { kind: Some(kind) }),
            encoding: encoding.into(),
            expected_address: self.expected_address,
            min_record_version: self.min_record_version,
        };
        let answer = block_on(async {
            let mut enclave = client::enclave(&self.socket).await?;
            Ok(enclave.sign(request).await?.into_inner())
        })?;
        let signature = answer.signature.unwrap_or_default();
        let printed = Answer {
            signature: hex::encode(&signature.value),
            recovery_id: signature.recovery_id,
            record_version: answer.record_version,
        };
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&printed)?)?;
        } else {
            writeln!(out, "{}", printed.signature)?;
        }
        Ok(())
    }
}

impl Payload {
    fn read(&self) -> Result<proto::payload::Kind, Failure> {
        if let Some(digest) = &self.digest {
            let digest = hex::decode(digest)
                .map_err(|error| Failure::new(format!("--digest is not hexadecimal: {error}")))?;
            return Ok(proto::payload::Kind::Digest(digest.into()));
        }
        let mut message = Vec::new();
        match (&self.message, &self.message_file) {
            (Some(text), _) => message.extend_from_slice(text.as_bytes()),
            (None, Some(file)) => {
                let mut source: Box<dyn Read> = if file.as_os_str() == "-" {
                    Box::new(io::stdin())
                } else {
                    Box::new(std::fs::File::open(file)?)
                };
                // One byte more than is allowed, for the enclave to refuse.
                let limit = PAYLOAD_MAX as u64 + 1;
                source.by_ref().take(limit).read_to_end(&mut message)?;
            }
            (None, None) => {}
        }
        Ok(proto::payload::Kind::Message(message.into()))
    }
}
