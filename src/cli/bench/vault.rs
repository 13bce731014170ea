//! `countersign` on a configured Vault and store, held against the same Vault
//! asked directly.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{
    default::Bench,
    library::{self, Library},
    load::{Client, Load, Signer},
    report::{Aim, Line, Section, Unit},
    request::MESSAGE,
    rounds::{in_turn, interleave},
    stream::Frames,
};
use crate::{
    cli::failure::Failure,
    key::Algorithm,
    kms::vault_transit::{Settings, client},
    permitted::PermittedEnvelope,
};

/// Who asks Vault directly, and with which key it signs.
#[derive(clap::Args)]
pub(super) struct Direct {
    /// A file with a token for asking Vault directly, the baselines of --config
    ///
    /// The baselines are plain requests, made by this process with the enclave's
    /// own HTTPS client and nothing else of it: `transit/decrypt` of the very DEK
    /// that the enclave's `Sign` has unwrapped, and `transit/sign`. The signer's
    /// policy (`countersign vault policy --role signer`) permits the first.
    #[arg(long, value_name = "FILE", requires = "config")]
    vault_token_file: Option<PathBuf>,
    /// An Ed25519 key in the same Transit mount, for the baseline `transit/sign`
    ///
    /// The token needs `update` on `<mount>/sign/<KEY>`.
    #[arg(long, value_name = "KEY", requires = "vault_token_file")]
    transit_sign_key: Option<String>,
}

/// A request that is sent again and again.
#[derive(Clone)]
struct Transit {
    client: reqwest::Client,
    url: String,
    token: HeaderValue,
    namespace: Option<HeaderValue>,
    body: Bytes,
}

impl Client for Transit {
    async fn call(&mut self) -> Result<(), Failure> {
        let mut request = self
            .client
            .post(&self.url)
            .header("x-vault-request", "true")
            .header("x-vault-token", self.token.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(self.body.clone());
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace.clone());
        }
        // An error of the client may quote what it sent.
        let failed = |what: &str| Failure::new(format!("{}: {what}", self.url));
        let response = request.send().await.map_err(|_| failed("no answer"))?;
        let status = response.status();
        response.bytes().await.map_err(|_| failed("no body"))?;
        match status {
            StatusCode::OK => Ok(()),
            _ => Err(failed(&format!("answers {status}"))),
        }
    }
}

/// The parts of a `Sign`, one after the other: an echo, a decryption, a
/// signature and its verification. A server that waits for its next request for
/// longer wakes up later, so that this takes longer than each part in a loop of
/// its own would suggest.
struct Parts {
    echo: Signer,
    decrypt: Transit,
    key: SigningKey,
}

impl Client for Parts {
    async fn call(&mut self) -> Result<(), Failure> {
        self.echo.call().await?;
        self.decrypt.call().await?;
        library::sign_ed25519(&self.key).ok_or_else(|| Failure::new("the library does not sign"))
    }
}

impl Direct {
    /// Compares, or measures what there is without a token.
    pub(super) async fn section(
        &self,
        bench: &Bench<'_>,
        settings: &Settings,
        unwrapped: &PermittedEnvelope<crate::policy::Sign>,
    ) -> Result<Vec<Section>, Failure> {
        let title = |what: &str| format!("{what}, as configured: vault-transit");
        let Some(token_file) = &self.vault_token_file else {
            return Ok(vec![Section {
                title: title("Sign without baselines (no --vault-token-file)"),
                lines: alone(bench).await?,
            }]);
        };
        let decrypt = Transit::new(
            settings,
            token_file,
            &format!("{}/decrypt/{}", settings.mount, settings.key),
            &json!({
                "ciphertext": String::from_utf8_lossy(unwrapped.dek().wrapped().as_bytes()),
                "context": STANDARD.encode(unwrapped.dek().context().as_bytes()),
            }),
        )?;
        let mut sections = vec![Section {
            title: title("Sign against transit/decrypt"),
            lines: against_decrypt(bench, &decrypt).await?,
        }];
        sections.push(match &self.transit_sign_key {
            None => Section {
                title: title("Without --transit-sign-key: transit/sign skipped"),
                lines: Vec::new(),
            },
            Some(key) => {
                let sign = Transit::new(
                    settings,
                    token_file,
                    &format!("{}/sign/{key}", settings.mount),
                    &json!({ "input": STANDARD.encode(MESSAGE) }),
                )?;
                Section {
                    title: title("Sign and UseShare against transit/sign (Ed25519)"),
                    lines: against_sign(bench, &sign).await?,
                }
            }
        });
        Ok(sections)
    }
}

async fn alone(bench: &Bench<'_>) -> Result<Vec<Line>, Failure> {
    let rounds = interleave(
        [
            Box::new(Signer::connect(bench.enclave, bench.share, 1).await?),
            Box::new(Signer::connect(bench.enclave, bench.share, 64).await?),
        ],
        bench.seconds,
    )
    .await?;
    Ok(vec![
        Line::new("Sign, 1 client, p50", rounds.median(|[one, _]| one.p50_us), Unit::Microseconds),
        Line::new("Sign, 64 clients", rounds.median(|[_, many]| many.per_second), Unit::PerSecond),
    ])
}

