//! The embedded default, held against a bare echo and the bare library.

use std::path::Path;

use super::{
    disk::Disk,
    library::Library,
    load::Signer,
    report::{Aim, Line, Section, Unit},
    request::Share,
    rounds::{Figures, in_turn, interleave},
    stream::Frames,
};
use crate::{cli::failure::Failure, key::Algorithm};

/// The sockets and the share that everything here uses.
pub(super) struct Bench<'a> {
    pub(super) echo: &'a Path,
    pub(super) enclave: &'a Path,
    /// The same enclave without its audit log.
    pub(super) unlogged: &'a Path,
    pub(super) share: &'a Share,
    pub(super) seconds: f64,
    pub(super) cores: usize,
}

/// Sign and verify of each algorithm: the floor.
pub(super) async fn library(seconds: f64, cores: usize) -> Result<Section, Failure> {
    let mut lines = Vec::new();
    for algorithm in Algorithm::ALL {
        let rounds = interleave(
            [Box::new(Library::new(algorithm, 1)), Box::new(Library::new(algorithm, cores))],
            seconds,
        )
        .await?;
        let (one, all) = match algorithm {
            Algorithm::Ed25519 => ("ed25519, one thread", "ed25519, all cores"),
            Algorithm::EcdsaSecp256k1 => {
                ("ecdsa-secp256k1, one thread", "ecdsa-secp256k1, all cores")
            }
            Algorithm::EcdsaP256 => ("ecdsa-p256, one thread", "ecdsa-p256, all cores"),
            Algorithm::SchnorrSecp256k1 => {
                ("schnorr-secp256k1, one thread", "schnorr-secp256k1, all cores")
            }
        };
        let p50 = rounds.median(|[one, _]| one.p50_us);
        lines.push(Line::new(one, p50, Unit::Microseconds));
        let rate = rounds.median(|[_, all]| all.per_second);
        lines.push(Line::new(all, rate, Unit::PerSecond));
    }
    Ok(Section { title: "The library alone: sign and verify on a parsed key".to_owned(), lines })
}

