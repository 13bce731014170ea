//! A record of another environment, put where this one's are by who can write to its
//! database. Three things refuse it, each without the others: policy, the associated data,
//! and Vault. Each test takes away what would refuse it before.

use std::{
    fs,
    process::Command,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    config::KmsConfig,
    enclave::Generated,
    envelope::{Envelope, Header, Identity, KekContext, KekRef},
    key::{Algorithm, Binding, Environment, RecordVersion, ShareId},
    kms::{
        Kms,
        vault_transit::{Role, Settings},
    },
    policy::{GenerateShare, NewShare},
    proto,
    record::ShareRecord,
};
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;
use tonic::Code;

use crate::{
    refusals::refused,
    support::{
        enclave::{Enclave, Setup, Share, app_caller},
        permits,
        refused::assert_refused,
        served::{self, Home, SQLITE, binary},
        vault::{Tenant, VaultServer},
    },
};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// A share sealed here for an environment, its DEK not yet wrapped.
fn seal(enclave: &Enclave, environment: &Environment, kek: &KekRef) -> Generated {
    let (algorithm, binding) = (Algorithm::Ed25519, Binding::Derived);
    let new = NewShare {
        environment: environment.clone(),
        wallet: "wallet-1".parse().unwrap(),
        share: ShareId::random(),
        algorithm,
        binding,
    };
    let caller = std::sync::Arc::new(app_caller());
    let policy = enclave.signing.policy.current();
    let permit = policy.authorize(&caller, new.clone(), GenerateShare { algorithm }).unwrap();
    let NewShare { environment, wallet, share, .. } = new;
    let version = RecordVersion::FIRST;
    let generated = enclave.signing.enclave.generate(&permit, kek.clone(), |_| Identity {
        environment,
        wallet,
        share,
        version,
        address: None,
        algorithm,
        binding,
    });
    generated.unwrap()
}

/// The header with another environment and the KEK that goes with it, as somebody writes it
/// who has read the format.
fn relabelled(header: &Header, environment: &Environment, kek: &KekRef) -> Header {
    let identity = Identity { environment: environment.clone(), ..header.identity.clone() };
    Header { identity, kek: kek.clone(), ..header.clone() }
}

fn share(record: &ShareRecord) -> Share {
    let description = &record.description;
    Share {
        id: description.identity.share.to_string(),
        wallet: description.identity.wallet.to_string(),
        algorithm: description.identity.algorithm,
        public_key: description.public_key,
        address: String::new(),
    }
}

/// As it is: to the policies of this environment, which permit everything, it is a share that
/// does not exist.
#[tokio::test(flavor = "multi_thread")]
async fn policy_refuses_a_record_of_another_environment() {
    let elsewhere: Environment = "elsewhere".parse().unwrap();
    let theirs = Enclave::with(Setup { environment: elsewhere, ..Setup::default() }).await;
    let share = theirs.share(Algorithm::Ed25519).await;
    theirs.client().await.sign(share.sign_request(1)).await.unwrap();
    let described = theirs.signing.store.describe(share.id.parse().unwrap()).await.unwrap();
    let permit = permits::to_open(&described.unwrap());
    let record = theirs.signing.store.fetch(permit.opening()).await.unwrap().unwrap();

    let ours = Enclave::start().await;
    ours.signing.store.put(&record, None).await.unwrap();
    let (mut client, mut custody) = (ours.client().await, ours.custody().await);
    let denied = |status| assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    denied(refused(&ours, client.sign(share.sign_request(1))).await);
    let before = ours.counts.uses();
    let stream = client.use_share(tokio_stream::iter([share.open()])).await.unwrap();
    denied(stream.into_inner().message().await.unwrap_err());
    assert_eq!(ours.counts.uses(), before);
    let (share_id, wallet_id) = (share.id.clone(), share.wallet.clone());
    let read = proto::GetPublicKeyRequest { share_id: share_id.clone(), wallet_id };
    denied(refused(&ours, client.get_public_key(read)).await);
    // `tests/custody/refused.rs` has every call of custody.
    let read = proto::GetShareRequest { share_id };
    denied(refused(&ours, custody.get_share(read)).await);
}

/// Relabelled, in the row and in the envelope, and with its DEK wrapped for this environment,
/// as only somebody could who may unwrap there and wrap here: it does not open.
#[tokio::test(flavor = "multi_thread")]
async fn the_associated_data_refuses_a_record_of_another_environment() {
    let enclave = Enclave::start().await;
    let (kms, store) = (&enclave.signing.kms, &enclave.signing.store);
    let here = &enclave.signing.environment;
    let elsewhere: Environment = "elsewhere".parse().unwrap();
    let mut client = enclave.client().await;
    for (environment, opens) in [(here, true), (&elsewhere, false)] {
        // Nothing but the environment is another: the KEK, which is bound, too, is this one's.
        let Generated { dek, header, sealed, public_key } = seal(&enclave, environment, kms.kek());
        let header = relabelled(&header, here, kms.kek());
        let wrapped = kms.wrap(&KekContext::of(&header.identity), dek, soon()).await.unwrap();
        let envelope = Envelope::new(header, wrapped, sealed);
        let record = ShareRecord::new(&envelope, public_key, SystemTime::now());
        store.put(&record, None).await.unwrap();
        let [_, unwrapped, ..] = enclave.counts.uses();
        let signed = client.sign(share(&record).sign_request(1)).await;
        match (opens, signed) {
            (true, signed) => drop(signed.unwrap()),
            (false, signed) => {
                assert_refused(&signed.unwrap_err(), Code::DataLoss, "ENVELOPE_UNOPENED");
            }
        }
        assert_eq!(enclave.counts.uses()[1], unwrapped + 1, "the KMS refused nothing");
    }
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots);
}

