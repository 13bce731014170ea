//! The whole stack: gRPC in front of a real Vault and a real Postgres. What the
//! caller sees of each fault, and that it passes without a restart.

use std::{num::NonZeroU32, time::Duration};

use countersign::{
    client,
    config::{KmsConfig, Limits, StoreConfig},
    key::{Algorithm, ShareId},
    kms::vault_transit::Role,
    payload::PayloadKind,
    proto::{
        self, share_custody_client::ShareCustodyClient,
        signing_enclave_client::SigningEnclaveClient,
    },
    rate::Quota,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_stream::StreamExt;
use tonic::{Code, Request, Response, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;

use crate::support::{
    enclave::{Enclave, Setup, Share},
    postgres::{Database, PostgresServer},
    refused::assert_refused,
    vault::{Tenant, VaultServer},
};

async fn enclave(tenant: &Tenant<'_>, database: Option<&Database<'_>>) -> Enclave {
    Enclave::with(Setup {
        environment: tenant.environment().clone(),
        kms: Some(KmsConfig::VaultTransit(Box::new(tenant.settings()))),
        store: database.map(|database| StoreConfig::Postgres(database.settings())),
        ..Setup::default()
    })
    .await
}

/// A share, once Vault has answered the first logins.
async fn share(enclave: &Enclave, algorithm: Algorithm) -> Share {
    ready(enclave, true).await;
    enclave.share(algorithm).await
}

async fn sign(
    client: &mut SigningEnclaveClient<Channel>,
    share: &Share,
) -> Result<Response<proto::SignResponse>, Status> {
    let mut request = Request::new(share.sign_request(1));
    request.set_timeout(Duration::from_secs(2));
    client.sign(request).await
}

/// Waits until the health service says so.
async fn ready(enclave: &Enclave, expected: bool) {
    let channel = client::connect(&enclave.socket()).await.unwrap();
    let mut health = HealthClient::new(channel);
    let expected = if expected { ServingStatus::Serving } else { ServingStatus::NotServing };
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        let request = HealthCheckRequest { service: "readiness".to_owned() };
        let found = health.check(request).await.unwrap().into_inner().status();
        if found == expected {
            return;
        }
        assert!(Instant::now() < give_up, "readiness is {found:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Signs until it works again.
async fn recovers(client: &mut SigningEnclaveClient<Channel>, share: &Share) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while let Err(status) = sign(client, share).await {
        assert!(Instant::now() < give_up, "{status:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[track_caller]
fn assert_retry(status: &Status, retry: bool) {
    let details = status.get_error_details();
    assert_eq!(details.retry_info().is_some(), retry, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_decrypt_a_sign_and_one_a_stream() {
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let Some(postgres) = PostgresServer::shared() else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    let database = postgres.database().await;
    let enclave = enclave(&tenant, Some(&database)).await;
    ready(&enclave, true).await;
    let mut client = enclave.client().await;
    for algorithm in Algorithm::ALL {
        let encrypts = tenant.count("encrypt");
        let share = enclave.share(algorithm).await;
        assert_eq!(tenant.count("encrypt") - encrypts, 1);

        let decrypts = tenant.count("decrypt");
        for number in 0..3 {
            client.sign(share.sign_request(number)).await.unwrap();
        }
        assert_eq!(tenant.count("decrypt") - decrypts, 3, "one a Sign");

        let frames = std::iter::once(share.open()).chain((0..50).map(|id| share.frame(id)));
        let frames = tokio_stream::iter(frames.collect::<Vec<_>>());
        let answers = client.use_share(frames).await.unwrap().into_inner();
        assert_eq!(answers.collect::<Vec<_>>().await.len(), 51);
        assert_eq!(tenant.count("decrypt") - decrypts, 4, "one a stream");

        let before = tenant.count("decrypt");
        let request =
            proto::SignRequest { wallet_id: "another-wallet".to_owned(), ..share.sign_request(0) };
        client.sign(request).await.unwrap_err();
        assert_eq!(tenant.count("decrypt"), before, "none for what is refused");
    }
    assert_eq!(tenant.count("rewrap"), 0);
}

/// Policy, payload, algorithm, a failing policy, rate: whatever refuses, Vault was not
/// asked, as its own audit log says.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_does_not_reach_vault() {
    const POLICY: &str = r#"
        @id("custody") permit (principal, action == Action::"GenerateShare", resource);
        @id("sign") permit (principal, action == Action::"Sign", resource)
        when { resource.wallet == "wallet-1" };
        @id("fails") forbid (principal, action == Action::"Sign", resource)
        when { context has message && context.message.length == 7 &&
               context.message.length * 9223372036854775807 > 0 };"#;
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    let mut limits = Limits::default();
    limits.rates.share = Some(Quota::per_hour(NonZeroU32::MIN));
    let enclave = Enclave::with(Setup {
        policy: POLICY,
        limits,
        environment: tenant.environment().clone(),
        kms: Some(KmsConfig::VaultTransit(Box::new(tenant.settings()))),
        ..Setup::default()
    })
    .await;
    ready(&enclave, true).await;
    let ed25519 = enclave.share(Algorithm::Ed25519).await;
    let secp256k1 = enclave.share(Algorithm::EcdsaSecp256k1).await;
    let other = enclave.share_of("wallet-2", Algorithm::Ed25519).await;
    let mut client = enclave.client().await;
    client.sign(ed25519.sign_request(0)).await.unwrap();
    let before = [tenant.count("decrypt"), tenant.count("encrypt")];
    let of = |kind, bytes: &'static [u8]| client::payload(kind, bytes.into());
    let mut refused = vec![
        (&other, of(PayloadKind::Message, b"hello"), "POLICY_DENIED"),
        (&secp256k1, of(PayloadKind::Digest, &[1; 32]), "POLICY_DENIED"),
        (&ed25519, of(PayloadKind::Message, b"7 bytes"), "POLICY_FAILED"),
        (&secp256k1, of(PayloadKind::Message, b"hello"), "PAYLOAD_UNFIT"),
        (&ed25519, of(PayloadKind::Eip191, b"hello"), "PAYLOAD_UNFIT"),
        // One signature an hour, and it is made.
        (&ed25519, of(PayloadKind::Message, b"hello"), "SHARE_RATE"),
    ];
    for kind in [PayloadKind::EvmTransaction, PayloadKind::Eip712, PayloadKind::SolanaMessage] {
        refused.push((&secp256k1, of(kind, b"hello"), "INVALID_REQUEST"));
    }
    for (share, payload, reason) in refused {
        let request = proto::SignRequest { payload, ..share.sign_request(0) };
        let status = client.sign(request).await.unwrap_err();
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, reason, "{status:?}");
    }
    let mut unknown = ed25519.sign_request(0);
    unknown.share_id = ShareId::random().to_string();
    let status = client.sign(unknown).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    assert_eq!([tenant.count("decrypt"), tenant.count("encrypt")], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_sealed_or_gone() {
    let Some(vault) = VaultServer::dedicated().await else {
        return;
    };
    let tenant = Tenant::new(&vault).await;
    let enclave = enclave(&tenant, None).await;
    let share = share(&enclave, Algorithm::Ed25519).await;
    let mut client = enclave.client().await;

    vault.seal().await;
    let status = sign(&mut client, &share).await.unwrap_err();
    assert_refused(&status, Code::Unavailable, "KMS_SEALED");
    assert_retry(&status, true);
    ready(&enclave, false).await;
    vault.unseal().await;
    recovers(&mut client, &share).await;
    ready(&enclave, true).await;

    vault.stop();
    let status = sign(&mut client, &share).await.unwrap_err();
    assert_refused(&status, Code::Unavailable, "KMS_UNAVAILABLE");
    assert_retry(&status, true);
    vault.restart();
    vault.unseal().await;
    recovers(&mut client, &share).await;
    ready(&enclave, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_refuses() {
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    let enclave = enclave(&tenant, None).await;
    let share = share(&enclave, Algorithm::EcdsaSecp256k1).await;
    let mut client = enclave.client().await;

    tenant.delete_policy(Role::Signer).await;
    let status = sign(&mut client, &share).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "KMS_DENIED");
    assert_retry(&status, false);
    tenant.set_policy(Role::Signer).await;
    recovers(&mut client, &share).await;

    tenant.delete_policy(Role::Custodian).await;
    let request = proto::GenerateShareRequest {
        share_id: ShareId::random().to_string(),
        wallet_id: "w".to_owned(),
        algorithm: 1,
    };
    let mut custody = enclave.custody().await;
    let written = enclave.counts.uses()[3];
    let status = custody.generate_share(request.clone()).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "KMS_DENIED");
    assert_eq!(enclave.counts.uses()[3], written, "nothing was stored");
    tenant.set_policy(Role::Custodian).await;
    custody.generate_share(request).await.unwrap();

    tenant.rotate_key().await;
    tenant.configure_key(json!({"min_decryption_version": 2})).await;
    let status = sign(&mut client, &share).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "KMS_KEY_VERSION");
    tenant.configure_key(json!({"min_decryption_version": 1})).await;
    recovers(&mut client, &share).await;

    let headers = json!({"enable_rate_limit_response_headers": true});
    vault.root(Method::POST, "sys/quotas/config", headers).await;
    let quota = json!({"path": tenant.path("decrypt"), "rate": 1, "interval": "5s"});
    let path = format!("sys/quotas/rate-limit/{}", tenant.key());
    vault.root(Method::POST, &path, quota).await;
    let mut limited = None;
    for _ in 0..3 {
        limited = limited.or(sign(&mut client, &share).await.err());
    }
    let limited = limited.expect("the second is beyond the quota");
    assert_refused(&limited, Code::ResourceExhausted, "KMS_RATE_LIMITED");
    let details = limited.get_error_details();
    let hint = details.retry_info().unwrap().retry_delay.unwrap();
    assert!((1..=5).contains(&hint.as_secs()), "Vault's own Retry-After: {hint:?}");
    vault.root(Method::DELETE, &path, Value::Null).await;
    recovers(&mut client, &share).await;

    tenant.delete_key().await;
    let status = sign(&mut client, &share).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "KMS_KEY_MISSING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_is_replaced_unseen() {
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    let enclave = enclave(&tenant, None).await;
    let share = share(&enclave, Algorithm::Ed25519).await;
    let mut client = enclave.client().await;
    sign(&mut client, &share).await.unwrap();
    let path = format!("sys/leases/revoke-prefix/auth/{}", tenant.mount());
    vault.root(Method::PUT, &path, Value::Null).await;
    sign(&mut client, &share).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_custodian_nothing_is_made() {
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    let mut settings = tenant.settings();
    settings.custodian = None;
    let enclave = Enclave::with(Setup {
        environment: tenant.environment().clone(),
        kms: Some(KmsConfig::VaultTransit(Box::new(settings))),
        ..Setup::default()
    })
    .await;
    let mut custody: ShareCustodyClient<Channel> = enclave.custody().await;
    let request = proto::GenerateShareRequest {
        share_id: ShareId::random().to_string(),
        wallet_id: "w".to_owned(),
        algorithm: 1,
    };
    let status = custody.generate_share(request).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "KMS_NO_LOGIN");
    assert_eq!(enclave.counts.uses()[3], 0, "nothing was stored");
    assert_eq!(tenant.count("encrypt"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_gone() {
    let Some(postgres) = PostgresServer::dedicated() else {
        return;
    };
    let database = postgres.database().await;
    let enclave = Enclave::with(Setup {
        store: Some(StoreConfig::Postgres(database.settings())),
        ..Setup::default()
    })
    .await;
    let share = share(&enclave, Algorithm::SchnorrSecp256k1).await;
    let mut client = enclave.client().await;
    sign(&mut client, &share).await.unwrap();
    let before = enclave.counts.uses()[1];
    postgres.stop();
    let status = sign(&mut client, &share).await.unwrap_err();
    assert_refused(&status, Code::Unavailable, "STORE_UNAVAILABLE");
    assert_retry(&status, true);
    assert_eq!(enclave.counts.uses()[1], before, "nothing was unwrapped");
    ready(&enclave, false).await;
    postgres.restart();
    recovers(&mut client, &share).await;
    ready(&enclave, true).await;
}
