//! A running enclave on temporary sockets, whose store and KMS count what they
//! are asked for.

mod counted;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use counted::Counts;
use counted::{CountedKms, CountedStore};
use countersign::{
    app::{self, App},
    audit::{Place, Rotation, Settings, Writing},
    caller::{Caller, Callers},
    client,
    config::{Config, KmsConfig, Limits, Listen, StoreConfig, TlsConfig},
    grpc::{Credentials, Service},
    key::{Algorithm, Environment, PublicKey, ShareId},
    policy::{Tags, amount::AmountLimits},
    proto::{
        self, share_custody_client::ShareCustodyClient,
        signing_enclave_client::SigningEnclaveClient,
    },
    shutdown::Shutdown,
    sign::Signing,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// The application may do everything, with bare digests for ECDSA named in so
/// many words.
pub const PERMISSIVE: &str = r#"
    @id("app-uses-shares")
    permit (principal == Caller::"app",
        action in [Action::"Sign", Action::"UseShare", Action::"GetPublicKey"], resource);
    @id("app-signs-digests")
    permit (principal == Caller::"app", action == Action::"SignDigest", resource)
    when { resource.algorithm == "ecdsa-secp256k1" || resource.algorithm == "ecdsa-p256" };
    @id("app-is-custodian")
    permit (principal == Caller::"app",
        action in [Action::"GenerateShare", Action::"GetImportKey", Action::"ImportShare",
            Action::"ListShares", Action::"GetShare", Action::"DisableShare",
            Action::"EnableShare", Action::"ScheduleDestruction", Action::"DestroyShare",
            Action::"ReencryptShare"],
        resource);
"#;

/// What a test may choose.
pub struct Setup {
    pub policy: &'static str,
    pub limits: Limits,
    pub callers: Callers,
    pub environment: Environment,
    /// SQLite in the enclave's directory when left out.
    pub store: Option<StoreConfig>,
    /// A KEK in the enclave's directory when left out.
    pub kms: Option<KmsConfig>,
    pub amounts: AmountLimits,
    pub tags: Tags,
    /// None when left out.
    pub tls: Option<TlsConfig>,
    /// None when left out.
    pub custody_tls: Option<TlsConfig>,
    /// How long a share waits for its destruction.
    pub destroy_after: Duration,
}

/// A running enclave. Ends with the value.
pub struct Enclave {
    pub dir: TempDir,
    pub counts: Arc<Counts>,
    pub signing: Signing,
    /// Slots that are free when nothing is open: all but the KEK's.
    pub slots: usize,
    /// Where the TLS listener is, and what it is made of.
    pub tls: Option<SocketAddr>,
    pub credentials: Option<Arc<Credentials>>,
    /// The same of custody's.
    pub custody_tls: Option<SocketAddr>,
    pub custody_credentials: Option<Arc<Credentials>>,
    shutdown: Shutdown,
    running: Option<JoinHandle<Result<(), app::PartFailed>>>,
    writing: Option<Writing>,
}

/// A share that was made through custody.
#[derive(Clone, Debug)]
pub struct Share {
    pub id: String,
    pub wallet: String,
    pub algorithm: Algorithm,
    pub public_key: PublicKey,
    pub address: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: PERMISSIVE,
            limits: Limits::default(),
            callers: [app_caller()].into_iter().collect(),
            environment: "test".parse().unwrap(),
            store: None,
            kms: None,
            amounts: AmountLimits::default(),
            tags: Tags::default(),
            tls: None,
            custody_tls: None,
            destroy_after: Duration::ZERO,
        }
    }
}

/// This process's uid, as the caller `app`.
pub fn app_caller() -> Caller {
    Caller {
        name: "app".into(),
        uid: Some(rustix::process::getuid().as_raw()),
        spiffe_id: None,
        groups: Box::new(["apps".into()]),
        rate: None,
    }
}

impl Enclave {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
        let config = config(&dir, &setup);
        std::fs::create_dir(&config.policies).unwrap();
        std::fs::write(config.policies.join("test.cedar"), setup.policy).unwrap();
        let enclave = app::enclave(&config).unwrap();
        let tls = app::tls(&config).unwrap();
        let metrics = app::metrics(&config);
        let (audit, writing) = app::audit(&config, &metrics).unwrap();
        let mut signing = app::signing(&config, enclave, audit, metrics).await.unwrap();
        let slots = signing.enclave.pool().free();
        let counts = Arc::new(Counts::default());
        signing.store = Arc::new(CountedStore(signing.store, Arc::clone(&counts)));
        signing.kms = Arc::new(CountedKms(signing.kms, Arc::clone(&counts)));
        let app = App::over(signing.clone(), config, tls, None).await.unwrap();
        let over_tls = |service| (app.tls_address(service), app.credentials(service));
        let (tls, credentials) = over_tls(Service::Signing);
        let (custody_tls, custody_credentials) = over_tls(Service::Custody);
        let (shutdown, draining) = Shutdown::new();
        Self {
            dir,
            counts,
            signing,
            slots,
            tls,
            credentials,
            custody_tls,
            custody_credentials,
            shutdown,
            running: Some(tokio::spawn(app.run(draining))),
            writing: Some(writing),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("enclave.sock")
    }

    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.dir.path().join("shares.db")).unwrap()
    }

    pub async fn client(&self) -> SigningEnclaveClient<Channel> {
        client::enclave(&self.socket()).await.unwrap()
    }

    pub async fn custody(&self) -> ShareCustodyClient<Channel> {
        let socket = self.dir.path().join("custody.sock");
        client::custody(&socket).await.unwrap()
    }

    pub async fn share(&self, algorithm: Algorithm) -> Share {
        self.share_of("wallet-1", algorithm).await
    }

    pub async fn share_of(&self, wallet: &str, algorithm: Algorithm) -> Share {
        let request = proto::GenerateShareRequest {
            share_id: ShareId::random().to_string(),
            wallet_id: wallet.to_owned(),
            algorithm: algorithm.number().into(),
        };
        let made = self.custody().await.generate_share(request).await.unwrap();
        Share::of(algorithm, made.into_inner())
    }

    /// Starts draining, and waits until everything has ended.
    pub async fn stop(&mut self) {
        self.drain();
        if let Some(running) = self.running.take() {
            running.await.unwrap().unwrap();
        }
        self.writing.take();
    }

    pub fn drain(&self) {
        self.shutdown.start();
    }
}

