//! A running enclave on temporary sockets, whose store and KMS count what they
//! are asked for.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use countersign::{
    app::{self, App},
    audit::{Place, Rotation, Settings, Writing},
    caller::{Caller, Callers},
    client,
    config::{Config, KmsConfig, Limits, Listen, StoreConfig, TlsConfig},
    enclave::{Dek, Slot},
    envelope::{Identity, KekContext, KekRef, WrappedDek},
    grpc::Credentials,
    key::{
        Algorithm, Binding, Environment, PublicKey, RecordVersion, Revision, ShareId, ShareState,
        WalletId,
    },
    kms::{BoundDek, KekVersions, Kms, KmsError, Unwrapped},
    permitted::PermittedDek,
    policy::{Opening, Tags, amount::AmountLimits},
    proto::{
        self, share_custody_client::ShareCustodyClient,
        signing_enclave_client::SigningEnclaveClient,
    },
    record::{ShareDescription, ShareRecord},
    shutdown::Shutdown,
    sign::Signing,
    store::{Capabilities, ShareStore, ShareUse, StoreError},
};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::Instant};
use tonic::transport::Channel;
use uuid::Uuid;

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

/// How often store and KMS were asked.
#[derive(Default)]
pub struct Counts {
    pub described: AtomicUsize,
    pub refreshed: AtomicUsize,
    pub fetched: AtomicUsize,
    pub written: AtomicUsize,
    pub unwrapped: AtomicUsize,
    pub wrapped: AtomicUsize,
    /// Milliseconds by which an unwrap is delayed.
    pub slow_unwrap_ms: AtomicU64,
    /// Milliseconds by which its result is held back.
    pub hold_unwrapped_ms: AtomicU64,
    /// How many results were held back.
    pub held: AtomicUsize,
    /// Whether the next unwrap panics: a fault that no real KMS produces.
    pub panic_in_unwrap: AtomicBool,
    /// Whether DEKs are wrapped so that they do not unwrap: another such fault.
    pub wrap_in_vain: AtomicBool,
}

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
        let app = App::over(signing.clone(), config, tls).await.unwrap();
        let (tls, credentials) = (app.tls_address(), app.credentials());
        let (shutdown, draining) = Shutdown::new();
        Self {
            dir,
            counts,
            signing,
            slots,
            tls,
            credentials,
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

impl Counts {
    /// Fetched, unwrapped, wrapped, written.
    pub fn uses(&self) -> [usize; 4] {
        [&self.fetched, &self.unwrapped, &self.wrapped, &self.written]
            .map(|count| count.load(Ordering::SeqCst))
    }
}

fn config(dir: &TempDir, setup: &Setup) -> Config {
    let path = |name: &str| dir.path().join(name);
    Config {
        environment: setup.environment.clone(),
        listen: Listen {
            enclave: path("enclave.sock"),
            custody: Some(path("custody.sock")),
            tls: setup.tls.clone(),
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
        limits: setup.limits,
        log_level: tracing::Level::WARN,
        metrics: None,
        workers: 2,
        require: countersign::memory::Level::Mlock,
        fingerprint: [0; 32],
    }
}

struct CountedStore(Arc<dyn ShareStore>, Arc<Counts>);

#[async_trait]
impl ShareStore for CountedStore {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        self.1.described.fetch_add(1, Ordering::SeqCst);
        self.0.describe(share).await
    }

    async fn describe_all(&self, shares: &[ShareId]) -> Result<Vec<ShareDescription>, StoreError> {
        self.1.refreshed.fetch_add(1, Ordering::SeqCst);
        self.0.describe_all(shares).await
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        self.1.fetched.fetch_add(1, Ordering::SeqCst);
        self.0.fetch(opening).await
    }

    async fn put(
        &self,
        record: &ShareRecord,
        expected: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        self.1.written.fetch_add(1, Ordering::SeqCst);
        self.0.put(record, expected).await
    }

    async fn list(
        &self,
        environment: &Environment,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        self.0.list(environment, wallet, after, limit).await
    }

    async fn set_state(
        &self,
        share: ShareId,
        state: ShareState,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.1.written.fetch_add(1, Ordering::SeqCst);
        self.0.set_state(share, state, expected).await
    }

    async fn schedule(
        &self,
        share: ShareId,
        after: Option<SystemTime>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.1.written.fetch_add(1, Ordering::SeqCst);
        self.0.schedule(share, after, expected).await
    }

    async fn remove(&self, share: ShareId, expected: Revision) -> Result<(), StoreError> {
        self.1.written.fetch_add(1, Ordering::SeqCst);
        self.0.remove(share, expected).await
    }

    async fn counted(&self, log: Uuid) -> Result<u64, StoreError> {
        self.0.counted(log).await
    }

    async fn count(
        &self,
        log: Uuid,
        from: u64,
        to: u64,
        uses: &[ShareUse],
    ) -> Result<bool, StoreError> {
        self.0.count(log, from, to, uses).await
    }

    async fn forget(&self, log: Uuid, at: u64) -> Result<bool, StoreError> {
        self.0.forget(log, at).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.0.status().await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

struct CountedKms(Arc<dyn Kms>, Arc<Counts>);

#[async_trait]
impl Kms for CountedKms {
    fn kek(&self) -> &KekRef {
        self.0.kek()
    }

    async fn wrap(
        &self,
        context: &KekContext,
        dek: Dek,
        deadline: Instant,
    ) -> Result<WrappedDek, KmsError> {
        self.1.wrapped.fetch_add(1, Ordering::SeqCst);
        if self.1.wrap_in_vain.load(Ordering::SeqCst) {
            let elsewhere = KekContext::of(&Identity {
                environment: "test".parse().unwrap(),
                wallet: "elsewhere".parse().unwrap(),
                share: ShareId::random(),
                version: RecordVersion::FIRST,
                address: None,
                algorithm: Algorithm::Ed25519,
                binding: Binding::Derived,
            });
            return self.0.wrap(&elsewhere, dek, deadline).await;
        }
        self.0.wrap(context, dek, deadline).await
    }

    async fn unwrap(
        &self,
        dek: PermittedDek<'_>,
        slot: Slot,
        deadline: Instant,
    ) -> Result<Unwrapped, KmsError> {
        self.1.unwrapped.fetch_add(1, Ordering::SeqCst);
        let slow = self.1.slow_unwrap_ms.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(slow)).await;
        assert!(!self.1.panic_in_unwrap.swap(false, Ordering::SeqCst), "a fault");
        let unwrapped = self.0.unwrap(dek, slot, deadline).await;
        let hold = self.1.hold_unwrapped_ms.load(Ordering::SeqCst);
        if hold > 0 {
            self.1.held.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(hold)).await;
        }
        unwrapped
    }

    async fn rewrap(
        &self,
        deks: Vec<BoundDek>,
        deadline: Instant,
    ) -> Result<Vec<Result<WrappedDek, KmsError>>, KmsError> {
        self.0.rewrap(deks, deadline).await
    }

    async fn versions(&self, deadline: Instant) -> Result<KekVersions, KmsError> {
        self.0.versions(deadline).await
    }

    async fn raise_floor(&self, floor: u32, deadline: Instant) -> Result<(), KmsError> {
        self.0.raise_floor(floor, deadline).await
    }

    async fn status(&self, deadline: Instant) -> Result<(), KmsError> {
        self.0.status(deadline).await
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
