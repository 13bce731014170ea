//! What the demo found, for people and for programs.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

/// Everything.
#[derive(Serialize)]
pub(super) struct Report {
    /// The protection level of secret memory.
    pub(super) protection: &'static str,
    /// One key of every algorithm.
    pub(super) keys: Vec<KeyReport>,
    /// What must be refused.
    pub(super) refusals: Vec<RefusalReport>,
    /// What was recorded meanwhile.
    pub(super) audit: AuditReport,
    /// The whole run.
    pub(super) total_ms: f64,
}

/// The audit log, verified.
#[derive(Serialize)]
pub(super) struct AuditReport {
    pub(super) directory: PathBuf,
    pub(super) records: u64,
    pub(super) root: Option<String>,
    /// The key that signs it.
    pub(super) key: Option<String>,
    pub(super) intact: bool,
}

/// One key, and what was signed with it.
#[derive(Serialize)]
pub(super) struct KeyReport {
    pub(super) algorithm: &'static str,
    pub(super) share_id: String,
    pub(super) wallet_id: String,
    pub(super) public_key: String,
    pub(super) account_address: String,
    pub(super) payload_kind: &'static str,
    pub(super) payload: String,
    pub(super) signature: String,
    pub(super) recovery_id: Option<u32>,
    pub(super) generate_ms: f64,
    pub(super) sign_ms: f64,
    pub(super) use_share_signatures: u64,
    pub(super) use_share_ms: f64,
    pub(super) verified: bool,
}

/// One attempt that must be refused.
#[derive(Serialize)]
pub(super) struct RefusalReport {
    pub(super) attempt: &'static str,
    /// Refused for the reason that was expected.
    pub(super) refused: bool,
    pub(super) code: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Report {
    /// Whether every signature verified, every attempt was refused and the log is intact.
    pub(super) fn is_as_expected(&self) -> bool {
        self.keys.iter().all(|key| key.verified)
            && self.refusals.iter().all(|refusal| refusal.refused)
            && self.audit.intact
    }

    /// The summary for people.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "countersign demo: local KEK, SQLite, Unix socket")?;
        writeln!(out, "secret memory: {}\n", self.protection)?;
        writeln!(
            out,
            "{:18} {:>12} {:>10} {:>14}   PUBLIC KEY",
            "ALGORITHM", "GENERATE", "SIGN", "USE SHARE"
        )?;
        for key in &self.keys {
            let verified = if key.verified { "" } else { "   NOT VERIFIED" };
            writeln!(
                out,
                "{:18} {:>9.2} ms {:>7.2} ms {:>3} in {:>5.2} ms   {}{verified}",
                key.algorithm,
                key.generate_ms,
                key.sign_ms,
                key.use_share_signatures,
                key.use_share_ms,
                key.public_key,
            )?;
            writeln!(out, "  share     {} of {}", key.share_id, key.wallet_id)?;
            writeln!(out, "  signature {}", key.signature)?;
            if !key.account_address.is_empty() {
                writeln!(out, "  address   {}", key.account_address)?;
            }
        }
        writeln!(out, "\nRefused, as they must be:")?;
        for refusal in &self.refusals {
            let RefusalReport { attempt, refused, code, reason, message } = refusal;
            let mark = if *refused { "" } else { "NOT AS EXPECTED: " };
            writeln!(out, "  {attempt}\n    {mark}{code} ({reason}): {message}")?;
        }
        let AuditReport { records, root, intact, .. } = &self.audit;
        let intact = if *intact { "intact" } else { "NOT INTACT" };
        let root = root.as_deref().unwrap_or("unknown");
        writeln!(out, "\nAudit log: {records} records, {intact}, root {root}")?;
        let verified = self.keys.iter().filter(|key| key.verified).count();
        let signatures: u64 = self.keys.iter().map(|key| key.use_share_signatures + 1).sum();
        writeln!(
            out,
            "\n{signatures} signatures with {verified} keys verified in {:.0} ms",
            self.total_ms
        )
    }

    /// What to try next, for `--serve`.
    pub(super) fn print_next(&self, out: &mut impl Write, dir: &Path) -> io::Result<()> {
        let dir = dir.display();
        let program = std::env::current_exe()?;
        let program = program.display();
        writeln!(out, "\nServing on {dir}/enclave.sock and {dir}/custody.sock until Ctrl-C.")?;
        let Some(key) = self.keys.first() else {
            return Ok(());
        };
        let KeyReport { share_id, wallet_id, .. } = key;
        writeln!(out, "Try in another terminal:\n")?;
        writeln!(
            out,
            "  {program} sign --socket {dir}/enclave.sock --share-id {share_id} \\\n    \
             --wallet-id {wallet_id} --message hello\n"
        )?;
        writeln!(out, "  {program} share list --socket {dir}/custody.sock\n")?;
        writeln!(out, "  {program} audit show --follow {dir}/audit\n")?;
        writeln!(
            out,
            "  {program} proto > countersign.binpb\n  \
             grpcurl -protoset countersign.binpb -plaintext -unix -d '{{\"share_id\":\"{share_id}\",\n    \
             \"wallet_id\":\"{wallet_id}\",\"payload\":{{\"message\":\"aGVsbG8=\"}}}}' \\\n    \
             {dir}/enclave.sock countersign.v1.SigningEnclave/Sign"
        )
    }
}