impl Share {
    /// What custody answered when it was made.
    pub fn of(algorithm: Algorithm, made: proto::GenerateShareResponse) -> Self {
        let key = made.share.unwrap().public_key.unwrap();
        Self {
            public_key: PublicKey::parse(algorithm, &key.key).unwrap(),
            id: key.share_id,
            wallet: key.wallet_id,
            algorithm,
            address: key.account_address,
        }
    }

    /// A payload that this share's algorithm signs.
    pub fn payload(&self, number: u64) -> proto::Payload {
        let text = format!("payload {number}, padded to thirty-two bytes and beyond");
        let bytes = text.into_bytes();
        let kind = match self.algorithm {
            Algorithm::Ed25519 | Algorithm::EcdsaP256 => {
                proto::payload::Kind::Message(bytes.into())
            }
            Algorithm::SchnorrSecp256k1 => {
                proto::payload::Kind::Message(bytes[..32].to_vec().into())
            }
            Algorithm::EcdsaSecp256k1 => proto::payload::Kind::Digest(bytes[..32].to_vec().into()),
        };
        proto::Payload { kind: Some(kind) }
    }

    pub fn sign_request(&self, number: u64) -> proto::SignRequest {
        proto::SignRequest {
            share_id: self.id.clone(),
            wallet_id: self.wallet.clone(),
            payload: Some(self.payload(number)),
            ..Default::default()
        }
    }

    pub fn open(&self) -> proto::UseShareRequest {
        let open = proto::OpenFrame {
            share_id: self.id.clone(),
            wallet_id: self.wallet.clone(),
            ..Default::default()
        };
        frame(proto::use_share_request::Frame::Open(open))
    }

    pub fn frame(&self, id: u64) -> proto::UseShareRequest {
        let sign = proto::SignFrame { id, payload: Some(self.payload(id)), ..Default::default() };
        frame(proto::use_share_request::Frame::Sign(sign))
    }
}

pub fn frame(frame: proto::use_share_request::Frame) -> proto::UseShareRequest {
    proto::UseShareRequest { frame: Some(frame) }
}

pub fn message(bytes: &[u8]) -> Option<proto::Payload> {
    let kind = proto::payload::Kind::Message(bytes.to_vec().into());
    Some(proto::Payload { kind: Some(kind) })
}

pub fn digest(bytes: &[u8]) -> Option<proto::Payload> {
    let kind = proto::payload::Kind::Digest(bytes.to_vec().into());
    Some(proto::Payload { kind: Some(kind) })
}

fn config(dir: &TempDir, setup: &Setup) -> Config {
    let path = |name: &str| dir.path().join(name);
    Config {
        environment: setup.environment.clone(),
        listen: Listen {
            enclave: path("enclave.sock"),
            custody: Some(path("custody.sock")),
            tls: setup.tls.clone(),
            custody_tls: setup.custody_tls.clone(),
            mode: 0o600,
            custody_mode: 0o600,
        },
        callers: setup.callers.clone(),
        policies: path("policies"),
        amounts: setup.amounts.clone(),
        tags: setup.tags.clone(),
        store: setup
            .store
            .clone()
            .unwrap_or_else(|| StoreConfig::Sqlite { path: path("shares.db") }),
        kms: setup.kms.clone().unwrap_or_else(|| KmsConfig::Local { kek_file: path("kek") }),
        audit: Settings {
            directory: path("audit"),
            place: Place::Anywhere,
            rotation: Rotation { size: 1 << 26, age: Duration::from_secs(3600) },
            checkpoints: Duration::from_secs(60),
            compress: true,
            keep: None,
            webhook: None,
        },
        central: None,
        destroy_after: setup.destroy_after,
        unready_after: Duration::ZERO,
        limits: setup.limits,
        log_level: tracing::Level::WARN,
        metrics: None,
        traces: None,
        workers: 2,
        require: countersign::memory::Level::Mlock,
        fingerprint: [0; 32],
    }
}

/// A client that passes a deadline on without watching it itself, as tonic's own
/// channel does: the server has to answer.
pub async fn bare_client(
    socket: PathBuf,
) -> SigningEnclaveClient<
    impl tonic::client::GrpcService<
        tonic::body::Body,
        ResponseBody = hyper::body::Incoming,
        Error = hyper::Error,
        Future: Send,
    > + Clone,
> {
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let service = tower::service_fn(move |request| {
        let mut sender = sender.clone();
        async move { sender.send_request(request).await }
    });
    SigningEnclaveClient::with_origin(service, http::Uri::from_static("http://localhost"))
}
