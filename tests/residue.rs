//! The proof: no scan of the process finds a share, a DEK or what is derived from
//! them, not even while it signs. `docs/residue.md` is about this.
//!
//! The scanner is the tool of `examples/residue`. The secrets come from opening
//! the stored envelopes outside (`tests/envelope_reader.py`); nothing in the
//! product gives them away. `$COUNTERSIGN_RESIDUE_SAMPLES` is the number of
//! samples per case; the long run is
//! ```sh
//! COUNTERSIGN_RESIDUE_SAMPLES=600 cargo test --release residue:: -- --nocapture --test-threads=1
//! ```

#[path = "../examples/residue/main.rs"]
#[expect(dead_code, reason = "the program's own part")]
mod tool;

mod child;
mod children;
mod controls;
mod doors;
mod dump;
mod freed;
mod instance;
mod load;
mod plain;
mod program;
mod reader;
pub mod rights;
mod scan;
mod telling;

use std::collections::BTreeSet;

use countersign::{key::Algorithm, kms::vault_transit::Role};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use self::{
    instance::{Custodian, Instance, needles},
    load::Load,
    rights::may_look,
    scan::{assert_nothing, samples, scan, snapshot},
    telling::TellingVault,
    tool::{needle::Needle, search::Searcher, tally::Tally},
};
use crate::support::{
    enclave::Share,
    imported::import,
    vault::{Tenant, VaultServer},
};

/// Looks at an instance under a load, and after it.
async fn look(
    case: &str,
    instance: &Instance,
    shares: &[Share],
    more: Vec<Needle>,
    load: impl FnOnce(&Instance, &[Share]) -> Load,
) {
    let Some(mut needles) = instance.needles(shares.iter().map(|share| share.id.as_str())) else {
        return;
    };
    needles.extend(more);
    let load = load(instance, shares);
    load.runs(20).await;
    let during = scan(instance.pid(), &needles, samples()).await;
    load.runs(20).await;
    load.stop().await;
    let after = scan(instance.pid(), &needles, 2).await;
    let names = ["in flight", "after"].map(|when| format!("{case}, {when}"));
    assert_nothing(&[(&names[0], &during), (&names[1], &after)]);
}

/// The same of an instance of its own, over a local KEK or a real Vault.
async fn look_with_a_local_kek(case: &str, load: fn(&Instance, &[Share]) -> Load) {
    let instance = Instance::start("test", &Custodian::Local);
    let shares = instance.shares().await;
    look(case, &instance, &shares, Vec::new(), load).await;
}

