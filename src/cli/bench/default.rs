//! The embedded default, held against a bare echo and the bare library.

use std::path::Path;

use super::{
    library::Library,
    load::Signer,
    report::{Aim, Line, Section, Unit},
    request::Share,
    rounds::{in_turn, interleave},
    stream::Frames,
};
use crate::{cli::failure::Failure, key::Algorithm};

/// The sockets and the share that everything here uses.
pub(super) struct Bench<'a> {
    pub(super) echo: &'a Path,
    pub(super) enclave: &'a Path,
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
    /// `Sign` against an echo.
    pub(super) async fn unary(&self) -> Result<Section, Failure> {
        let Self { echo, enclave, share, .. } = *self;
        let rounds = interleave(
            [
                Box::new(Signer::connect(echo, share, 1).await?),
                Box::new(Signer::connect(enclave, share, 1).await?),
                Box::new(Library::new(Algorithm::Ed25519, 1)),
                Box::new(Signer::connect(echo, share, 64).await?),
                Box::new(Signer::connect(enclave, share, 64).await?),
                Box::new(Library::new(Algorithm::Ed25519, self.cores)),
            ],
            self.seconds,
        )
        .await?;
        Ok(Section {
            title: "Sign, embedded default: SQLite, KEK in a file, Ed25519".to_owned(),
            lines: vec![
                Line::new(
                    "bare echo, 1 client, p50",
                    rounds.median(|[echo, ..]| echo.p50_us),
                    Unit::Microseconds,
                ),
                Line::new(
                    "Sign, 1 client, p50",
                    rounds.median(|[_, sign, ..]| sign.p50_us),
                    Unit::Microseconds,
                )
                .against(
                    "echo + sign and verify",
                    rounds.median(|[echo, _, library, ..]| echo.p50_us + library.p50_us),
                    rounds.median(|[echo, sign, library, ..]| {
                        sign.p50_us / (echo.p50_us + library.p50_us)
                    }),
                ),
                Line::new(
                    "bare echo, 64 clients",
                    rounds.median(|[_, _, _, echo, ..]| echo.per_second),
                    Unit::PerSecond,
                ),
                Line::new(
                    "Sign, 64 clients",
                    rounds.median(|[_, _, _, _, sign, _]| sign.per_second),
                    Unit::PerSecond,
                )
                .against(
                    "echo + sign and verify on the same cores",
                    rounds.median(|[.., echo, _, library]| {
                        in_turn(&[echo.per_second, library.per_second])
                    }),
                    rounds.median(|[.., echo, sign, library]| {
                        sign.per_second / in_turn(&[echo.per_second, library.per_second])
                    }),
                ),
            ],
        })
    }

    /// `UseShare` against an echo stream and the library.
    pub(super) async fn stream(&self) -> Result<Section, Failure> {
        let Self { echo, enclave, share, .. } = *self;
        let rounds = interleave(
            [
                Box::new(Frames::connect(echo, share, 1).await?),
                Box::new(Frames::connect(enclave, share, 1).await?),
                Box::new(Library::new(Algorithm::Ed25519, 1)),
                Box::new(Frames::connect(echo, share, 64).await?),
                Box::new(Frames::connect(enclave, share, 64).await?),
                Box::new(Frames::connect(echo, share, 256).await?),
                Box::new(Frames::connect(enclave, share, 256).await?),
                Box::new(Library::new(Algorithm::Ed25519, self.cores)),
            ],
            self.seconds,
        )
        .await?;
        let rate = |measured, value| Line::new(measured, value, Unit::PerSecond);
        let all_cores = rounds.median(|[.., library]| library.per_second);
        let aim = Aim::AtLeast(0.9);
        Ok(Section {
            title: "UseShare, one stream, Ed25519".to_owned(),
            lines: vec![
                rate(
                    "bare echo stream, 1 frame in flight",
                    rounds.median(|[echo, ..]| echo.per_second),
                ),
                rate(
                    "UseShare, 1 frame in flight",
                    rounds.median(|[_, signed, ..]| signed.per_second),
                )
                .against(
                    "echo + sign and verify",
                    rounds.median(|[echo, _, library, ..]| {
                        in_turn(&[echo.per_second, library.per_second])
                    }),
                    rounds.median(|[echo, signed, library, ..]| {
                        signed.per_second / in_turn(&[echo.per_second, library.per_second])
                    }),
                ),
                rate(
                    "bare echo stream, 64 in flight",
                    rounds.median(|[_, _, _, echo, ..]| echo.per_second),
                ),
                rate(
                    "UseShare, 64 in flight",
                    rounds.median(|[_, _, _, _, signed, ..]| signed.per_second),
                )
                .against(
                    "sign and verify, all cores",
                    all_cores,
                    rounds.median(|[_, _, _, _, signed, .., library]| {
                        signed.per_second / library.per_second
                    }),
                )
                .aim(aim),
                rate(
                    "bare echo stream, 256 in flight",
                    rounds.median(|[.., echo, _, _]| echo.per_second),
                ),
                rate("UseShare, 256 in flight", rounds.median(|[.., signed, _]| signed.per_second))
                    .against(
                        "sign and verify, all cores",
                        all_cores,
                        rounds
                            .median(|[.., signed, library]| signed.per_second / library.per_second),
                    )
                    .aim(aim),
            ],
        })
    }
}
