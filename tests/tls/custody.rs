//! Custody over TLS: it is the custody of the socket, with people for callers.

use std::{
    net::SocketAddr,
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use countersign::{
    caller::{Caller, Callers},
    config::TlsConfig,
    grpc::Service,
    key::{Algorithm, ShareId},
    proto::{
        self, share_custody_client::ShareCustodyClient,
        signing_enclave_client::SigningEnclaveClient,
    },
};
use rustls::AlertDescription;
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, client::Grpc, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::handshake::alert;
use crate::{
    custody::refused::wire::Raw,
    import::{Foreign, statement},
    support::{
        enclave::{Enclave, Setup, Share, app_caller},
        pki::{Authority, Pair, svid},
        refused::{assert_invalid, assert_refused},
        tls::{TlsFiles, channel, client_config, served},
    },
};

const ALICE: &str = "spiffe://example.org/people/alice";
const BOB: &str = "spiffe://example.org/people/bob";
const APP: &str = "spiffe://example.org/ns/payments/sa/app";

const POLICY: &str = r#"
    @id("alice-keeps") permit (principal == Caller::"alice", action in [Action::"GenerateShare",
        Action::"ImportShare", Action::"ListShares", Action::"GetShare", Action::"ReencryptShare"],
        resource);
    @id("bob-looks") permit (principal == Caller::"bob", action == Action::"ListShares", resource);
    @id("app-signs") permit (principal == Caller::"app", action == Action::"Sign", resource);
    @id("app-sets-the-stage") permit (principal == Caller::"app",
        action in [Action::"GenerateShare", Action::"GetImportKey"], resource);
"#;

/// An enclave with both listeners, each with an authority of its own, and a share.
struct Office {
    enclave: Enclave,
    people: TlsFiles,
    workloads: TlsFiles,
    share: Share,
}

impl Office {
    async fn open() -> Self {
        let (people, workloads) = (TlsFiles::new(), TlsFiles::new());
        let listener = |files: &TlsFiles, service| {
            let address = "127.0.0.1:0".parse().unwrap();
            Some(TlsConfig { address, files: files.files(service) })
        };
        let setup = Setup {
            policy: POLICY,
            callers: callers(),
            tls: listener(&workloads, Service::Signing),
            custody_tls: listener(&people, Service::Custody),
            ..Setup::default()
        };
        let enclave = Enclave::with(setup).await;
        let share = enclave.share(Algorithm::Ed25519).await;
        Self { enclave, people, workloads, share }
    }

    fn address(&self) -> SocketAddr {
        self.enclave.custody_tls.unwrap()
    }

    /// A channel of whom the people's authority names.
    async fn channel(&self, spiffe_id: &str) -> Channel {
        let authority = &self.people.authority;
        let config = client_config(&authority.pem(), Some(&authority.svid(spiffe_id)));
        channel(self.address(), config).await.unwrap()
    }

    async fn custody(&self, spiffe_id: &str) -> ShareCustodyClient<Channel> {
        ShareCustodyClient::new(self.channel(spiffe_id).await)
    }

    fn rows(&self) -> i64 {
        let count = "SELECT count(*) FROM server_wallet_key_shares";
        self.enclave.database().query_row(count, [], |row| row.get(0)).unwrap()
    }

    /// Nothing was asked of store or KMS since.
    fn untouched_since(&self, before: ([usize; 4], i64)) {
        assert_eq!((self.enclave.counts.uses(), self.rows()), before);
    }

    fn now(&self) -> ([usize; 4], i64) {
        (self.enclave.counts.uses(), self.rows())
    }
}

fn callers() -> Callers {
    let app = Caller { spiffe_id: Some(APP.parse().unwrap()), ..app_caller() };
    let person = |name: &str, uid, spiffe_id: Option<&str>| Caller {
        name: name.into(),
        uid,
        spiffe_id: spiffe_id.map(|id| id.parse().unwrap()),
        groups: Box::default(),
        rate: None,
    };
    let people = [
        person("alice", None, Some(ALICE)),
        person("bob", None, Some(BOB)),
        person("carol", Some(4321), None),
    ];
    [app].into_iter().chain(people).collect()
}

fn generate() -> proto::GenerateShareRequest {
    proto::GenerateShareRequest {
        share_id: ShareId::random().to_string(),
        wallet_id: "wallet".to_owned(),
        algorithm: Algorithm::Ed25519.number().into(),
    }
}

/// What was made over TLS is there on the socket, and an import that began on one ends on
/// the other.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_custody_of_the_socket() {
    let office = Office::open().await;
    let mut alice = office.custody(ALICE).await;
    let made = alice.generate_share(generate()).await.unwrap().into_inner().share.unwrap();
    assert_eq!(made.environment, "test");
    let foreign = Foreign::new(Algorithm::EcdsaSecp256k1);
    let import = foreign.request(&statement(&office.enclave).await);
    alice.import_share(import).await.unwrap();
    let listed = alice.list_shares(proto::ListSharesRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().shares.len(), 3);
    assert_eq!(office.rows(), 3);
}