async fn look_with_a_vault(case: &str, load: fn(&Instance, &[Share]) -> Load) {
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    assert!(tenant.settings().signer.is_some(), "{:?}", Role::Signer);
    let token = vault.root_token().to_owned();
    let custodian = Custodian::Vault(Box::new(tenant.settings()), token);
    let instance = Instance::start(tenant.environment().as_str(), &custodian);
    let shares = instance.shares().await;
    look(case, &instance, &shares, Vec::new(), load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_with_a_local_kek() {
    if may_look(module_path!(), "signing_with_a_local_kek") {
        look_with_a_local_kek("Sign, local KEK", Load::signing).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_with_a_vault() {
    if may_look(module_path!(), "signing_with_a_vault") {
        look_with_a_vault("Sign, Vault", Load::signing).await;
    }
}

/// The share is open all the time, and between the frames, too.
#[tokio::test(flavor = "multi_thread")]
async fn streams_held_open() {
    if may_look(module_path!(), "streams_held_open") {
        look_with_a_local_kek("UseShare", Load::streaming).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_requests() {
    if may_look(module_path!(), "cancelled_requests") {
        look_with_a_vault("cancelled", Load::cancelling).await;
    }
}

/// The token that Vault gives is searched for as well.
#[tokio::test(flavor = "multi_thread")]
async fn errors_that_carry_plaintext() {
    if !may_look(module_path!(), "errors_that_carry_plaintext") {
        return;
    }
    let vault = TellingVault::start();
    let instance = Instance::start("test", &vault.custodian());
    let shares = instance.shares().await;
    let token = vec![vault.token()];
    look("Vault's errors", &instance, &shares, token, Load::signing).await;
}

/// Shares come in sealed, and are open inside for as long as it takes to seal them anew.
#[tokio::test(flavor = "multi_thread")]
async fn shares_being_imported() {
    if !may_look(module_path!(), "shares_being_imported") {
        return;
    }
    let instance = Instance::start("test", &Custodian::Local);
    let mut shares = Vec::new();
    for algorithm in Algorithm::ALL {
        shares.push(import(&instance.path("custody.sock"), algorithm).await);
    }
    look("ImportShare", &instance, &shares, Vec::new(), Load::importing).await;
}

/// What a new share is, is known only once it is stored: samples are kept and
/// searched then, for the shares that were being made when they were taken.
#[tokio::test(flavor = "multi_thread")]
async fn shares_being_made() {
    if !may_look(module_path!(), "shares_being_made") {
        return;
    }
    // As many snapshots are kept at once, of some MiB each.
    const AT_ONCE: usize = 6;
    // Enough for four clients with one request each, and what they made before.
    const LAST: usize = 8;
    let instance = Instance::start("test", &Custodian::Local);
    let (mut during, mut after) = (Tally::default(), Tally::default());
    for round in 0..samples().div_ceil(AT_ONCE) {
        let load = Load::generating(&instance);
        load.runs(8).await;
        let mut kept = Vec::new();
        for sample in 0..AT_ONCE {
            let snapshot = snapshot(instance.pid(), round + sample > 0).await;
            let made = load.state().made.lock().unwrap();
            let last: Vec<_> = made.iter().rev().take(LAST).cloned().collect();
            drop(made);
            kept.push((snapshot, last));
        }
        load.stop().await;
        let stopped = snapshot(instance.pid(), round > 0).await;
        for (snapshot, last) in &kept {
            let Some(mut needles) = instance.needles(last.iter().map(String::as_str)) else {
                return;
            };
            for needle in &mut needles {
                // Of all shares together.
                if let Some((_, what)) = needle.name.split_once('/') {
                    needle.name = format!("new/{what}");
                }
            }
            let searcher = Searcher::new(&needles).unwrap();
            during.add(&searcher, snapshot);
            after.add(&searcher, &stopped);
        }
    }
    assert_nothing(&[("GenerateShare, in flight", &during), ("GenerateShare, after", &after)]);
}

/// A signal that is handled makes the kernel write the registers of the thread
/// onto a stack. The shipped binary handles none that would not end it; a child
/// of this one does, with the same enclave.
#[tokio::test(flavor = "multi_thread")]
async fn signals_during_the_section() {
    if !may_look(module_path!(), "signals_during_the_section") {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let child = child::start("holds_shares_open", here.path(), "00");
    let directory = std::path::PathBuf::from(&child.said);
    let Some(needles) = needles(&directory, &Custodian::Local, []) else {
        return;
    };
    let storm = Storm::start(child.pid(), &[Signal::USR1]);
    let during = scan(child.pid(), &needles, samples()).await;
    let sent = storm.stop();
    assert!(sent > 1000, "{sent} signals");
    assert_nothing(&[("signals, handled", &during)]);
}

/// Those that a container's init or a terminal sends to anybody.
#[tokio::test(flavor = "multi_thread")]
async fn signals_to_the_binary() {
    if !may_look(module_path!(), "signals_to_the_binary") {
        return;
    }
    let instance = Instance::start("test", &Custodian::Local);
    let shares = instance.shares().await;
    const SIGNALS: [Signal; 3] = [Signal::CHILD, Signal::URG, Signal::WINCH];
    let storm = Storm::start(instance.pid(), &SIGNALS);
    look("signals, ignored", &instance, &shares, Vec::new(), Load::signing).await;
    assert!(storm.stop() > 1000);
    assert!(instance.is_running());
}

/// Signals to every thread of a process, as fast as they can be sent.
struct Storm {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Storm {
    fn start(pid: Pid, signals: &'static [Signal]) -> Self {
        use std::sync::atomic::Ordering;

        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        // PIDFD_THREAD, which pidfd_open(2) has since Linux 6.9: to this thread, and
        // not to whichever of the process.
        let flags = PidfdFlags::from_bits_retain(rustix::fs::OFlags::EXCL.bits());
        let thread = std::thread::spawn(move || {
            let mut sent = 0;
            let tasks = format!("/proc/{}/task", pid.as_raw_pid());
            while !stopped.load(Ordering::SeqCst) {
                for task in std::fs::read_dir(&tasks).into_iter().flatten().flatten() {
                    let id = task.file_name().to_str().unwrap().parse().unwrap();
                    let id = Pid::from_raw(id).unwrap();
                    let thread = pidfd_open(id, flags);
                    let thread = thread.or_else(|_| pidfd_open(pid, PidfdFlags::empty()));
                    for signal in signals {
                        let Ok(thread) = &thread else { continue };
                        sent += usize::from(pidfd_send_signal(thread, *signal).is_ok());
                    }
                }
            }
            sent
        });
        Self { stop, thread }
    }

    fn stop(self) -> usize {
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// Nothing is printed but the place, whatever `RUST_BACKTRACE` says. What the
/// panicking section held was never stored, so every 32 bytes that can be
/// read are tried as the private key of the public key that it had derived.
#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_panics() {
    if !may_look(module_path!(), "a_signer_that_panics") {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let child = child::start("panics_in_the_section", here.path(), "");
    let said = std::fs::read_to_string(here.path().join("stderr")).unwrap();
    assert_eq!(said.matches("panicked in secret memory at").count(), 8, "{said}");
    assert!(!said.contains("a fault"), "{said}");
    let keys: Vec<_> = child.said.split(' ').collect();
    let snapshot = snapshot(child.pid(), true).await;
    let mut found = BTreeSet::new();
    for (_, bytes) in &snapshot.pieces {
        for seed in bytes.windows(32).step_by(8) {
            let seed: &[u8; 32] = seed.try_into().unwrap();
            if !is_likely_a_key(seed) {
                continue;
            }
            let key = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
            let key = hex::encode(key);
            found.extend(keys.iter().position(|other| *other == key));
        }
    }
    assert!(found.remove(&0), "the planted key is not found");
    assert_eq!(found, BTreeSet::new(), "shares of sections that panicked");
}

/// 32 random bytes have 30 different ones; far fewer are no key. Only to save time.
fn is_likely_a_key(bytes: &[u8; 32]) -> bool {
    let mut seen = [false; 256];
    let mut different = 0;
    for byte in bytes {
        let seen = &mut seen[usize::from(*byte)];
        different += usize::from(!*seen);
        *seen = true;
    }
    different >= 24
}
