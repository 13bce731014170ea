//! Connections to Vault: a fixed number of them over all addresses.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use deadpool::unmanaged::{Object, Pool};
use futures_util::FutureExt;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::ServiceExt;
use zeroize::Zeroizing;

use super::{
    Server, SettingsError,
    allowance::{Allowance, Allowed, HANDSHAKE_MAX},
    answer::{Failure, unanswered},
    resolver::Resolver,
    tls,
};

/// The most connections, idle ones and all addresses included. Each costs some
/// 60 KiB of a heap that cannot grow.
pub(super) const CONNECTIONS: usize = 12;
/// The longest head of an answer: the least that hyper reads at a time. Vault's
/// have some 600 bytes.
const HEAD_MAX: usize = 8 * 1024;
/// The most headers of an answer: twice as many as Vault has with every option
/// on.
const HEADERS_MAX: usize = 48;

/// The way to make a connection, and room for [`CONNECTIONS`] of them.
pub(super) struct Connections {
    room: OnceLock<Pool<Lane>>,
    tcp: HttpConnector<Resolver>,
    tls: TlsConnector,
    patience: Duration,
}

/// Room for one connection and the one that was left there. Whoever holds it has
/// it for itself; dropped, it goes to whoever waits for one.
#[derive(Default)]
pub(super) struct Lane(Option<Connection>);

/// One connection. It has no task: it is driven by the future that uses it, and
/// so ends with it, memory and all, wherever that is dropped.
struct Connection {
    address: Url,
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
    has_ended: bool,
    allowance: Allowance,
}

type Driver = http1::Connection<TokioIo<TlsStream<Allowed<TcpStream>>>, Full<Bytes>>;

/// The status, headers and body of an answer; no body where that is too long.
pub(super) type Exchanged = Response<Option<Zeroizing<Vec<u8>>>>;

// === impl Connections ===

impl Connections {
    pub(super) fn new(server: &Server) -> Result<Self, SettingsError> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(server.timeouts.connect));
        Ok(Self {
            room: OnceLock::new(),
            tcp,
            tls: TlsConnector::from(Arc::new(tls::config(&server.ca_file)?)),
            patience: server.timeouts.connect,
        })
    }

    /// Waits for room, first come, first served.
    pub(super) async fn lane(
        &self,
        operation: &str,
        deadline: Instant,
    ) -> Result<Object<Lane>, Failure> {
        // Made by whoever comes first, and so on the thread: connections are moved
        // into it whole.
        let lanes = || Vec::from_iter((0..CONNECTIONS).map(|_| Lane::default()));
        let room = self.room.get_or_init(|| Pool::from(lanes()));
        match timeout_at(deadline, room.get()).await {
            Ok(Ok(lane)) => Ok(lane),
            _ => Err(Failure::waited(operation)),
        }
    }

    /// One exchange with `address`. The connection in `lane` is used if it leads
    /// there and is alive, and takes its place there again if it can be used
    /// again.
    pub(super) async fn exchange(
        &self,
        lane: &mut Lane,
        operation: &str,
        address: &Url,
        request: Request<Bytes>,
        body_max: usize,
    ) -> Result<Exchanged, Failure> {
        let left = lane.0.take().filter(|left| left.address == *address);
        if let Some(mut connection) = left
            && connection.is_alive()
        {
            match connection.exchange(operation, &request, body_max).await {
                // The server ended it before the request was written.
                Err(Unanswered::Unsent) => {}
                Err(Unanswered::Failed(failure)) => return Err(failure),
                Ok(answer) => {
                    lane.keep(connection, &answer);
                    return Ok(answer);
                }
            }
        }
        let mut connection = self.connect(operation, address).await?;
        match connection.exchange(operation, &request, body_max).await {
            Ok(answer) => {
                lane.keep(connection, &answer);
                Ok(answer)
            }
            Err(Unanswered::Failed(failure)) => Err(failure),
            Err(Unanswered::Unsent) => Err(Failure::unreachable(operation, "no connection")),
        }
    }

    async fn connect(&self, operation: &str, address: &Url) -> Result<Connection, Failure> {
        timeout(self.patience, self.handshakes(operation, address))
            .await
            .unwrap_or_else(|_| Err(Failure::unreachable(operation, "no connection in time")))
    }

    async fn handshakes(&self, operation: &str, address: &Url) -> Result<Connection, Failure> {
        let unusable = || Failure::unreachable(operation, "not an address");
        let uri: Uri = address.as_str().parse().map_err(|_| unusable())?;
        let name = server_name(address).ok_or_else(unusable)?;
        let tcp = self.tcp.clone().oneshot(uri).await;
        let tcp = tcp.map_err(|error| unanswered(operation, &error))?;
        let allowance = Allowance::of(HANDSHAKE_MAX);
        let tcp = allowance.over(tcp.into_inner());
        let tls = self.tls.connect(name, tcp).await;
        let tls = tls.map_err(|error| unanswered(operation, &error))?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(|error| unanswered(operation, &error))?;
        Ok(Connection {
            address: address.clone(),
            sender,
            driver: Box::pin(driver),
            has_ended: false,
            allowance,
        })
    }
}

