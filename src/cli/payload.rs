//! `countersign payload`: what the enclave would see.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::{
    attributes,
    failure::Failure,
    input::{hexadecimal, hexadecimal_or_base64, read},
};
use crate::{
    config::Config,
    key::Algorithm,
    payload::{PAYLOAD_MAX, Payload as Decoded, PayloadKind},
    policy::{self, Action, Sign},
};

/// Look into payloads
#[derive(Subcommand)]
pub enum Payload {
    Decode(Decode),
}

/// Show what the enclave would see of a payload
///
/// Prints what would be signed, which algorithms sign it, and what policies see, under
/// the names that policies use. Exit code 1, with the rule that is broken, where the
/// enclave would refuse it.
#[derive(Args)]
pub struct Decode {
    /// message, digest, eip191, eip712, evm_transaction or solana_message
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: PayloadKind,
    #[command(flatten)]
    source: Source,
    /// The file holds the bytes themselves, where hexadecimal is expected
    #[arg(long, requires = "file")]
    raw: bool,
    /// A configuration, for the amount limits that the payload stays within
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The payload in hexadecimal, with or without 0x; a Solana message also in base64
    #[arg(long, value_name = "HEX")]
    hex: Option<String>,
    /// The payload as text
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// A file with the payload, or - for standard input: as it is for message, eip191
    /// and eip712; for the others in hexadecimal, or base64 for a Solana message
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A payload as it is printed.
#[derive(Serialize)]
struct Seen {
    kind: &'static str,
    action: &'static str,
    signed: String,
    algorithms: Vec<&'static str>,
    context: Value,
}

impl Payload {
    pub fn run(self) -> Result<(), Failure> {
        let Self::Decode(decode) = self;
        let limits = decode.config.as_deref().map(Config::load).transpose()?;
        let limits = limits.map(|config| config.amounts);
        let kind = decode.kind;
        let payload = Decoded::decode(kind, decode.bytes()?)
            .map_err(|rule| Failure::new(format!("{}: {rule}", kind.field())))?;
        let mut context = policy::view(&payload, &limits.clone().unwrap_or_default());
        if let (None, Value::Object(attributes)) = (limits, &mut context) {
            // Within no limit would be an answer, and nobody knows it.
            attributes.remove("within");
        }
        let fits = |algorithm: &Algorithm| payload.fits(*algorithm).is_ok();
        let seen = Seen {
            kind: kind.as_str(),
            signed: format!("0x{}", hex::encode(payload.signed_bytes())),
            algorithms: Algorithm::ALL.into_iter().filter(fits).map(Algorithm::as_str).collect(),
            action: Sign { payload }.name().as_str(),
            context,
        };
        let mut out = io::stdout().lock();
        if decode.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&seen)?)?;
            return Ok(());
        }
        writeln!(out, "kind       {}", seen.kind)?;
        writeln!(out, "action     {}", seen.action)?;
        writeln!(out, "signed     {}", seen.signed)?;
        writeln!(out, "signed by  {}", seen.algorithms.join(", "))?;
        writeln!(out)?;
        attributes::write(&mut out, "context", &seen.context)?;
        Ok(())
    }
}

impl Decode {
    fn bytes(&self) -> Result<Bytes, Failure> {
        let Source { hex, text, file } = &self.source;
        let bytes = match (hex, text, file) {
            (Some(hex), _, _) => self.written(hex)?,
            (None, Some(text), _) => text.clone().into_bytes(),
            (None, None, Some(file)) if self.raw || self.is_text() => read(file, PAYLOAD_MAX)?,
            (None, None, Some(file)) => {
                let bytes = read(file, WRITTEN_MAX)?;
                self.written(&String::from_utf8_lossy(&bytes))?
            }
            (None, None, None) => Vec::new(),
        };
        Ok(bytes.into())
    }

    /// Whether a file with such a payload is text that people write.
    fn is_text(&self) -> bool {
        match self.kind {
            PayloadKind::Message | PayloadKind::Eip191 | PayloadKind::Eip712 => true,
            PayloadKind::Digest | PayloadKind::EvmTransaction | PayloadKind::SolanaMessage => false,
        }
    }

    fn written(&self, text: &str) -> Result<Vec<u8>, Failure> {
        let (what, bytes) = match self.kind {
            PayloadKind::SolanaMessage => {
                ("hexadecimal or base64", hexadecimal_or_base64(text.trim()))
            }
            _ => ("hexadecimal", hexadecimal(text.trim())),
        };
        bytes.ok_or_else(|| Failure::new(format!("the payload is not {what}")))
    }
}

/// Two digits for each byte, with room for what stands around them.
const WRITTEN_MAX: usize = 2 * PAYLOAD_MAX + 1024;

fn kind(text: &str) -> Result<PayloadKind, String> {
    let known = PayloadKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| format!("one of {}", PayloadKind::ALL.map(PayloadKind::as_str).join(", ")))
}