async fn against_decrypt(bench: &Bench<'_>, decrypt: &Transit) -> Result<Vec<Line>, Failure> {
    let parts = Load::of(vec![Parts {
        echo: Signer::one(bench.echo, bench.share).await?,
        decrypt: decrypt.clone(),
        key: library::ed25519(),
    }]);
    let rounds = interleave(
        [
            Box::new(Signer::connect(bench.echo, bench.share, 1).await?),
            Box::new(Library::new(Algorithm::Ed25519, 1)),
            Box::new(decrypt.clients(1)),
            Box::new(parts),
            Box::new(Signer::connect(bench.enclave, bench.share, 1).await?),
            Box::new(Signer::connect(bench.echo, bench.share, 64).await?),
            Box::new(Library::new(Algorithm::Ed25519, bench.cores)),
            Box::new(decrypt.clients(64)),
            Box::new(Signer::connect(bench.enclave, bench.share, 64).await?),
        ],
        bench.seconds,
    )
    .await?;
    Ok(vec![
        Line::new(
            "transit/decrypt, 1 client, p50",
            rounds.median(|[_, _, decrypt, ..]| decrypt.p50_us),
            Unit::Microseconds,
        ),
        Line::new(
            "Sign, 1 client, p50",
            rounds.median(|[_, _, _, _, sign, ..]| sign.p50_us),
            Unit::Microseconds,
        )
        .against(
            "decrypt + echo + sign and verify, added up",
            rounds.median(|[echo, library, decrypt, ..]| {
                decrypt.p50_us + echo.p50_us + library.p50_us
            }),
            rounds.median(|[echo, library, decrypt, _, sign, ..]| {
                sign.p50_us / (decrypt.p50_us + echo.p50_us + library.p50_us)
            }),
        )
        .aim(Aim::AtMost(1.05)),
        Line::new(
            "Sign, 1 client, p50",
            rounds.median(|[_, _, _, _, sign, ..]| sign.p50_us),
            Unit::Microseconds,
        )
        .against(
            "its parts, one after the other",
            rounds.median(|[_, _, _, parts, ..]| parts.p50_us),
            rounds.median(|[_, _, _, parts, sign, ..]| sign.p50_us / parts.p50_us),
        ),
        Line::new("Sign, 64 clients", rounds.median(|[.., sign]| sign.per_second), Unit::PerSecond)
            .against(
                "transit/decrypt, 64 clients",
                rounds.median(|[.., decrypt, _]| decrypt.per_second),
                rounds.median(|[.., decrypt, sign]| sign.per_second / decrypt.per_second),
            )
            .aim(Aim::AtLeast(0.85)),
        Line::new("Sign, 64 clients", rounds.median(|[.., sign]| sign.per_second), Unit::PerSecond)
            .against(
                "its parts, on the same cores",
                rounds.median(|[.., echo, library, decrypt, _]| {
                    in_turn(&[echo.per_second, library.per_second, decrypt.per_second])
                }),
                rounds.median(|[.., echo, library, decrypt, sign]| {
                    let parts = [echo.per_second, library.per_second, decrypt.per_second];
                    sign.per_second / in_turn(&parts)
                }),
            ),
    ])
}

async fn against_sign(bench: &Bench<'_>, sign: &Transit) -> Result<Vec<Line>, Failure> {
    let rounds = interleave(
        [
            Box::new(sign.clients(1)),
            Box::new(Frames::connect(bench.enclave, bench.share, 64).await?),
            Box::new(sign.clients(64)),
            Box::new(Signer::connect(bench.enclave, bench.share, 64).await?),
        ],
        bench.seconds,
    )
    .await?;
    Ok(vec![
        Line::new(
            "Sign, 64 clients",
            rounds.median(|[.., signed]| signed.per_second),
            Unit::PerSecond,
        )
        .against(
            "transit/sign, 64 clients",
            rounds.median(|[.., sign, _]| sign.per_second),
            rounds.median(|[.., sign, signed]| signed.per_second / sign.per_second),
        )
        .aim(Aim::AtLeast(0.8)),
        Line::new(
            "UseShare, 64 in flight",
            rounds.median(|[_, stream, ..]| stream.per_second),
            Unit::PerSecond,
        )
        .against(
            "transit/sign, 1 client",
            rounds.median(|[sign, ..]| sign.per_second),
            rounds.median(|[sign, stream, ..]| stream.per_second / sign.per_second),
        )
        .aim(Aim::AtLeast(15.0)),
    ])
}

impl Transit {
    fn new(
        settings: &Settings,
        token_file: &Path,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Self, Failure> {
        let address = settings.addresses.first();
        let address = address.ok_or_else(|| Failure::new("no Vault address is configured"))?;
        let token = std::fs::read_to_string(token_file)?;
        let mut token = HeaderValue::from_str(token.trim())
            .map_err(|_| Failure::new("the token file holds no token"))?;
        token.set_sensitive(true);
        let namespace = settings.namespace.as_deref().map(HeaderValue::from_str);
        Ok(Self {
            client: client::new(settings).map_err(|error| Failure::new(error.to_string()))?,
            url: format!("{}/v1/{path}", address.trim_end_matches('/')),
            token,
            namespace: namespace.transpose().map_err(|_| Failure::new("the namespace is none"))?,
            body: body.to_string().into(),
        })
    }

    fn clients(&self, number: usize) -> Load<Self> {
        Load::of(vec![self.clone(); number])
    }
}
