//! Certificates, keys and authorities that are replaced while the server runs.

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use countersign::{
    grpc::{Credentials, Material, Service},
    telemetry::Metrics,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::client::TlsStream;

use super::instance::{APP, Instance};
use crate::support::{
    logs::Log,
    pki::{Authority, Pair, svid},
    tls::{TlsFiles, client_config, served},
};

/// The certificate that a server has, as the client was shown it.
fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Waits until the server ends a connection.
async fn ended(mut stream: TlsStream<TcpStream>, within: Duration) -> bool {
    let mut rest = Vec::new();
    timeout(within, stream.read_to_end(&mut rest)).await.is_ok()
}

/// New connections are made with the new certificate within seconds; what is open
/// goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_servers_certificate_is_followed() {
    let instance = Instance::start().await;
    let identity = instance.files.authority.svid(APP);
    let config = instance.config(&identity);
    let before = served(instance.address(), config.clone()).await.unwrap();
    let mut client = instance.client(&identity).await;
    client.sign(instance.share.sign_request(0)).await.unwrap();

    instance.files.write_server(&instance.files.authority.server());
    let give_up = Instant::now() + Duration::from_secs(15);
    loop {
        let after = served(instance.address(), config.clone()).await.unwrap();
        if shown(&after) != shown(&before) {
            break;
        }
        assert!(Instant::now() < give_up, "nobody looks at the files");
        sleep(Duration::from_millis(200)).await;
    }
    assert!(!ended(before, Duration::from_millis(500)).await);
    client.sign(instance.share.sign_request(1)).await.unwrap();
}

/// Clients of an authority that is gone are refused, and their connections end;
/// while both authorities are trusted, both kinds are.
#[tokio::test(flavor = "multi_thread")]
async fn the_clients_authority_is_followed() {
    let instance = Instance::start().await;
    let files = &instance.files;
    let (old, new) = (files.authority.svid(APP), Authority::new());
    let both = files.authority.pem() + &new.pem();
    let config_of = |identity: &Pair| instance.config(identity);
    let (old, renewed) = (config_of(&old), config_of(&new.svid(APP)));
    let address = instance.address();
    served(address, renewed.clone()).await.expect_err("not trusted yet");
    let open = served(address, old.clone()).await.unwrap();

    files.write_client_ca(&both);
    instance.reload();
    let reopened = served(address, renewed.clone()).await.unwrap();
    served(address, old.clone()).await.unwrap();

    files.write_client_ca(&new.pem());
    instance.reload();
    served(address, old).await.unwrap_err();
    assert!(ended(open, Duration::from_secs(10)).await, "its client is no longer trusted");
    served(address, renewed).await.unwrap();
    assert!(!ended(reopened, Duration::from_millis(500)).await);
}

