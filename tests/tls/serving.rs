//! The real binary with a TLS listener, under full hardening.

use std::time::Duration;

use countersign::{
    grpc::{Files, Service},
    proto::signing_enclave_client::SigningEnclaveClient,
};
use rustls::ClientConfig;
use tonic::Code;

use super::instance::APP;
use crate::{
    hardened::{projected::Projected, serving::assert_confined},
    support::{
        pki::{Authority, Pair, svid},
        refused::assert_refused,
        served::{Home, Served, Share},
        tls::{TlsFiles, channel, client_config, served as answers},
    },
};

const MESSAGE: &[u8] = b"over TLS";
const RELOAD_FAILED: &str = "tls_reload_failed{listener=\"signing\"}";
const HANDSHAKES_FAILED: &str = "tls_handshakes_failed_total{listener=\"signing\"}";

async fn sign(served: &Served, share: &Share, config: ClientConfig) -> Result<(), tonic::Status> {
    let address = ([127, 0, 0, 1], served.home.tls).into();
    let mut client = SigningEnclaveClient::new(channel(address, config).await.unwrap());
    let answer = client.sign(share.sign_request(MESSAGE)).await?;
    share.verify(MESSAGE, &answer.into_inner());
    Ok(())
}

/// Signs, refuses, and follows files that are swapped as Kubernetes swaps them,
/// whose directories landlock leaves in reach.
#[tokio::test(flavor = "multi_thread")]
async fn a_confined_server_follows_its_certificates() {
    let authority = Authority::new();
    let volumes = tempfile::tempdir().unwrap();
    let server = authority.server();
    let ca = authority.pem();
    let mut svids = Projected::new(
        volumes.path().join("svids"),
        &[("svid.pem", &server.certificate), ("svid_key.pem", &server.key), ("bundle.pem", &ca)],
    );
    let home = Home::embedded();
    let files = Files {
        service: Service::Signing,
        certificate: svids.file("svid.pem"),
        key: svids.file("svid_key.pem"),
        client_ca: svids.file("bundle.pem"),
    };
    home.tls(&files, APP);
    let command = home.serve();
    let served = home.start(command).await;
    assert_confined(&served);
    let share = served.generate().await;
    let config = |server_ca: &str, identity: &Pair| client_config(server_ca, Some(identity));
    let app = config(&ca, &authority.svid(APP));
    sign(&served, &share, app.clone()).await.unwrap();
    served.sign(&share).await.unwrap();
    let other = config(&ca, &authority.svid("spiffe://example.org/other"));
    let status = sign(&served, &share, other).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "CALLER_UNKNOWN");
    let log = served.home.log();
    assert!(log.contains(r#""spiffe_id":"spiffe://example.org/other""#), "{log}");
    assert!(log.contains(&format!(r#""tls":"127.0.0.1:{}""#, served.home.tls)), "{log}");
    assert_eq!(served.metric(RELOAD_FAILED), Some(0));

    // A key that is not the certificate's, and then another authority altogether.
    let next = Authority::new();
    let (renewed, next_ca) = (next.server(), next.pem());
    svids.swap(&[
        ("svid.pem", &renewed.certificate),
        ("svid_key.pem", &server.key),
        ("bundle.pem", &next_ca),
    ]);
    let refused = |served: &Served| served.metric(RELOAD_FAILED) == Some(1);
    served.until("the files are refused", refused).await;
    sign(&served, &share, app.clone()).await.unwrap();
    svids.swap(&[
        ("svid.pem", &renewed.certificate),
        ("svid_key.pem", &renewed.key),
        ("bundle.pem", &next_ca),
    ]);
    let taken = |served: &Served| served.metric(RELOAD_FAILED) == Some(0);
    served.until("the files are taken", taken).await;
    sign(&served, &share, config(&next_ca, &next.svid(APP))).await.unwrap();
    let address = ([127, 0, 0, 1], served.home.tls).into();
    let former = client_config(&next_ca, Some(&authority.svid(APP)));
    answers(address, former).await.unwrap_err();
    assert!(served.metric(HANDSHAKES_FAILED) >= Some(1));
    assert_confined(&served);
    served.stop();
}

/// Whoever should renew the certificate and does not is told in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_is_told_of() {
    let files = TlsFiles::new();
    let mut params = svid(&[]);
    let now = std::time::SystemTime::now();
    params.not_before = (now - Duration::from_secs(60)).into();
    params.not_after = (now + Duration::from_secs(8)).into();
    files.write_server(&files.authority.issue(&params));
    let home = Home::embedded();
    home.tls(&files.files(Service::Signing), APP);
    let command = home.serve();
    let served = home.start(command).await;
    let logged = |text: &'static str| move |served: &Served| served.home.log().contains(text);
    served.until("it warns", logged("certificate expires soon")).await;
    served.until("it says so", logged("certificate has expired")).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let log = served.home.log();
    assert_eq!(log.matches("certificate expires soon").count(), 1);
    assert_eq!(log.matches("certificate has expired").count(), 1);
    served.stop();
}