/// Whom the policies do not permit something is refused, and nothing happens.
#[tokio::test(flavor = "multi_thread")]
async fn policies_decide_who_may_what() {
    let office = Office::open().await;
    let mut bob = office.custody(BOB).await;
    bob.list_shares(proto::ListSharesRequest::default()).await.unwrap();
    let before = office.now();
    let status = bob.generate_share(generate()).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    let share_id = office.share.id.clone();
    let reencrypt = proto::ReencryptShareRequest { share_id, ..Default::default() };
    let status = bob.reencrypt_share(reencrypt).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    office.untouched_since(before);
}

/// The authority of the workloads' listener vouches for nobody here, and this one's for
/// nobody there.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_are_not_trusted_are_refused() {
    let office = Office::open().await;
    let before = office.now();
    let server = office.people.authority.pem();
    let mut expired = svid(&[ALICE]);
    expired.not_before = (SystemTime::now() - Duration::from_secs(7200)).into();
    expired.not_after = (SystemTime::now() - Duration::from_secs(3600)).into();
    let cases: [(Pair, _); 4] = [
        (office.workloads.authority.svid(ALICE), AlertDescription::DecryptError),
        (Authority::new().svid(ALICE), AlertDescription::DecryptError),
        (Authority::new().intermediate().0.svid(ALICE), AlertDescription::UnknownCA),
        (office.people.authority.issue(&expired), AlertDescription::CertificateExpired),
    ];
    for (identity, expected) in cases {
        let config = client_config(&server, Some(&identity));
        let refused = served(office.address(), config).await.unwrap_err();
        assert_eq!(alert(&refused), Some(expected));
    }
    let refused = served(office.address(), client_config(&server, None)).await.unwrap_err();
    assert_eq!(alert(&refused), Some(AlertDescription::CertificateRequired));
    let there = office.workloads.authority.pem();
    let config = client_config(&there, Some(&office.people.authority.svid(APP)));
    let refused = served(office.enclave.tls.unwrap(), config).await.unwrap_err();
    assert_eq!(alert(&refused), Some(AlertDescription::DecryptError));
    office.untouched_since(before);
}

/// Without a SPIFFE ID, with one that nobody has, and with the name of a caller who is known
/// by a uid alone.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_caller_is_refused() {
    let office = Office::open().await;
    let before = office.now();
    let strangers: [&[&str]; 4] = [
        &[],
        &["spiffe://example.org/people/mallory"],
        &["spiffe://example.org/people/carol"],
        &[ALICE, BOB],
    ];
    for uris in strangers {
        let identity = office.people.authority.issue(&svid(uris));
        let config = client_config(&office.people.authority.pem(), Some(&identity));
        let channel = channel(office.address(), config).await.unwrap();
        let mut custody = ShareCustodyClient::new(channel);
        let status = custody.generate_share(generate()).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, "CALLER_UNKNOWN");
        let status = custody.list_shares(proto::ListSharesRequest::default()).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, "CALLER_UNKNOWN");
    }
    office.untouched_since(before);
}

