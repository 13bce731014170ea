//! Requests to Vault: one HTTPS client, several addresses.

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::{Client, Response, Url};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::{
    KmsErrorKind, Settings, SettingsError,
    answer::{self, Answer, Failure, Repeat, Said},
    client,
    failover::Addresses,
    token::Token,
};

/// The longest answer: a Transit answer has some 500 bytes.
const ANSWER_MAX: usize = 64 * 1024;
/// The longest pause that an answer can ask for: who calls asks again in any
/// case.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Listeners with `require_request_header` answer nothing without it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// The way to Vault.
pub(super) struct Transport {
    client: Client,
    addresses: Addresses,
    namespace: Option<HeaderValue>,
    timeout: Duration,
}

/// One request.
pub(super) struct Request<'a> {
    operation: &'static str,
    method: Method,
    path: &'a str,
    query: Option<&'static str>,
    token: Option<&'a Token>,
    body: Bytes,
}

impl<'a> Request<'a> {
    pub(super) fn post(
        operation: &'static str,
        path: &'a str,
        token: &'a Token,
        body: Bytes,
    ) -> Self {
        Self { operation, method: Method::POST, path, query: None, token: Some(token), body }
    }

    /// The health of the node, for which a standby is as good as any. The
    /// endpoint belongs to the root namespace.
    pub(super) fn health() -> Self {
        Self {
            operation: "health",
            method: Method::GET,
            path: "sys/health",
            query: Some("standbyok=true&perfstandbyok=true"),
            token: None,
            body: Bytes::new(),
        }
    }
}

impl Transport {
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            client: client::new(settings)?,
            addresses: Addresses::new(settings.urls()?),
            namespace: settings.namespace_header()?,
            timeout: settings.timeouts.request,
        })
    }

    /// Where Vault is.
    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How long one request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The client, for the library that logs in.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The namespace, for the same.
    pub(super) fn namespace(&self) -> Option<String> {
        let namespace = self.namespace.as_ref()?.to_str().ok()?;
        Some(namespace.to_owned())
    }

    /// Sends a request to the first address that takes it.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut pass = self.addresses.pass();
        while let Some(address) = pass.next() {
            let limit = Instant::now().checked_add(self.timeout);
            let limit = limit.map_or(deadline, |limit| limit.min(deadline));
            let result = timeout_at(limit, self.exchange(address, request))
                .await
                .unwrap_or_else(|_| Err(Failure::too_late(request.operation)));
            if let Some(result) = pass.settle(result) {
                return result;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(pass.exhausted(request.operation))
    }

    async fn exchange(&self, address: &Url, request: &Request<'_>) -> Result<Answer, Failure> {
        let operation = request.operation;
        let mut url = address.clone();
        url.set_path(&format!("v1/{}", request.path));
        url.set_query(request.query);
        let mut builder = self.client.request(request.method.clone(), url).header(REQUEST, "true");
        if let Some(token) = request.token {
            builder = builder.header(TOKEN, token.header());
            if let Some(namespace) = &self.namespace {
                builder = builder.header(NAMESPACE, namespace.clone());
            }
        }
        if !request.body.is_empty() {
            builder =
                builder.header(header::CONTENT_TYPE, "application/json").body(request.body.clone());
        }
        let mut response = builder.send().await.map_err(|error| unanswered(operation, &error))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let body = read(operation, &mut response).await?;
        if status == StatusCode::OK {
            return Ok(Answer { operation, body });
        }
        if operation == "health" {
            return Err(answer::from_health(status));
        }
        let said = Said::of(&body);
        Err(Failure::from_status(operation, status, retry_after, said))
    }
}

/// Reads a body into a buffer that does not grow, so that it leaves no copies.
async fn read(operation: &str, response: &mut Response) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let room = announced.unwrap_or(ANSWER_MAX).min(ANSWER_MAX);
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= room => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let detail = format!("{operation}: the answer is too long");
                return Err(Failure::new(KmsErrorKind::Protocol, Repeat::Never, detail));
            }
            Err(error) => return Err(unanswered(operation, &error)),
        }
    }
}

/// The seconds form of `Retry-After`, which is the one that Vault writes, up to
/// [`RETRY_AFTER_MAX`].
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// Why there is no answer. Of the error and its causes only those are quoted
/// that know nothing of the request: the operating system's and rustls's.
pub(super) fn unanswered(operation: &str, error: &(dyn Error + 'static)) -> Failure {
    let mut cause = Some(error);
    let mut system = None;
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<reqwest::Error>()
            && error.is_timeout()
            && !error.is_connect()
        {
            return Failure::too_late(operation);
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && error.is_parse()
        {
            let detail = format!("{operation}: the answer is not HTTP");
            return Failure::new(KmsErrorKind::Protocol, Repeat::Never, detail);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            system = Some(error.kind());
            // `source` of an I/O error skips the error that it holds.
            if let Some(held) = error.get_ref() {
                cause = Some(held);
                continue;
            }
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return tls_failed(operation, tls);
        }
        cause = error.source();
    }
    let why = system.map_or_else(|| "no connection".to_owned(), |kind| kind.to_string());
    let detail = format!("{operation}: {why}");
    Failure::new(KmsErrorKind::Unreachable, Repeat::Twice, detail)
}

/// A certificate or a TLS version does not become right by asking again.
fn tls_failed(operation: &str, error: &rustls::Error) -> Failure {
    let detail = format!("{operation}: {error}");
    Failure::new(KmsErrorKind::Tls, Repeat::Never, detail)
}
