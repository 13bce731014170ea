//! Requests to Vault: several addresses, one at a time.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use tokio::time::{Instant, timeout_at};

use super::{
    KmsErrorKind, Server, SettingsError,
    answer::{self, Answer, Failure, Repeat, Said},
    connection::{Connections, Lane},
    failover::Addresses,
    token::Token,
};

/// The longest answer of Transit: one has some 500 bytes.
const ANSWER_MAX: usize = 4 * 1024;
/// The longest answer to a batch, of which an item has some 160 bytes, and to a question
/// about the key, of which a version has some 20.
const LONG_ANSWER_MAX: usize = 32 * 1024;
/// The longest answer to a login, which lists the policies of the token.
const LOGIN_MAX: usize = 16 * 1024;
/// The longest answer with a secret: a whole record in base64, and what Vault says of it.
const SECRET_MAX: usize = 128 * 1024;
/// The longest list of secrets, some 100,000 names.
const LISTING_MAX: usize = 4 * 1024 * 1024;
/// The longest pause that an answer can ask for: who calls asks again in any
/// case.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Listeners with `require_request_header` answer nothing without it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// The way to Vault.
pub(super) struct Transport {
    connections: Connections,
    addresses: Addresses,
    namespace: Option<HeaderValue>,
    timeout: Duration,
}

/// One request.
pub(super) struct Request<'a> {
    operation: &'static str,
    kind: Kind,
    path: &'a str,
    token: Option<&'a Token>,
    body: Bytes,
}

/// What a request is for, and so how its answer is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Transit operation on one item.
    Transit,
    /// One on many.
    Batch,
    /// Reads what is public of the key.
    Read,
    /// Changes the key's configuration.
    Administration,
    Health,
    Login,
    /// By this method; what it may be refused with is told, too.
    Kv(KvMethod),
}

/// How a secret is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KvMethod {
    Read,
    List,
    Write,
    Delete,
}

impl<'a> Request<'a> {
    /// About the key, with a token that may.
    pub(super) fn key(
        kind: Kind,
        operation: &'static str,
        path: &'a str,
        token: &'a Token,
        body: Bytes,
    ) -> Self {
        Self { operation, kind, path, token: Some(token), body }
    }

    /// To an auth method, or to the token's own endpoints with a `token`.
    pub(super) fn login(
        operation: &'static str,
        path: &'a str,
        token: Option<&'a Token>,
        body: Bytes,
    ) -> Self {
        Self { operation, kind: Kind::Login, path, token, body }
    }

    /// To a KV engine.
    pub(super) fn kv(
        operation: &'static str,
        method: KvMethod,
        path: &'a str,
        token: &'a Token,
        body: Bytes,
    ) -> Self {
        Self { operation, kind: Kind::Kv(method), path, token: Some(token), body }
    }

    /// The health of the node, for which a standby is as good as any. The
    /// endpoint belongs to the root namespace.
    pub(super) fn health() -> Self {
        Self {
            operation: "health",
            kind: Kind::Health,
            path: "sys/health?standbyok=true&perfstandbyok=true",
            token: None,
            body: Bytes::new(),
        }
    }
}

impl Transport {
    pub(super) fn new(server: &Server) -> Result<Self, SettingsError> {
        Ok(Self {
            connections: Connections::new(server)?,
            addresses: Addresses::new(server.urls()?),
            namespace: server.namespace_header()?,
            timeout: server.timeouts.request,
        })
    }

    /// How long one request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request to the first address that takes it.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let operation = request.operation;
        let mut lane = self.connections.lane(operation, deadline).await?;
        let mut pass = self.addresses.pass();
        while let Some(address) = pass.next() {
            let limit = Instant::now().checked_add(self.timeout);
            let limit = limit.map_or(deadline, |limit| limit.min(deadline));
            // Boxed, for the sake of the stack: it is the bulk of every call, and
            // whoever awaits a future may hold it twice.
            let exchange = Box::pin(self.exchange(&mut lane, address, request));
            let result = timeout_at(limit, exchange)
                .await
                .unwrap_or_else(|_| Err(Failure::too_late(operation)));
            if let Some(result) = pass.settle(result) {
                return result;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(pass.exhausted(operation))
    }

    async fn exchange(
        &self,
        lane: &mut Lane,
        address: &Url,
        request: &Request<'_>,
    ) -> Result<Answer, Failure> {
        let &Request { operation, kind, .. } = request;
        let body_max = match kind {
            Kind::Transit | Kind::Health => ANSWER_MAX,
            Kind::Batch | Kind::Read | Kind::Administration => LONG_ANSWER_MAX,
            Kind::Login => LOGIN_MAX,
            Kind::Kv(KvMethod::List) => LISTING_MAX,
            Kind::Kv(_) => SECRET_MAX,
        };
        let written = self.write(address, request)?;
        let (head, body) = self
            .connections
            .exchange(lane, operation, address, written, body_max)
            .await?
            .into_parts();
        if kind.takes(head.status) {
            let status = head.status;
            return body
                .map(|body| Answer { operation, status, body })
                .ok_or_else(|| Failure::too_long(operation));
        }
        // What stands in front of Vault may have a page to say it with.
        let said = body.map_or_else(Said::default, |body| Said::of(&body));
        Err(match kind {
            Kind::Health => answer::from_health(head.status),
            Kind::Login => answer::from_login(operation, head.status, said),
            Kind::Transit | Kind::Batch | Kind::Read | Kind::Administration | Kind::Kv(_) => {
                let pause = retry_after(&head.headers);
                Failure::from_status(operation, head.status, pause, said)
            }
        })
    }

    fn write(&self, address: &Url, request: &Request<'_>) -> Result<http::Request<Bytes>, Failure> {
        let host = address.authority();
        let mut written = http::Request::builder()
            .uri(format!("/v1/{}", request.path))
            .header(header::HOST, host)
            .header(REQUEST, "true");
        if request.kind != Kind::Health {
            written = written.method(request.kind.method());
            written = written.header(header::CONTENT_TYPE, "application/json");
            if let Some(namespace) = &self.namespace {
                written = written.header(NAMESPACE, namespace.clone());
            }
        }
        if let Some(token) = request.token {
            written = written.header(TOKEN, token.header());
        }
        written.body(request.body.clone()).map_err(|_| {
            let detail = format!("{}: not a request", request.operation);
            Failure::new(KmsErrorKind::Protocol, Repeat::Never, detail)
        })
    }
}

impl Kind {
    /// Whether it is an answer, to be read by whoever asked.
    fn takes(self, status: StatusCode) -> bool {
        match self {
            Self::Transit | Self::Batch | Self::Read | Self::Health => status == StatusCode::OK,
            Self::Login | Self::Administration => {
                matches!(status, StatusCode::OK | StatusCode::NO_CONTENT)
            }
            Self::Kv(_) => matches!(
                status,
                StatusCode::OK
                    | StatusCode::NO_CONTENT
                    | StatusCode::BAD_REQUEST
                    | StatusCode::NOT_FOUND
            ),
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Health | Self::Read | Self::Kv(KvMethod::Read | KvMethod::List) => Method::GET,
            Self::Transit
            | Self::Batch
            | Self::Administration
            | Self::Login
            | Self::Kv(KvMethod::Write) => Method::POST,
            Self::Kv(KvMethod::Delete) => Method::DELETE,
        }
    }
}

/// The seconds form of `Retry-After`, which is the one that Vault writes, up to
/// [`RETRY_AFTER_MAX`].
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
