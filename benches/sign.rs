//! One `Sign` from policy to signature, over SQLite and a local KEK, as it is and with
//! the enclave and the KEK's cipher in plain memory: what secret memory costs a
//! request. The gRPC around it is the same for both.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/plain.rs"]
mod plain;

use std::{path::Path, sync::Arc, time::Duration};

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    app,
    caller::{Call, Caller},
    config::Config,
    custody::Custody,
    enclave::warm_up,
    envelope::{Envelope, KekContext},
    key::{Algorithm, RequestId, ShareId},
    payload::Payload,
    policy::Sign,
    sign::{Encoding, Signing, Target},
};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::{runtime::Runtime, time::Instant};

struct Bench {
    signing: Signing,
    call: Call,
    kek: [u8; 32],
}

impl Bench {
    fn new(runtime: &Runtime, home: &Path) -> Self {
        let at = home.display();
        std::fs::create_dir(home.join("policies")).unwrap();
        let policy = r#"
            @id("all") permit (principal, action, resource);
            @id("digests") permit (principal, action == Action::"SignDigest", resource);
        "#;
        std::fs::write(home.join("policies/all.cedar"), policy).unwrap();
        let config = format!(
            r#"
            environment = "bench"
            listen.enclave = "{at}/enclave.sock"
            caller = [{{ name = "bench", uid = 1000 }}]
            policy.directory = "{at}/policies"
            store = {{ kind = "sqlite", path = "{at}/shares.db" }}
            kms = {{ kind = "local", kek_file = "{at}/kek" }}
            audit = {{ directory = "{at}/audit" }}
            "#
        );
        let config = Config::parse(&config).unwrap();
        let enclave = app::enclave(&config).unwrap();
        let metrics = app::metrics(&config);
        let (audit, _writing) = app::audit(&config, &metrics).unwrap();
        let signing = app::signing(&config, enclave, audit, metrics);
        let signing = runtime.block_on(signing).unwrap();
        let caller = Caller {
            name: "bench".into(),
            uid: Some(1000),
            spiffe_id: None,
            groups: Box::default(),
            rate: None,
        };
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        Self {
            signing,
            call: Call::new(Arc::new(caller), RequestId::random(), now, now + hour),
            kek: std::fs::read(home.join("kek")).unwrap().try_into().unwrap(),
        }
    }

    async fn share(&self, algorithm: Algorithm) -> Target {
        let (share, wallet) = (ShareId::random(), "bench".parse().unwrap());
        let target = Target { share, wallet, expected_address: None, min_version: 0 };
        let custody = Custody::new(self.signing.clone(), Duration::ZERO);
        custody.generate(&self.call, share, target.wallet.clone(), algorithm).await.unwrap();
        target
    }

    /// The same story, with what is secret in plain memory.
    async fn sign_plainly(&self, target: &Target, payload: Payload) -> [u8; 64] {
        let Signing { store, policy, .. } = &self.signing;
        let share = Arc::new(store.describe(target.share).await.unwrap().unwrap());
        let caller = &self.call.caller;
        let permit =
            policy.current().authorize(caller, Arc::clone(&share), Sign { payload }).unwrap();
        let record = store.fetch(permit.opening()).await.unwrap().unwrap();
        let envelope = Envelope::decode(&record.envelope).unwrap();
        let dek = self.unwrap(&envelope);
        plain::sign(&envelope, &dek, &share.public_key, &permit.action().payload).unwrap()
    }

    fn unwrap(&self, envelope: &Envelope) -> [u8; 32] {
        let wrapped = envelope.wrapped_dek().as_bytes().strip_prefix(b"local:v1:").unwrap();
        let wrapped = STANDARD.decode(wrapped).unwrap();
        let (nonce, rest) = wrapped.split_first_chunk::<12>().unwrap();
        let (ciphertext, tag) = rest.split_last_chunk::<16>().unwrap();
        let mut dek: [u8; 32] = ciphertext.try_into().unwrap();
        let context = KekContext::of(&envelope.header().identity);
        Aes256Gcm::new((&self.kek).into())
            .decrypt_inout_detached(
                nonce.into(),
                context.as_bytes(),
                dek.as_mut_slice().into(),
                tag.into(),
            )
            .unwrap();
        dek
    }
}

fn sign(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(warm_up)
        .enable_all()
        .build()
        .unwrap();
    let home = tempfile::tempdir().unwrap();
    let bench = Bench::new(&runtime, home.path());
    for algorithm in Algorithm::ALL {
        let target = runtime.block_on(bench.share(algorithm));
        let payload = Payload::sample(algorithm);
        let mut group = criterion.benchmark_group(format!("sign/{algorithm}"));
        group.bench_function("plain memory", |bencher| {
            bencher.iter(|| runtime.block_on(bench.sign_plainly(&target, payload.clone())));
        });
        group.bench_function("secret memory", |bencher| {
            bencher.iter(|| {
                let sign = bench.signing.sign(&bench.call, &target, payload.clone(), Encoding::Raw);
                runtime.block_on(sign).unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, sign);
criterion_main!(benches);
