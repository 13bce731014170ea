//! Floods: 5,000 connections and 5,000 half-open streams cost a bounded amount,
//! and the enclave answers afterwards.

use std::{io::Read, os::unix::net::UnixStream, time::Duration};

use countersign::{config::Limits, grpc::Room, key::Algorithm, proto};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{
    enclave::{Enclave, Setup},
    refused::assert_refused,
};

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_connections() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let socket = enclave.socket();
    let before = enclave.counts.uses();
    let connect = move || -> Vec<_> {
        (0..5000)
            .map(|_| {
                let connection = UnixStream::connect(&socket).unwrap();
                connection.set_nonblocking(true).unwrap();
                connection
            })
            .collect()
    };
    let mut connections = tokio::task::spawn_blocking(connect).await.unwrap();
    let limit = Limits::default().connections.connections.per_caller;
    let mut open = connections.len();
    for _ in 0..100 {
        // One that was refused is at its end.
        connections.retain_mut(is_open);
        open = connections.len();
        if open <= limit {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(open > 0 && open <= limit, "{open} stayed open");
    assert_eq!(enclave.counts.uses(), before);
    drop(connections);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut client = enclave.client().await;
    client.sign(share.sign_request(0)).await.unwrap();
}

fn is_open(connection: &mut UnixStream) -> bool {
    loop {
        match connection.read(&mut [0; 64]) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_half_open_streams() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let before = enclave.counts.uses();
    let mut kept = Vec::new();
    let (mut admitted, mut refused) = (0, 0);
    for _ in 0..50 {
        let client = enclave.client().await;
        let streams = (0..100).map(|_| {
            let mut client = client.clone();
            async move {
                let (frames, received) = tokio::sync::mpsc::channel(1);
                let answers = client.use_share(ReceiverStream::new(received)).await;
                answers.map(|answers| (frames, answers))
            }
        });
        let answers = futures_util::future::join_all(streams).await;
        for answer in answers {
            match answer {
                Ok(stream) => {
                    admitted += 1;
                    kept.push(stream);
                }
                Err(status) => {
                    refused += 1;
                    assert_refused(&status, Code::ResourceExhausted, "OVERLOADED");
                    assert!(status.get_error_details().retry_info().is_some());
                }
            }
        }
    }
    let per_caller = Limits::default().streams.per_caller;
    assert_eq!((admitted, refused), (per_caller, 5000 - per_caller));
    assert_eq!(enclave.counts.uses(), before, "half-open streams open nothing");
    // Unary requests have room of their own, and streams have it back.
    let mut client = enclave.client().await;
    client.sign(share.sign_request(0)).await.unwrap();
    drop(kept);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let frames = tokio_stream::iter([share.open(), share.frame(1)]);
    let answers = client.use_share(frames).await.unwrap().into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overload_is_refused_at_once_and_passes() {
    let unary = Room { total: 2, per_caller: 1 };
    let limits = Limits { unary, ..Limits::default() };
    let enclave = Enclave::with(Setup { limits, ..Setup::default() }).await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let client = enclave.client().await;
    let calls = (0..64).map(|_| {
        let (mut client, request) = (client.clone(), share.sign_request(0));
        tokio::spawn(async move { client.sign(request).await })
    });
    let (mut signed, mut refused) = (0, 0);
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Ok(_) => signed += 1,
            Err(status) => {
                assert_refused(&status, Code::ResourceExhausted, "OVERLOADED");
                refused += 1;
            }
        }
    }
    assert!(signed >= 1 && refused >= 1, "{signed} signed, {refused} refused");
    let mut client = client.clone();
    client.sign(share.sign_request(0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_closed() {
    let mut limits = Limits::default();
    limits.connections.idle = Duration::from_millis(300);
    let enclave = Enclave::with(Setup { limits, ..Setup::default() }).await;
    let socket = enclave.socket();
    let closed = tokio::task::spawn_blocking(move || {
        let mut connection = UnixStream::connect(socket).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut received = Vec::new();
        connection.read_to_end(&mut received).is_ok()
    });
    assert!(closed.await.unwrap());
    // A client notices and connects anew by itself.
    let share = enclave.share(Algorithm::Ed25519).await;
    let mut client = enclave.client().await;
    client.sign(share.sign_request(0)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.sign(share.sign_request(0)).await.unwrap();
}

/// Headers beyond the limit are refused by HTTP/2 itself.
#[tokio::test(flavor = "multi_thread")]
async fn long_headers_are_refused() {
    let enclave = Enclave::start().await;
    let mut client = enclave.client().await;
    let mut request = tonic::Request::new(proto::SignRequest::default());
    let value = "x".repeat(20_000).parse().unwrap();
    request.metadata_mut().insert("padding", value);
    let before = enclave.counts.uses();
    assert!(client.sign(request).await.is_err());
    assert_eq!(enclave.counts.uses(), before);
}

/// Health needs no known caller, but has an allowance.
#[tokio::test(flavor = "multi_thread")]
async fn watching_health_has_an_allowance() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    let enclave = Enclave::start().await;
    let channel = countersign::client::connect(&enclave.socket()).await.unwrap();
    let health = HealthClient::new(channel);
    let mut watching = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        match health.clone().watch(HealthCheckRequest::default()).await {
            Ok(watch) => watching.push(watch),
            Err(status) => {
                assert_refused(&status, Code::ResourceExhausted, "OVERLOADED");
                refused += 1;
            }
        }
    }
    assert_eq!((watching.len(), refused), (16, 24));
    drop(watching);
    tokio::time::sleep(Duration::from_millis(200)).await;
    health.clone().check(HealthCheckRequest::default()).await.unwrap();
}

/// Peers that are no caller cannot take the callers' connections.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_have_few_connections() {
    let enclave = Enclave::with(Setup { callers: Default::default(), ..Setup::default() }).await;
    let mut connections: Vec<_> = (0..200)
        .map(|_| {
            let connection = UnixStream::connect(enclave.socket()).unwrap();
            connection.set_nonblocking(true).unwrap();
            connection
        })
        .collect();
    for _ in 0..100 {
        connections.retain_mut(is_open);
        if connections.len() <= 16 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(connections.len(), 16);
}