/// Relabelled, with the wrapped DEK as it was: Vault does not unwrap it here. Nor does it give
/// this environment's logins anything under the other's key; and under the right key, for
/// somebody with every right, not in this environment's context.
#[tokio::test(flavor = "multi_thread")]
async fn vault_refuses_a_record_of_another_environment() {
    let Some(vault) = VaultServer::shared().await else { return };
    let (ours, theirs) = (Tenant::new(vault).await, Tenant::new(vault).await);
    let their_kms = theirs.kms();
    let enclave = Enclave::with(Setup {
        environment: ours.environment().clone(),
        kms: Some(KmsConfig::VaultTransit(Box::new(ours.settings()))),
        ..Setup::default()
    })
    .await;
    let kek = enclave.signing.kms.kek().clone();
    let their_kek = their_kms.kek().clone();
    assert_eq!(
        (kek.name(), their_kek.name()),
        (&*format!("countersign-{}", ours.environment()), &*theirs.key())
    );
    let Generated { dek, header, sealed, public_key } =
        seal(&enclave, theirs.environment(), &their_kek);
    let theirs_alone = KekContext::of(&header.identity);
    let wrapped = their_kms.wrap(&theirs_alone, dek, soon()).await;
    let wrapped = wrapped.unwrap();
    let header = relabelled(&header, ours.environment(), &kek);
    let relabelled_context = KekContext::of(&header.identity);
    let envelope = Envelope::new(header, wrapped.clone(), sealed);
    let record = ShareRecord::new(&envelope, public_key, SystemTime::now());
    enclave.signing.store.put(&record, None).await.unwrap();
    // The login stands: a share of its own is made and signs.
    let own = enclave.share(Algorithm::Ed25519).await;
    let mut client = enclave.client().await;
    client.sign(own.sign_request(1)).await.unwrap();
    let asked = ours.count("decrypt");
    let status = client.sign(share(&record).sign_request(1)).await.unwrap_err();
    assert_refused(&status, Code::DataLoss, "KMS_REJECTED");
    assert_eq!(ours.count("decrypt"), asked + 1, "it was Vault that refused");

    let ciphertext = std::str::from_utf8(wrapped.as_bytes()).unwrap();
    let body = |context: &KekContext| json!({"ciphertext": ciphertext, "context": STANDARD.encode(context.as_bytes())});
    let (token, _) = ours.token(Role::Signer).await;
    let decrypt = theirs.path("decrypt");
    for context in [&theirs_alone, &relabelled_context] {
        let (status, _) = vault.call(Method::POST, &decrypt, &token, Some(body(context))).await;
        assert_eq!(status, 403);
    }
    let (status, _) = vault.call_as_root(Method::POST, &decrypt, body(&relabelled_context)).await;
    assert_eq!(status, 400);
    let (status, _) = vault.call_as_root(Method::POST, &decrypt, body(&theirs_alone)).await;
    assert_eq!(status, 200);
}

/// The environment is part of the KEK's name: `check` takes no other key, nor one that is
/// another environment's by a part of its name.
#[tokio::test]
async fn check_takes_no_kek_of_another_environment() {
    let Some(vault) = VaultServer::shared().await else { return };
    let tenant = Tenant::new(vault).await;
    let settings = Settings { rotator: None, ..tenant.settings() };
    let transit = served::vault(&settings, &vault.ca_file());
    let environment = tenant.environment();
    let check = |key: &str| {
        let transit = transit.replace("[vault]\n", &format!("[vault]\nkey = {key:?}\n"));
        let home = Home::new(environment.as_str(), &transit, SQLITE);
        assert!(fs::read_to_string(home.config()).unwrap().contains(key));
        let output = Command::new(binary()).args(["check", "--config"]).arg(home.config()).output();
        let output = output.unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    for key in [format!("countersign-{environment}"), format!("wallets-{environment}")] {
        let (code, told) = check(&key);
        assert_eq!(code, Some(0), "{told}");
    }
    for key in [
        "countersign-production".to_owned(),
        format!("countersign-{environment}-production"),
        format!("countersign{environment}"),
        format!("{environment}"),
    ] {
        let (code, told) = check(&key);
        assert_eq!(code, Some(78), "{told}");
        let rule = format!("`vault.key` must be a name that ends with \"-{environment}\"");
        assert!(told.contains(&rule), "{told}");
    }
}
