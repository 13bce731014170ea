//! The webhook: checkpoints, delivered to where the log's machine cannot reach. Each is one
//! POST of the signed note, over TLS 1.3, until it was taken or a later one is there.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Certificate, Client, Url, redirect::Policy, tls::Version};
use tokio::{sync::watch, time::sleep};

use crate::telemetry::Metrics;

/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The last delivery, when the process ends.
const LAST: Duration = Duration::from_secs(2);
/// Pauses between attempts: doubling, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Where checkpoints go.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// An `https` address.
    pub url: Url,
    /// PEM certificates of the authorities that may vouch for it; no others do.
    pub ca_file: PathBuf,
    /// Holds the token that is sent as `Authorization: Bearer`, if one is; read for each
    /// delivery.
    pub token_file: Option<PathBuf>,
}

/// The checkpoints as they are made.
pub type Checkpoints = watch::Receiver<Option<Arc<str>>>;

/// A client of the webhook.
pub struct Webhook {
    client: Client,
    settings: WebhookSettings,
    metrics: Metrics,
}

/// Why a checkpoint was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A file cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The authorities are none, the request did not come through, or the answer is no
    /// success.
    #[error("{0}")]
    Http(#[from] reqwest::Error),
}

impl Webhook {
    /// Reads the authorities.
    ///
    /// # Errors
    /// There are none.
    pub fn new(settings: &WebhookSettings, metrics: Metrics) -> Result<Self, WebhookError> {
        let file = &settings.ca_file;
        let pem = fs::read(file).map_err(|error| WebhookError::File(file.clone(), error))?;
        let client = Client::builder()
            .tls_certs_only(Certificate::from_pem_bundle(&pem)?)
            .tls_version_min(Version::TLS_1_3)
            .https_only(true)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()?;
        Ok(Self { client, settings: settings.clone(), metrics })
    }

    /// Delivers every checkpoint, or the one after it. Ends with the log.
    pub async fn follow(&self, mut checkpoints: Checkpoints) {
        while checkpoints.changed().await.is_ok() {
            let mut pause = PAUSES.0;
            loop {
                let note = checkpoints.borrow_and_update().clone();
                let Some(note) = note else { break };
                match self.deliver(&note).await {
                    Ok(()) => break,
                    Err(error) => tracing::warn!(%error, "A checkpoint is not delivered"),
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }

    /// Delivers the last checkpoint, in the time that an end has.
    pub async fn deliver_last(&self, checkpoints: &Checkpoints) {
        let note = checkpoints.borrow().clone();
        let Some(note) = note else { return };
        match tokio::time::timeout(LAST, self.deliver(&note)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "The last checkpoint is not delivered"),
            Err(_) => tracing::warn!("The last checkpoint is not delivered in time"),
        }
    }

    async fn deliver(&self, note: &str) -> Result<(), WebhookError> {
        let mut request = self.client.post(self.settings.url.clone());
        if let Some(file) = &self.settings.token_file {
            let token = tokio::fs::read_to_string(file).await;
            let token = token.map_err(|error| WebhookError::File(file.clone(), error))?;
            request = request.bearer_auth(token.trim());
        }
        let request = request.header("content-type", "text/plain; charset=utf-8");
        // Without the address, which may hold something that is not for the log.
        let answer = request.body(note.to_owned()).send().await.map_err(|e| e.without_url())?;
        answer.error_for_status().map_err(|error| error.without_url())?;
        self.metrics.audit_delivered();
        Ok(())
    }
}