impl Bench<'_> {
    /// `Sign` against an echo, a flush of the disk, and itself without the log.
    pub(super) async fn unary(&self) -> Result<Section, Failure> {
        let Self { echo, enclave, unlogged, share, .. } = *self;
        let directory = enclave.parent().unwrap_or(Path::new("."));
        let rounds = interleave(
            [
                Box::new(Signer::connect(echo, share, 1).await?),
                Box::new(Signer::connect(enclave, share, 1).await?),
                Box::new(Library::new(Algorithm::Ed25519, 1)),
                Box::new(Disk::of(directory)),
                Box::new(Signer::connect(unlogged, share, 1).await?),
                Box::new(Signer::connect(enclave, share, 64).await?),
                Box::new(Signer::connect(unlogged, share, 64).await?),
                Box::new(Signer::connect(echo, share, 64).await?),
                Box::new(Library::new(Algorithm::Ed25519, self.cores)),
            ],
            self.seconds,
        )
        .await?;
        let micros = |measured, value| Line::new(measured, value, Unit::Microseconds);
        let rate = |measured, value| Line::new(measured, value, Unit::PerSecond);
        Ok(Section {
            title: "Sign, embedded default: SQLite, KEK in a file, Ed25519".to_owned(),
            lines: vec![
                micros("bare echo, 1 client, p50", rounds.median(|[echo, ..]| echo.p50_us)),
                micros(
                    "a record's write and fdatasync, p50",
                    rounds.median(|[_, _, _, disk, ..]| disk.p50_us),
                ),
                micros(
                    "Sign without the audit log, 1 client, p50",
                    rounds.median(|[_, _, _, _, sign, ..]| sign.p50_us),
                )
                .against(
                    "echo + sign and verify",
                    rounds.median(|[echo, _, library, ..]| echo.p50_us + library.p50_us),
                    rounds.median(|[echo, _, library, _, sign, ..]| {
                        sign.p50_us / (echo.p50_us + library.p50_us)
                    }),
                ),
                micros("Sign, 1 client, p50", rounds.median(|[_, sign, ..]| sign.p50_us))
                    .against(
                        "fdatasync + echo + sign and verify",
                        rounds.median(|[echo, _, library, disk, ..]| {
                            echo.p50_us + library.p50_us + disk.p50_us
                        }),
                        rounds.median(|[echo, sign, library, disk, ..]| {
                            sign.p50_us / (echo.p50_us + library.p50_us + disk.p50_us)
                        }),
                    )
                    .aim(Aim::AtMost(1.05)),
                rate("bare echo, 64 clients", rounds.median(|[.., echo, _]| echo.per_second)),
                rate(
                    "Sign without the audit log, 64 clients",
                    rounds.median(|[.., unlogged, _, _]| unlogged.per_second),
                )
                .against(
                    "echo + sign and verify on the same cores",
                    rounds.median(|[.., echo, library]| {
                        in_turn(&[echo.per_second, library.per_second])
                    }),
                    rounds.median(|[.., sign, echo, library]| {
                        sign.per_second / in_turn(&[echo.per_second, library.per_second])
                    }),
                ),
                rate("Sign, 64 clients", rounds.median(|[.., sign, _, _, _]| sign.per_second))
                    .against(
                        "without the audit log",
                        rounds.median(|[.., unlogged, _, _]| unlogged.per_second),
                        rounds.median(|[.., sign, unlogged, _, _]| {
                            sign.per_second / unlogged.per_second
                        }),
                    )
                    .aim(Aim::AtLeast(0.83)),
            ],
        })
    }

    /// `UseShare` against an echo stream, the library, and itself without the log.
    pub(super) async fn stream(&self) -> Result<Section, Failure> {
        let Self { echo, enclave, unlogged, share, .. } = *self;
        let rounds = interleave(
            [
                Box::new(Frames::connect(echo, share, 1).await?),
                Box::new(Frames::connect(unlogged, share, 1).await?),
                Box::new(Frames::connect(enclave, share, 1).await?),
                Box::new(Frames::connect(unlogged, share, 64).await?),
                Box::new(Frames::connect(enclave, share, 64).await?),
                Box::new(Frames::connect(echo, share, 256).await?),
                Box::new(Frames::connect(unlogged, share, 256).await?),
                Box::new(Frames::connect(enclave, share, 256).await?),
                Box::new(Library::new(Algorithm::Ed25519, 1)),
                Box::new(Library::new(Algorithm::Ed25519, self.cores)),
            ],
            self.seconds,
        )
        .await?;
        let rate = |measured, value| Line::new(measured, value, Unit::PerSecond);
        let all_cores = rounds.median(|[.., library]| library.per_second);
        let of_library =
            |unlogged: Figures, library: Figures| unlogged.per_second / library.per_second;
        let of_unlogged =
            |signed: Figures, unlogged: Figures| signed.per_second / unlogged.per_second;
        let aim = Aim::AtLeast(0.9);
        Ok(Section {
            title: "UseShare, one stream, Ed25519".to_owned(),
            lines: vec![
                rate(
                    "bare echo stream, 1 frame in flight",
                    rounds.median(|[echo, ..]| echo.per_second),
                ),
                rate(
                    "without the audit log, 1 frame in flight",
                    rounds.median(|[_, unlogged, ..]| unlogged.per_second),
                )
                .against(
                    "echo + sign and verify",
                    rounds.median(|[echo, .., library, _]| {
                        in_turn(&[echo.per_second, library.per_second])
                    }),
                    rounds.median(|[echo, unlogged, .., library, _]| {
                        unlogged.per_second / in_turn(&[echo.per_second, library.per_second])
                    }),
                ),
                rate(
                    "UseShare, 1 frame in flight: each waits for the disk",
                    rounds.median(|[_, _, signed, ..]| signed.per_second),
                )
                .against(
                    "without the audit log",
                    rounds.median(|[_, unlogged, ..]| unlogged.per_second),
                    rounds.median(|[_, unlogged, signed, ..]| of_unlogged(*signed, *unlogged)),
                ),
                rate(
                    "without the audit log, 64 in flight",
                    rounds.median(|[_, _, _, unlogged, ..]| unlogged.per_second),
                )
                .against(
                    "sign and verify, all cores",
                    all_cores,
                    rounds
                        .median(|[_, _, _, unlogged, .., library]| of_library(*unlogged, *library)),
                )
                .aim(aim),
                rate(
                    "UseShare, 64 in flight",
                    rounds.median(|[_, _, _, _, signed, ..]| signed.per_second),
                )
                .against(
                    "without the audit log",
                    rounds.median(|[_, _, _, unlogged, ..]| unlogged.per_second),
                    rounds
                        .median(|[_, _, _, unlogged, signed, ..]| of_unlogged(*signed, *unlogged)),
                ),
                rate(
                    "bare echo stream, 256 in flight",
                    rounds.median(|[_, _, _, _, _, echo, ..]| echo.per_second),
                ),
                rate(
                    "without the audit log, 256 in flight",
                    rounds.median(|[.., unlogged, _, _, _]| unlogged.per_second),
                )
                .against(
                    "sign and verify, all cores",
                    all_cores,
                    rounds.median(|[.., unlogged, _, _, library]| of_library(*unlogged, *library)),
                )
                .aim(aim),
                rate(
                    "UseShare, 256 in flight",
                    rounds.median(|[.., signed, _, _]| signed.per_second),
                )
                .against(
                    "without the audit log",
                    rounds.median(|[.., unlogged, _, _, _]| unlogged.per_second),
                    rounds.median(|[.., unlogged, signed, _, _]| of_unlogged(*signed, *unlogged)),
                )
                .aim(Aim::AtLeast(0.8)),
            ],
        })
    }
}
