//! The command line: arguments in, exit code out.
#![forbid(unsafe_code)]

mod attributes;
mod audit;
mod bench;
mod check;
mod demo;
mod embedded;
mod failure;
mod health;
mod input;
mod payload;
mod policy;
mod progress;
mod proto;
mod rotation;
mod rotator;
mod serve;
mod share;
mod sign;
mod target;
mod vault;

use std::{
    future::Future,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::{Parser, Subcommand};
use failure::Failure;
use tokio::runtime;

use crate::enclave::warm_up;

/// A signing enclave beside your application: it keeps key shares wrapped by a
/// KMS, opens one only while a request is active, and answers with a signature.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes:\n  0   done\n  1   refused or failed; the reason is printed\n  \
        2   the command line is wrong\n  78  the configuration or the policies are wrong"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Check(check::Check),
    Health(health::Health),
    #[command(subcommand)]
    Share(share::Share),
    Sign(sign::Sign),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Payload(payload::Payload),
    #[command(subcommand)]
    Audit(audit::Audit),
    #[command(subcommand)]
    Rotation(rotation::Rotation),
    #[command(subcommand)]
    Vault(vault::Vault),
    Proto(proto::Proto),
    Bench(bench::Bench),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    // One TLS provider for everything in the process; a second call finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Health(health) => health.run(),
        Command::Share(share) => share.run(),
        Command::Sign(sign) => sign.run(),
        Command::Policy(policy) => policy.run(),
        Command::Payload(payload) => payload.run(),
        Command::Audit(audit) => audit.run(),
        Command::Rotation(rotation) => rotation.run(),
        Command::Vault(vault) => vault.run(),
        Command::Proto(proto) => proto.run(),
        Command::Bench(bench) => bench.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs a client's future.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Runs a future on a runtime with `workers` threads on which sections may run. They
/// are the first that it starts; later ones are for what blocks.
fn block_on_threads<T>(
    workers: usize,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let started = AtomicUsize::new(0);
    runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .on_thread_start(move || {
            if started.fetch_add(1, Ordering::Relaxed) < workers {
                warm_up();
            }
        })
        .enable_all()
        .build()?
        .block_on(future)
}