/// A stream that is open when its client is no longer trusted has the grace period
/// and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_clients_authority() {
    let mut limits = countersign::config::Limits::default();
    limits.connections.grace = Duration::from_millis(500);
    let instance = Instance::within(limits).await;
    let mut client = instance.client(&instance.files.authority.svid(APP)).await;
    let (frames, received) = tokio::sync::mpsc::channel(4);
    frames.send(instance.share.open()).await.unwrap();
    let received = tokio_stream::wrappers::ReceiverStream::new(received);
    let mut answers = client.use_share(received).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();
    let pool = instance.enclave.signing.enclave.pool();
    assert!(pool.free() < instance.enclave.slots, "a share is open");

    instance.files.write_client_ca(&Authority::new().pem());
    instance.reload();
    let end = timeout(Duration::from_secs(5), answers.message()).await.expect("it ends");
    end.unwrap_err();
    for _ in 0..100 {
        if pool.free() == instance.enclave.slots {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the share stays open");
}

/// A client that does not go when it is asked to is nobody from then on.
#[tokio::test]
async fn a_connection_loses_its_caller_at_once() {
    // HEADERS (RFC 9113 §6.2) that end their stream, with fields of RFC 7541 §6.
    fn sign(stream: u8) -> Vec<u8> {
        let path = b"/countersign.v1.SigningEnclave/Sign";
        let mut fields = vec![0x83, 0x86, 0x44, path.len() as u8];
        fields.extend_from_slice(path);
        fields.extend_from_slice(b"\x5f\x10application/grpc");
        let mut frame = vec![0, 0, fields.len() as u8, 1, 0x5, 0, 0, 0, stream];
        frame.append(&mut fields);
        frame
    }

    let log = Log::capture();
    let instance = Instance::start().await;
    let identity = instance.files.authority.svid(APP);
    let mut open = served(instance.address(), instance.config(&identity)).await.unwrap();
    let ending = async |reason: &str| {
        for _ in 0..200 {
            let text = log.text();
            let line = text.lines().rfind(|line| line.contains("Request refused"));
            if let Some(line) = line.filter(|line| line.contains(reason)) {
                return line.to_owned();
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{}", log.text());
    };
    open.write_all(&sign(1)).await.unwrap();
    assert!(ending("INVALID_REQUEST").await.contains("caller=\"app\""));
    instance.files.write_client_ca(&Authority::new().pem());
    instance.reload();
    sleep(Duration::from_millis(100)).await;
    open.write_all(&sign(3)).await.unwrap();
    let line = ending("CALLER_UNKNOWN").await;
    assert!(line.contains("its certificate is no longer trusted"), "{line}");
    assert!(!line.contains("caller="), "{line}");
}

/// A connection does not outlive its client's certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_when_its_certificate_expires() {
    let instance = Instance::start().await;
    let mut params = svid(&[APP]);
    params.not_after = (SystemTime::now() + Duration::from_secs(3)).into();
    let config = instance.config(&instance.files.authority.issue(&params));
    let lasting = instance.config(&instance.files.authority.svid(APP));
    let lasting = served(instance.address(), lasting).await.unwrap();
    let open = served(instance.address(), config.clone()).await.unwrap();
    let begun = Instant::now();
    assert!(ended(open, Duration::from_secs(15)).await);
    assert!(begun.elapsed() > Duration::from_secs(1), "{:?}", begun.elapsed());
    served(instance.address(), config).await.unwrap_err();
    assert!(!ended(lasting, Duration::from_millis(100)).await);
}

/// What the metrics say: whether files are refused, and when the certificate ends.
fn metrics(metrics: &Metrics) -> (u64, u64) {
    let text = metrics.encode().unwrap();
    let value = |name: &str| {
        let mut lines = text.lines();
        let line = lines.find_map(|line| {
            line.strip_prefix(&format!("countersign_{name}{{listener=\"signing\"}} "))
        });
        line.unwrap().parse().unwrap()
    };
    (value("tls_reload_failed"), value("tls_certificate_not_after_seconds"))
}

/// Whatever is wrong with new files, the former ones stay: all three of them. It is
/// said once for each change, and is over when the files are good again.
#[tokio::test]
async fn files_that_are_refused_change_nothing() {
    let log = Log::capture();
    let instance = Instance::start().await;
    let files = &instance.files;
    let config = instance.config(&files.authority.svid(APP));
    let first = served(instance.address(), config.clone()).await.unwrap();
    let credentials = instance.enclave.credentials.as_ref().unwrap();
    let other = Authority::new();
    let good = (files.files(Service::Signing), files.authority.pem());
    let [certificate, key] =
        [&good.0.certificate, &good.0.key].map(|file| fs::read_to_string(file).unwrap());
    let mut expired = svid(&[]);
    expired.not_after = (SystemTime::now() - Duration::from_secs(60)).into();
    let (expired, stranger) = (files.authority.issue(&expired), other.server());

    let write = |pair: (&str, &str), ca: &str| {
        files.write_server(&Pair { certificate: pair.0.to_owned(), key: pair.1.to_owned() });
        files.write_client_ca(ca);
    };
    let leaf = files.authority.svid(APP).certificate;
    // The authority is another one each time, and would be taken alone.
    let ca = &other.pem();
    let cases = [
        ((&*stranger.certificate, &*key), ca.as_str(), "is not the key of the first certificate"),
        ((&certificate, &stranger.key), ca, "is not the key of the first certificate"),
        ((&expired.certificate, &expired.key), ca, "expired at"),
        (("", &key), ca, "holds no PEM certificate"),
        (("-----BEGIN CERTIFICATE-----\nAAAA\n", &key), ca, "is not PEM"),
        (
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key),
            ca,
            "holds a certificate that cannot be read",
        ),
        ((&certificate, ""), ca, "holds no PEM private key"),
        ((&stranger.certificate, &stranger.key), "", "holds no PEM certificate"),
        ((&stranger.certificate, &stranger.key), &leaf, "is not an authority's"),
    ];
    let failures = || log.text().matches("TLS files not reloaded").count();
    for (number, (pair, ca, why)) in (1..).zip(cases) {
        write(pair, ca);
        for _ in 0..3 {
            credentials.reload();
        }
        assert_eq!(failures(), number, "{why}");
        let text = log.text();
        let line = text.lines().rfind(|line| line.contains("not reloaded")).unwrap();
        assert!(line.contains(why), "{line}");
        assert!(!line.contains("BEGIN"), "{line}");
        let stream = served(instance.address(), config.clone()).await.unwrap();
        assert_eq!(shown(&stream), shown(&first), "{why}");
        served(instance.address(), client_config(&files.authority.pem(), Some(&other.svid(APP))))
            .await
            .expect_err("the authority was not taken alone");
    }
    fs::remove_file(files.path("server.key")).unwrap();
    credentials.reload();
    assert_eq!(failures(), 10);
    assert!(log.text().contains("cannot be read: entity not found"));

    write((&stranger.certificate, &stranger.key), &good.1);
    credentials.reload();
    assert_eq!(log.text().matches("TLS files reloaded").count(), 1);
    let trusting = client_config(&other.pem(), Some(&files.authority.svid(APP)));
    let stream = served(instance.address(), trusting).await.unwrap();
    assert_ne!(shown(&stream), shown(&first));
}

/// The metrics tell of a refusal until it is over, also when it is undone.
#[test]
fn the_metrics_tell_of_refused_files() {
    let files = TlsFiles::new();
    let measured = Metrics::with_tls(&[Service::Signing]);
    let material = Material::load(&files.files(Service::Signing)).unwrap();
    let credentials =
        Arc::new(Credentials::new(files.files(Service::Signing), material, measured.clone()));
    let (failed, long) = metrics(&measured);
    assert_eq!(failed, 0);
    credentials.reload();
    assert_eq!(metrics(&measured), (0, long));

    let mut params = svid(&[]);
    let not_after = SystemTime::now() + Duration::from_secs(3600);
    params.not_after = not_after.into();
    let next = files.authority.issue(&params);
    let former = fs::read(files.path("server.pem")).unwrap();
    fs::write(files.path("server.pem"), &next.certificate).unwrap();
    credentials.reload();
    assert_eq!(metrics(&measured), (1, long), "its key is not there yet");
    fs::write(files.path("server.pem"), former).unwrap();
    credentials.reload();
    assert_eq!(metrics(&measured), (0, long), "undone");
    files.write_server(&next);
    credentials.reload();
    let (failed, soon) = metrics(&measured);
    assert_eq!(failed, 0);
    assert_eq!(soon, not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    assert!(!Metrics::new().encode().unwrap().contains("countersign_tls"));
}
