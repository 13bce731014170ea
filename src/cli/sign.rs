//! `countersign sign`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;

use super::{
    audit::receipt::Written,
    block_on,
    failure::Failure,
    input::{hexadecimal, hexadecimal_or_base64, read},
    target::Target,
};
use crate::{
    client,
    payload::{PAYLOAD_MAX, PayloadKind},
    proto,
};

/// Ask a running enclave for one signature
#[derive(Args)]
pub struct Sign {
    #[command(flatten)]
    target: Target,
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
    /// A message for a person as text: personal_sign, EIP-191
    #[arg(long, value_name = "TEXT")]
    eip191: Option<String>,
    /// A file with the JSON of typed data, or - for standard input: EIP-712
    #[arg(long, value_name = "FILE")]
    eip712_file: Option<PathBuf>,
    /// An unsigned Ethereum transaction
    #[arg(long, value_name = "HEX")]
    evm_transaction: Option<String>,
    /// A Solana message, without signatures
    #[arg(long, value_name = "HEX|BASE64")]
    solana_message: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    signature: String,
    recovery_id: Option<u32>,
    v: Option<u64>,
    account_address: String,
    record_version: u32,
    /// For `countersign audit verify-receipt`.
    receipt: Option<Written>,
}

impl Sign {
    pub fn run(self) -> Result<(), Failure> {
        let payload = self.payload.read()?;
        let encoding =
            if self.der { proto::SignatureEncoding::Der } else { proto::SignatureEncoding::Raw };
        let request = proto::SignRequest {
            share_id: self.share_id,
            wallet_id: self.wallet_id,
            payload: Some(payload),
            encoding: encoding.into(),
            expected_address: self.expected_address,
            min_record_version: self.min_record_version,
        };
        let answer = block_on(async {
            let mut enclave = self.target.enclave().await?;
            Ok(enclave.sign(request).await?.into_inner())
        })?;
        let signature = answer.signature.unwrap_or_default();
        let printed = Answer {
            signature: hex::encode(&signature.value),
            recovery_id: signature.recovery_id,
            v: signature.v,
            account_address: answer.account_address,
            record_version: answer.record_version,
            receipt: answer.receipt.map(Written::from),
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
    fn read(&self) -> Result<proto::Payload, Failure> {
        let (kind, bytes) = self.bytes()?;
        let payload = client::payload(kind, bytes.into());
        payload.ok_or_else(|| Failure::new("typed data is UTF-8, and this file is not"))
    }

    fn bytes(&self) -> Result<(PayloadKind, Vec<u8>), Failure> {
        let text = |text: &str| text.as_bytes().to_vec();
        // One byte more than is allowed is for the enclave to refuse.
        Ok(if let Some(digest) = &self.digest {
            let digest = hexadecimal(digest).ok_or_else(|| is_not("--digest", "hexadecimal"))?;
            (PayloadKind::Digest, digest)
        } else if let Some(message) = &self.eip191 {
            (PayloadKind::Eip191, text(message))
        } else if let Some(file) = &self.eip712_file {
            (PayloadKind::Eip712, read(file, PAYLOAD_MAX)?)
        } else if let Some(transaction) = &self.evm_transaction {
            let transaction = hexadecimal(transaction);
            let transaction =
                transaction.ok_or_else(|| is_not("--evm-transaction", "hexadecimal"))?;
            (PayloadKind::EvmTransaction, transaction)
        } else if let Some(message) = &self.solana_message {
            let message = hexadecimal_or_base64(message);
            let message =
                message.ok_or_else(|| is_not("--solana-message", "hexadecimal or base64"))?;
            (PayloadKind::SolanaMessage, message)
        } else if let Some(file) = &self.message_file {
            (PayloadKind::Message, read(file, PAYLOAD_MAX)?)
        } else {
            (PayloadKind::Message, text(self.message.as_deref().unwrap_or_default()))
        })
    }
}

fn is_not(flag: &str, what: &str) -> Failure {
    Failure::new(format!("{flag} is not {what}"))
}