/// Nothing is signed where shares are kept, and the other way round; health is on both.
#[tokio::test(flavor = "multi_thread")]
async fn each_listener_has_its_service_alone() {
    let office = Office::open().await;
    let before = office.now();
    let mut signing = SigningEnclaveClient::new(office.channel(ALICE).await);
    let status = signing.sign(office.share.sign_request(1)).await.unwrap_err();
    assert_eq!((status.code(), status.details()), (Code::Unimplemented, &[][..]));
    let authority = &office.workloads.authority;
    let config = client_config(&authority.pem(), Some(&authority.svid(APP)));
    let there = channel(office.enclave.tls.unwrap(), config).await.unwrap();
    let mut custody = ShareCustodyClient::new(there);
    let status = custody.list_shares(proto::ListSharesRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), status.details()), (Code::Unimplemented, &[][..]));
    office.untouched_since(before);
    let liveness = HealthCheckRequest { service: "liveness".to_owned() };
    HealthClient::new(office.channel(BOB).await).check(liveness).await.unwrap();
}

/// As on the socket (`custody::refused`): the codec is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_it_does_not_know_is_refused() {
    let office = Office::open().await;
    let before = office.now();
    let mut client = Grpc::new(office.channel(ALICE).await);
    client.ready().await.unwrap();
    let path = "/countersign.v1.ShareCustody/ListShares".parse().unwrap();
    let answer = client.unary(Request::new(vec![0x78, 1]), path, Raw).await;
    assert_invalid(&answer.unwrap_err(), "message");
    office.untouched_since(before);
}

/// The files of the two listeners are followed apart.
#[tokio::test(flavor = "multi_thread")]
async fn its_certificates_are_reloaded_by_themselves() {
    let office = Office::open().await;
    let next = Authority::new();
    let renewed = client_config(&next.pem(), Some(&next.svid(ALICE)));
    served(office.address(), renewed.clone()).await.unwrap_err();
    let mut former = office.custody(ALICE).await;
    former.list_shares(proto::ListSharesRequest::default()).await.unwrap();

    office.people.write_server(&next.server());
    office.people.write_client_ca(&next.pem());
    office.enclave.custody_credentials.as_ref().unwrap().reload();
    let mut alice = ShareCustodyClient::new(channel(office.address(), renewed).await.unwrap());
    alice.list_shares(proto::ListSharesRequest::default()).await.unwrap();
    let refused = former.list_shares(proto::ListSharesRequest::default()).await;
    refused.expect_err("its authority is gone");
    let authority = &office.workloads.authority;
    let app = client_config(&authority.pem(), Some(&authority.svid(APP)));
    served(office.enclave.tls.unwrap(), app).await.unwrap();

    office.people.write_client_ca("no certificate");
    office.enclave.custody_credentials.as_ref().unwrap().reload();
    let scrape = office.enclave.signing.metrics.encode().unwrap();
    assert!(scrape.contains("countersign_tls_reload_failed{listener=\"custody\"} 1\n"), "{scrape}");
    assert!(scrape.contains("countersign_tls_reload_failed{listener=\"signing\"} 0\n"), "{scrape}");
}

/// What is in flight at shutdown is answered, and nobody comes in any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_at_shutdown_is_answered() {
    let mut office = Office::open().await;
    let mut alice = office.custody(ALICE).await;
    let share_id = office.share.id.clone();
    office.enclave.counts.slow_unwrap_ms.store(700, Ordering::SeqCst);
    let request = proto::ReencryptShareRequest { share_id, ..Default::default() };
    let sealing = tokio::spawn(async move { alice.reencrypt_share(request).await });
    sleep(Duration::from_millis(200)).await;
    office.enclave.drain();
    let sealed = sealing.await.unwrap().expect("it was in flight").into_inner().share.unwrap();
    assert_eq!(sealed.public_key.unwrap().record_version, 2);
    let authority = &office.people.authority;
    let config = client_config(&authority.pem(), Some(&authority.svid(ALICE)));
    served(office.address(), config).await.expect_err("it no longer listens");
    timeout(Duration::from_secs(5), office.enclave.stop()).await.expect("it ends by itself");
}
