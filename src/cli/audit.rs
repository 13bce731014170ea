//! `countersign audit`: what an auditor asks of a log. It needs the directory alone, and
//! changes nothing, but for `forget`, which is about the store.

mod export;
mod filter;
mod forget;
mod joined;
mod ocsf;
pub(super) mod receipt;
mod show;
mod verify;

use clap::Subcommand;

use super::failure::Failure;

/// Look into the audit log
#[derive(Subcommand)]
pub enum Audit {
    Verify(verify::Verify),
    Show(show::Show),
    Prove(receipt::Prove),
    Export(export::Export),
    Forget(forget::Forget),
    VerifyReceipt(receipt::VerifyReceipt),
}

impl Audit {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Verify(verify) => verify.run(),
            Self::Show(show) => show.run(),
            Self::Prove(prove) => prove.run(),
            Self::Export(export) => export.run(),
            Self::Forget(forget) => forget.run(),
            Self::VerifyReceipt(verify) => verify.run(),
        }
    }
}
