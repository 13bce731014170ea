//! Peers that never come to a request: nothing is served to them, and they keep
//! nobody out.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    AlertDescription, ClientConfig, Error, HandshakeKind, client::Resumption, crypto::ring,
    version::TLS12,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::instance::{APP, Instance};
use crate::support::{
    pki::{Authority, svid},
    tls::{PREFACE, client_config, connect, local, served},
};

/// The alert that the server ended the connection with.
pub fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

async fn refused(instance: &Instance, config: ClientConfig) -> Option<AlertDescription> {
    let before = instance.enclave.counts.uses();
    let error = served(instance.address(), config).await.expect_err("nothing is served");
    assert_eq!(instance.enclave.counts.uses(), before);
    alert(&error)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_are_not_trusted_are_refused() {
    let instance = Instance::start().await;
    let authority = &instance.files.authority;
    let without = client_config(&authority.pem(), None);
    assert_eq!(
        refused(&instance, without).await,
        Some(AlertDescription::CertificateRequired),
        "no certificate"
    );
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    let mut expired = svid(&[APP]);
    expired.not_before = (now - 2 * hour).into();
    expired.not_after = (now - hour).into();
    let mut early = svid(&[APP]);
    early.not_before = (now + hour).into();
    let cases = [
        (Authority::new().intermediate().0.svid(APP), AlertDescription::UnknownCA),
        // An authority of the same name, with another key.
        (Authority::new().svid(APP), AlertDescription::DecryptError),
        (authority.issue(&expired), AlertDescription::CertificateExpired),
        (authority.issue(&early), AlertDescription::CertificateExpired),
    ];
    for (identity, expected) in cases {
        let found = refused(&instance, instance.config(&identity)).await;
        assert_eq!(found, Some(expected));
    }
    served(instance.address(), instance.config(&authority.svid(APP))).await.unwrap();
}

/// What is signed by way of an intermediate needs it in the client's chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_followed() {
    let instance = Instance::start().await;
    let (intermediate, pem) = instance.files.authority.intermediate();
    let mut identity = intermediate.svid(APP);
    let found = refused(&instance, instance.config(&identity)).await;
    assert_eq!(found, Some(AlertDescription::UnknownCA));
    identity.certificate.push_str(&pem);
    let mut client = instance.client(&identity).await;
    client.sign(instance.share.sign_request(0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn older_tls_is_refused() {
    let instance = Instance::start().await;
    let trusting = instance.config(&instance.files.authority.svid(APP));
    let mut older = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_client_cert_resolver(Arc::clone(&trusting.client_auth_cert_resolver));
    older.alpn_protocols = trusting.alpn_protocols;
    assert_eq!(refused(&instance, older).await, Some(AlertDescription::ProtocolVersion));
}

/// Only HTTP/2 is spoken, and only to who asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_are_refused() {
    let instance = Instance::start().await;
    let mut config = instance.config(&instance.files.authority.svid(APP));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    assert_eq!(
        refused(&instance, config.clone()).await,
        Some(AlertDescription::NoApplicationProtocol)
    );
    config.alpn_protocols = Vec::new();
    refused(&instance, config).await;
}

/// There is no TCP without TLS: what is sent in plain text is answered by an alert
/// at most.
#[tokio::test(flavor = "multi_thread")]
async fn plain_text_is_refused() {
    let instance = Instance::start().await;
    let requests: [&[u8]; 3] = [PREFACE, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", &[0; 64]];
    for request in requests {
        let mut stream = TcpStream::connect(local(instance.address())).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // The server may have ended it with a reset.
        let _ = stream.read_to_end(&mut answer).await;
        // An alert record (RFC 8446 §5.1, §6): type, version, length, level, description.
        let alert = matches!(answer[..], [21, 3, _, 0, 2, 2, _]);
        assert!(answer.is_empty() || alert, "{answer:?}");
    }
}

/// A session that could be resumed would carry a client over that is no longer
/// trusted.
#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_resumed() {
    let instance = Instance::start().await;
    let mut config = instance.config(&instance.files.authority.svid(APP));
    config.resumption = Resumption::in_memory_sessions(8);
    config.enable_early_data = true;
    for _ in 0..3 {
        let mut stream = served(instance.address(), config.clone()).await.unwrap();
        // Tickets would have come by now.
        let _ = timeout(Duration::from_millis(100), stream.read_u8()).await;
        let (_, session) = stream.get_ref();
        assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
}

/// Peers that connect and say nothing, or stop in the middle, are let go, and
/// meanwhile they keep nobody out, however many they are.
#[tokio::test(flavor = "multi_thread")]
async fn silent_peers_keep_nobody_out() {
    let instance = Instance::start().await;
    let identity = instance.files.authority.svid(APP);
    let mut silent = Vec::new();
    for number in 0..300u32 {
        let mut stream = TcpStream::connect(local(instance.address())).await.unwrap();
        if number % 2 == 0 {
            // The header of a ClientHello that never comes.
            stream.write_all(&[22, 3, 1, 0, 200, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    let begun = Instant::now();
    let mut client = instance.client(&identity).await;
    client.sign(instance.share.sign_request(0)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    for mut stream in silent {
        let ended = timeout(Duration::from_secs(10), stream.read_u8()).await;
        ended.expect("it was let go").expect_err("and told nothing");
    }
    client.sign(instance.share.sign_request(0)).await.unwrap();
}

/// A caller whose handshake is over is no longer among those who wait.
#[tokio::test(flavor = "multi_thread")]
async fn open_connections_outlive_a_flood_of_handshakes() {
    let instance = Instance::start().await;
    let mut client = instance.client(&instance.files.authority.svid(APP)).await;
    client.sign(instance.share.sign_request(0)).await.unwrap();
    let mut ours =
        connect(instance.address(), instance.config(&instance.files.authority.svid(APP)))
            .await
            .unwrap();
    ours.write_all(PREFACE).await.unwrap();
    ours.read_u8().await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(local(instance.address())).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    // PING (RFC 9113 §6.7) is answered on the very connection.
    ours.write_all(b"\0\0\x08\x06\0\0\0\0\0pingping").await.unwrap();
    let mut received = Vec::new();
    while !received.windows(8).any(|window| window == b"pingping") {
        received.push(timeout(Duration::from_secs(5), ours.read_u8()).await.unwrap().unwrap());
    }
    client.sign(instance.share.sign_request(1)).await.unwrap();
}

/// A shutdown answers what is in flight, and waits for no handshake.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_no_handshake() {
    let mut instance = Instance::start().await;
    let mut client = instance.client(&instance.files.authority.svid(APP)).await;
    client.sign(instance.share.sign_request(0)).await.unwrap();
    let silent = TcpStream::connect(local(instance.address())).await.unwrap();
    instance.enclave.counts.slow_unwrap_ms.store(500, std::sync::atomic::Ordering::SeqCst);
    let request = instance.share.sign_request(1);
    let signing = tokio::spawn(async move { client.sign(request).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    instance.enclave.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    signing.await.unwrap().expect("it was in flight");
    drop(silent);
}

/// Peers that prove an identity that is no caller's have few connections, apart
/// from the callers'.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_have_few_connections() {
    let instance = Instance::start().await;
    let stranger = instance.config(&instance.files.authority.svid("spiffe://example.org/other"));
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        match served(instance.address(), stranger.clone()).await {
            Ok(stream) => open.push(stream),
            Err(_) => refused += 1,
        }
    }
    assert_eq!((open.len(), refused), (16, 24));
    let mut client = instance.client(&instance.files.authority.svid(APP)).await;
    client.sign(instance.share.sign_request(0)).await.unwrap();
}
