//! Traces: a span for each request and one for each of its stages, sent to a collector by
//! OTLP over gRPC. Off unless configured.
//!
//! ```text
//!  spans of `tracing` ─▶ queue, bounded (queue.rs) ─▶ in batches, what may leave (outward.rs) ─▶ collector
//! ```
//! No request waits for it: what finds no room is lost, and counted. Whether a request is
//! sampled its caller says in W3C's trace context (context.rs), or `traces.ratio`.

mod context;
mod outward;
mod queue;

use std::{fs, io, path::PathBuf, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter as _},
};
use reqwest::Url;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::Metrics;
use crate::key::Environment;
use queue::Queue;

pub use context::continue_trace;
pub use outward::{note_code, note_service};
pub use queue::Queued;

/// The target of the spans of requests.
pub const REQUEST: &str = "countersign::request";
/// The target of the spans of their stages: not for the log.
pub const STAGE: &str = "countersign::stage";

/// How often the queue is looked at.
const PERIOD: Duration = Duration::from_millis(200);
/// How long one batch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what is left when the process ends.
const LAST: Duration = Duration::from_secs(2);

/// Where traces go.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The collector, `https` or `http`.
    pub endpoint: Url,
    /// PEM certificates of the authorities that may vouch for it; with `https`.
    pub ca_file: Option<PathBuf>,
    /// How many of those requests are sampled whose caller does not say, from 0 to 1.
    pub ratio: f64,
}

/// Makes the spans of a process.
pub struct Recorder(SdkTracerProvider);

/// The sending of what a [`Recorder`] makes.
pub struct Traces {
    spans: Queued,
    /// What is under way: it is sent again when the process ends meanwhile, and has the same
    /// ids then.
    batch: Vec<SpanData>,
    exporter: SpanExporter,
    metrics: Metrics,
    failing: bool,
}

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The file of the authorities cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// There are none in it.
    #[error("{0}: no certificate in PEM")]
    NoAuthority(PathBuf),
    /// The address is none.
    #[error("{0}")]
    Endpoint(#[from] tonic::transport::Error),
    /// The exporter refuses.
    #[error("{0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Begins with nothing but a queue: no thread, no connection.
pub fn record(settings: &Settings) -> (Recorder, Queued) {
    let (queue, queued) = Queue::new();
    let sampler = Sampler::TraceIdRatioBased(settings.ratio);
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(sampler)))
        .with_span_processor(queue)
        .build();
    (Recorder(provider), queued)
}

impl Recorder {
    /// What makes spans of those of `tracing`.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + Send + Sync + for<'a> LookupSpan<'a>,
    {
        let targets =
            Targets::new().with_target(REQUEST, Level::INFO).with_target(STAGE, Level::TRACE);
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("countersign"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // Spans are entered on the KMS's thread as well, whose heap is small.
            .with_context_activation(false)
            .with_filter(targets)
    }
}

impl Traces {
    /// Sends what is queued. It connects with the first batch; within a runtime.
    ///
    /// # Errors
    /// See [`TracesError`].
    pub fn new(
        settings: &Settings,
        environment: &Environment,
        spans: Queued,
        metrics: Metrics,
    ) -> Result<Self, TracesError> {
        let channel = endpoint(settings)?.connect_lazy();
        let mut exporter = SpanExporter::builder().with_tonic().with_channel(channel).build()?;
        exporter.set_resource(&resource(environment));
        Ok(Self { spans, batch: Vec::new(), exporter, metrics, failing: false })
    }

    /// Sends for as long as it is polled.
    pub async fn follow(&mut self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.send().await;
        }
    }

    /// Sends what is left, in the time that an end has.
    pub async fn send_last(&mut self) {
        if timeout(LAST, self.send()).await.is_err() {
            tracing::warn!("The last traces are lost: the collector does not answer");
        }
    }

    async fn send(&mut self) {
        loop {
            if self.batch.is_empty() {
                self.batch.extend(self.spans.next().map(outward::outward));
            }
            self.metrics.spans_lost(self.spans.take_lost());
            let count = self.batch.len() as u64;
            if count == 0 {
                return;
            }
            match self.exporter.export(self.batch.clone()).await {
                Ok(()) => {
                    self.metrics.spans_sent(count);
                    self.failing = false;
                }
                Err(error) => {
                    self.metrics.spans_lost(count);
                    if !self.failing {
                        tracing::warn!(%error, "Traces are lost");
                        self.failing = true;
                    }
                }
            }
            self.batch.clear();
        }
    }
}

/// The collector of these settings, without connecting.
///
/// # Errors
/// Its file cannot be read, or has no certificates.
pub fn endpoint(settings: &Settings) -> Result<Endpoint, TracesError> {
    let endpoint = Endpoint::from_shared(settings.endpoint.to_string())?;
    let endpoint = endpoint.timeout(PATIENCE).connect_timeout(PATIENCE);
    let Some(file) = &settings.ca_file else { return Ok(endpoint) };
    let pem = fs::read(file).map_err(|error| TracesError::File(file.clone(), error))?;
    // Without one nobody would be believed, at the first connection.
    if !matches!(CertificateDer::pem_slice_iter(&pem).next(), Some(Ok(_))) {
        return Err(TracesError::NoAuthority(file.clone()));
    }
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    Ok(endpoint.tls_config(tls)?)
}

/// What stands above every trace; `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(environment: &Environment) -> Resource {
    Resource::builder()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("deployment.environment.name", environment.to_string()),
        ])
        .build()
}
