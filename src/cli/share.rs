//! `countersign share`: the operators' commands, to the custody service or between stores.

mod import;
mod migrate;
mod rewrap;
mod sealed;
mod secret;
mod shred;
mod transfer;

use std::{
    io::{self, Write},
    time::SystemTime,
};

use clap::{Args, Subcommand};
use serde::Serialize;

use self::{import::Step, transfer::Move};
use super::{block_on, failure::Failure, target::Target};
use crate::{
    key::{Algorithm, ShareId, WalletId, Why},
    proto,
};

/// Make, import, list, show, disable, enable, reencrypt and destroy shares, over the custody
/// socket or TLS; rewrap, migrate, shred, copy, back up and restore the records of a store
#[derive(Subcommand)]
pub enum Share {
    #[command(flatten)]
    Life(Life),
    #[command(flatten)]
    Import(Step),
    Rewrap(rewrap::Rewrap),
    Shred(shred::Shred),
    Migrate(migrate::Migrate),
    #[command(flatten)]
    Move(Move),
}

/// What needs no more than the custody service.
#[derive(Subcommand)]
pub enum Life {
    /// Make a new share inside the enclave
    ///
    /// Repeating it with the same --share-id is harmless: the second answer says
    /// that the share exists, with its public key.
    Generate {
        #[command(flatten)]
        to: Custody,
        /// The new share's id, a UUID; a random one when left out
        #[arg(long, value_name = "UUID")]
        share_id: Option<String>,
        /// The wallet that it belongs to
        #[arg(long, value_name = "ID")]
        wallet_id: String,
        /// ed25519, ecdsa-secp256k1, ecdsa-p256 or schnorr-secp256k1
        #[arg(long, value_name = "NAME", value_parser = algorithm)]
        algorithm: Algorithm,
    },
    /// List shares
    List {
        #[command(flatten)]
        to: Custody,
        /// Only the shares of this wallet
        #[arg(long, value_name = "ID", default_value = "")]
        wallet_id: String,
    },
    /// Show one share
    Show {
        #[command(flatten)]
        to: Custody,
        /// The share
        share_id: String,
    },
    /// Stop every use of a share
    Disable {
        #[command(flatten)]
        to: Custody,
        #[command(flatten)]
        change: Change,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Allow the use of a share again, and take back its destruction
    Enable {
        #[command(flatten)]
        to: Custody,
        #[command(flatten)]
        change: Change,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Have a disabled share wait for its destruction: the first of two steps
    ScheduleDestruction {
        #[command(flatten)]
        to: Custody,
        #[command(flatten)]
        change: Change,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Destroy a share that has waited; this cannot be undone
    Destroy {
        #[command(flatten)]
        to: Custody,
        #[command(flatten)]
        change: Change,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Seal a share anew, under a new DEK, inside the enclave
    ///
    /// For when a DEK may be known to somebody. Its record has the next version then: name
    /// that as the lowest that a client accepts.
    Reencrypt {
        #[command(flatten)]
        to: Custody,
        #[command(flatten)]
        change: Change,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
}

#[derive(Args)]
pub struct Custody {
    #[command(flatten)]
    target: Target,
    /// Print JSON, one document per share
    #[arg(long)]
    json: bool,
}

/// Which share is changed.
#[derive(Args)]
pub struct Change {
    /// The share
    share_id: String,
    /// Refuse when the share is not at this revision
    #[arg(long, value_name = "N", default_value_t = 0)]
    expected_revision: u64,
}

/// A share as it is printed.
#[derive(Serialize)]
struct Row {
    share_id: String,
    wallet_id: String,
    algorithm: &'static str,
    state: &'static str,
    public_key: String,
    account_address: String,
    environment: String,
    binding: &'static str,
    kek: String,
    record_version: u32,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_after: Option<String>,
}

/// The most shares that one page can have.
const PAGE: u32 = 1000;

impl Share {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Life(life) => block_on(async {
                let (to, shares) = life.call().await?;
                print(&to, &shares)
            }),
            Self::Import(import) => import.run(),
            Self::Rewrap(rewrap) => rewrap.run(),
            Self::Shred(shred) => shred.run(),
            Self::Migrate(migrate) => migrate.run(),
            Self::Move(transfer) => transfer.run(),
        }
    }
}

impl Life {
    async fn call(self) -> Result<(Custody, Vec<proto::Share>), Failure> {
        Ok(match self {
            Self::Generate { to, share_id, wallet_id, algorithm } => {
                let mut custody = to.target.custody().await?;
                let request = proto::GenerateShareRequest {
                    share_id: share_id.unwrap_or_else(|| ShareId::random().to_string()),
                    wallet_id,
                    algorithm: algorithm.number().into(),
                };
                let made = custody.generate_share(request).await?.into_inner();
                (to, made.share.into_iter().collect())
            }
            Self::List { to, wallet_id } => {
                let mut custody = to.target.custody().await?;
                let mut shares = Vec::new();
                let mut page_token = String::new();
                loop {
                    let request = proto::ListSharesRequest {
                        page_size: PAGE,
                        page_token,
                        wallet_id: wallet_id.clone(),
                    };
                    let page = custody.list_shares(request).await?.into_inner();
                    shares.extend(page.shares);
                    page_token = page.next_page_token;
                    if page_token.is_empty() {
                        break (to, shares);
                    }
                }
            }
            Self::Show { to, share_id } => {
                let mut custody = to.target.custody().await?;
                let request = proto::GetShareRequest { share_id };
                let shown = custody.get_share(request).await?.into_inner();
                (to, shown.share.into_iter().collect())
            }
            Self::Disable { to, change: Change { share_id, expected_revision }, reason } => {
                let mut custody = to.target.custody().await?;
                let request = proto::DisableShareRequest { share_id, expected_revision, reason };
                let disabled = custody.disable_share(request).await?.into_inner();
                (to, disabled.share.into_iter().collect())
            }
            Self::Enable { to, change: Change { share_id, expected_revision }, reason } => {
                let mut custody = to.target.custody().await?;
                let request = proto::EnableShareRequest { share_id, expected_revision, reason };
                let enabled = custody.enable_share(request).await?.into_inner();
                (to, enabled.share.into_iter().collect())
            }
            Self::ScheduleDestruction {
                to,
                change: Change { share_id, expected_revision },
                reason,
            } => {
                let mut custody = to.target.custody().await?;
                let request =
                    proto::ScheduleDestructionRequest { share_id, expected_revision, reason };
                let waiting = custody.schedule_destruction(request).await?.into_inner();
                (to, waiting.share.into_iter().collect())
            }
            Self::Destroy { to, change: Change { share_id, expected_revision }, reason } => {
                let mut custody = to.target.custody().await?;
                let request = proto::DestroyShareRequest { share_id, expected_revision, reason };
                let destroyed = custody.destroy_share(request).await?.into_inner();
                (to, destroyed.share.into_iter().collect())
            }
            Self::Reencrypt { to, change: Change { share_id, expected_revision }, reason } => {
                let mut custody = to.target.custody().await?;
                let request = proto::ReencryptShareRequest { share_id, expected_revision, reason };
                let resealed = custody.reencrypt_share(request).await?.into_inner();
                (to, resealed.share.into_iter().collect())
            }
        })
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn share_id(text: &str) -> Result<ShareId, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn why(text: &str) -> Result<Why, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn wallet_id(text: &str) -> Result<WalletId, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn print(to: &Custody, shares: &[proto::Share]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if !to.json {
        writeln!(
            out,
            "{:36}  {:17}  {:8}  {:20}  PUBLIC KEY",
            "SHARE", "ALGORITHM", "STATE", "WALLET"
        )?;
    }
    for share in shares {
        let row = row(share);
        if to.json {
            writeln!(out, "{}", serde_json::to_string(&row)?)?;
        } else {
            writeln!(
                out,
                "{:36}  {:17}  {:8}  {:20}  {}",
                row.share_id, row.algorithm, row.state, row.wallet_id, row.public_key
            )?;
        }
    }
    Ok(())
}

/// As RFC 3339 writes it.
fn moment(at: prost_types::Timestamp) -> Option<String> {
    let at = SystemTime::try_from(at).ok()?;
    Some(humantime::format_rfc3339_seconds(at).to_string())
}

fn row(share: &proto::Share) -> Row {
    let key = share.public_key.clone().unwrap_or_default();
    let algorithm = u8::try_from(key.algorithm).ok();
    let algorithm = algorithm.and_then(|number| Algorithm::try_from(number).ok());
    Row {
        algorithm: algorithm.map_or("unknown", Algorithm::as_str),
        state: match key.state() {
            proto::ShareState::Enabled => "enabled",
            proto::ShareState::Disabled => "disabled",
            proto::ShareState::Unspecified => "unknown",
        },
        public_key: hex::encode(&key.key),
        share_id: key.share_id,
        wallet_id: key.wallet_id,
        account_address: key.account_address,
        environment: share.environment.clone(),
        binding: match share.binding() {
            proto::Binding::Derived => "derived",
            proto::Binding::Declared => "declared",
            proto::Binding::Unspecified => "unknown",
        },
        kek: share.kek.clone(),
        record_version: key.record_version,
        revision: share.revision,
        destroy_after: share.destroy_after.and_then(moment),
    }
}