impl Lane {
    /// Leaves a connection for the next, unless something is left in it.
    fn keep(&mut self, connection: Connection, answer: &Exchanged) {
        if !connection.has_ended && answer.body().is_some() {
            self.0 = Some(connection);
        }
    }
}

fn server_name(address: &Url) -> Option<ServerName<'static>> {
    let host = address.host_str()?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}

// === impl Connection ===

enum Unanswered {
    /// Nothing was written.
    Unsent,
    Failed(Failure),
}

impl Connection {
    /// Whether the server has neither ended it nor said anything unasked.
    fn is_alive(&mut self) -> bool {
        // Nothing is asked, and so nothing to be said but that it is over.
        self.allowance.renew(HEAD_MAX);
        if !self.has_ended {
            self.has_ended = self.driver.as_mut().now_or_never().is_some();
        }
        !self.has_ended
    }

    /// Sends a request and reads the whole answer, driving the connection
    /// meanwhile.
    async fn exchange(
        &mut self,
        operation: &str,
        request: &Request<Bytes>,
        body_max: usize,
    ) -> Result<Exchanged, Unanswered> {
        // Either may be as long as it may be alone; both hardly are.
        self.allowance.renew(HEAD_MAX + body_max);
        let (sender, driver) = (&mut self.sender, &mut self.driver);
        let has_ended = &mut self.has_ended;
        let exchange = async {
            let failed = |error: hyper::Error| {
                if error.is_canceled() {
                    return Unanswered::Unsent;
                }
                Unanswered::Failed(unanswered(operation, &error))
            };
            sender.ready().await.map_err(|_| Unanswered::Unsent)?;
            let request = request.clone().map(Full::new);
            let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
            let body = read(body, body_max).await;
            let body = body.map_err(|error| Unanswered::Failed(unanswered(operation, &error)))?;
            Ok(Response::from_parts(head, body))
        };
        let mut exchange = pin!(exchange);
        poll_fn(|cx| {
            // What ends the connection reaches the exchange by way of the sender
            // or the body.
            if !*has_ended {
                *has_ended = driver.as_mut().poll(cx).is_ready();
            }
            exchange.as_mut().poll(cx)
        })
        .await
    }
}

/// Reads a body into a buffer that does not grow, so that it leaves no copies.
/// Of one that is too long nothing is kept.
async fn read(
    mut body: Incoming,
    body_max: usize,
) -> Result<Option<Zeroizing<Vec<u8>>>, hyper::Error> {
    let announced = body.size_hint().exact();
    let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let room = announced.unwrap_or(body_max);
    if room > body_max {
        return Ok(None);
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(room));
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else {
            continue;
        };
        if whole.len() + chunk.len() > room {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole))
}
