//! Requests that are slow, cancelled, too late, in flight at shutdown, or struck
//! by a fault: nothing leaks, and others are not harmed.

use std::{sync::atomic::Ordering, time::Duration};

use countersign::{
    envelope::{Envelope, Identity, KekContext},
    key::{AccountAddress, Algorithm, Binding},
    policy::{GenerateShare, NewShare},
    proto,
    record::ShareRecord,
};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    accepted::accepted,
    enclave::{Enclave, Share, app_caller, bare_client},
    refused::assert_refused,
};

fn slow(enclave: &Enclave, millis: u64) {
    enclave.counts.slow_unwrap_ms.store(millis, Ordering::SeqCst);
}

/// Every slot but the KEK's is free.
async fn all_slots_free(enclave: &Enclave) {
    let pool = enclave.signing.enclave.pool();
    for _ in 0..500 {
        if pool.free() == enclave.slots {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of {} slots are free", pool.free(), enclave.slots);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_slow_request() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    slow(&enclave, 60_000);
    let mut client = bare_client(enclave.socket()).await;
    let mut request = Request::new(share.sign_request(0));
    request.set_timeout(Duration::from_millis(200));
    let begun = Instant::now();
    let status = client.sign(request).await.unwrap_err();
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert!(begun.elapsed() < Duration::from_secs(5));
    all_slots_free(&enclave).await;
}

/// Requests cancelled at every stage leave no slot behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancelled_requests_leave_nothing_behind() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let client = enclave.client().await;
    slow(&enclave, 2);
    for round in 0..200u64 {
        let (mut client, request) = (client.clone(), share.sign_request(round));
        let signing = tokio::spawn(async move { client.sign(request).await });
        sleep(Duration::from_micros(round * 37 % 5000)).await;
        signing.abort();
    }
    all_slots_free(&enclave).await;
    let mut client = client;
    client.sign(share.sign_request(0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_one_request_harms_no_other() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let mut client = enclave.client().await;
    slow(&enclave, 100);
    let (mut other, request) = (client.clone(), share.sign_request(1));
    let other = tokio::spawn(async move { other.sign(request).await });
    sleep(Duration::from_millis(30)).await;
    // On the same connection as the other request.
    enclave.counts.panic_in_unwrap.store(true, Ordering::SeqCst);
    let answers = [client.sign(share.sign_request(2)).await, other.await.unwrap()];
    let (signed, failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((signed.len(), failed.len()), (1, 1));
    let status = failed.into_iter().next().unwrap().unwrap_err();
    assert_refused(&status, Code::Internal, "INTERNAL");
    assert!(!status.message().contains("a fault\""), "the panic's text stays inside");
    all_slots_free(&enclave).await;

    // The same in a stream: it ends, its room and its share are free again.
    enclave.counts.panic_in_unwrap.store(true, Ordering::SeqCst);
    let frames = tokio_stream::iter([share.open()]);
    let mut answers = client.use_share(frames).await.unwrap().into_inner();
    let end = timeout(Duration::from_secs(5), answers.message()).await.expect("it ends");
    assert_refused(&end.unwrap_err(), Code::Internal, "INTERNAL");
    all_slots_free(&enclave).await;
    slow(&enclave, 0);
    client.sign(share.sign_request(3)).await.unwrap();
}

/// At shutdown readiness goes off first, what is in flight is answered, and the
/// socket is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_at_shutdown_is_answered() {
    let mut enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let mut client = enclave.client().await;
    let mut health =
        HealthClient::new(countersign::client::connect(&enclave.socket()).await.unwrap());
    let readiness = || HealthCheckRequest { service: "readiness".to_owned() };
    let mut watch = health.watch(readiness()).await.unwrap().into_inner();
    loop {
        let seen = watch.message().await.unwrap().unwrap().status();
        if seen == ServingStatus::Serving {
            break;
        }
    }
    slow(&enclave, 700);
    let request = share.sign_request(1);
    let signing = tokio::spawn(async move { client.sign(request).await });
    sleep(Duration::from_millis(200)).await;
    let socket = enclave.socket();
    enclave.drain();
    let off = timeout(Duration::from_secs(2), watch.message()).await.unwrap();
    assert_eq!(off.unwrap().unwrap().status(), ServingStatus::NotServing);
    // Whoever watches is told, and does not hold the shutdown up.
    assert!(watch.message().await.unwrap().is_none());
    drop(health);
    signing.await.unwrap().expect("it was in flight");
    timeout(Duration::from_secs(5), enclave.stop()).await.expect("it ends by itself");
    assert!(!socket.exists());
}

/// An old complete row that is put back opens; only the caller's minimum
/// version, which it keeps elsewhere, catches it.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_row_put_back_is_caught_by_the_minimum_version_alone() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let signing = &enclave.signing;
    let id = share.id.parse().unwrap();
    let old = row(&enclave, &share.id);

    let record = bare(&enclave, &share, 2).await;
    let revision = signing.store.describe(id).await.unwrap().unwrap().revision;
    enclave
        .database()
        .execute(
            "UPDATE server_wallet_key_shares SET account_address = NULL WHERE wallet_id = ?1",
            [&share.wallet],
        )
        .unwrap();
    signing.store.put(&record, Some(revision)).await.unwrap();

    let mut client = enclave.client().await;
    let wanting =
        |version| proto::SignRequest { min_record_version: version, ..share.sign_request(0) };
    let answer = client.sign(wanting(2)).await.unwrap().into_inner();
    assert_eq!(answer.record_version, 2);

    put_back(&enclave, &old);
    let answer = client.sign(wanting(0)).await.unwrap().into_inner();
    assert_eq!(answer.record_version, 1, "the documented limit");
    let before = enclave.counts.uses();
    let status = client.sign(wanting(2)).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "RECORD_VERSION_TOO_OLD");
    assert_eq!(enclave.counts.uses(), before);
}

/// A record as custody makes one, but bound to no address.
async fn bare(enclave: &Enclave, share: &Share, version: u32) -> ShareRecord {
    let signing = &enclave.signing;
    let new = NewShare {
        environment: signing.environment.clone(),
        wallet: share.wallet.parse().unwrap(),
        share: share.id.parse().unwrap(),
        algorithm: share.algorithm,
        binding: Binding::Derived,
    };
    let caller = std::sync::Arc::new(app_caller());
    let action = GenerateShare { algorithm: share.algorithm };
    let permit = signing.policy.current().authorize(&caller, new.clone(), action).unwrap();
    let generated = signing.enclave.generate(&permit, signing.kms.kek().clone(), |_| Identity {
        environment: new.environment.clone(),
        wallet: new.wallet.clone(),
        share: new.share,
        version: version.try_into().unwrap(),
        address: None,
        algorithm: new.algorithm,
        binding: Binding::Derived,
    });
    let generated = generated.unwrap();
    let context = KekContext::of(&generated.header.identity);
    let deadline = Instant::now() + Duration::from_secs(5);
    let wrapped = signing.kms.wrap(&context, generated.dek, deadline).await.unwrap();
    let envelope = Envelope::new(generated.header, wrapped, generated.sealed);
    ShareRecord::new(&envelope, generated.public_key, std::time::SystemTime::now())
}

/// Schnorr shares had no address at first. What a record is bound to stays: it signs, is
/// shown, and is sealed anew without one, and nobody is told that it has another.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_from_before_its_algorithm_had_addresses_is_as_good() {
    let enclave = Enclave::start().await;
    let like = enclave.share(Algorithm::SchnorrSecp256k1).await;
    assert!(like.address.starts_with("bc1p"), "{}", like.address);
    let id = uuid::Uuid::new_v4().to_string();
    let mut share = Share { id, address: String::new(), ..like };
    let record = bare(&enclave, &share, 1).await;
    share.public_key = record.description.public_key;
    enclave.signing.store.put(&record, None).await.unwrap();
    let (mut client, mut custody) = (enclave.client().await, enclave.custody().await);
    for version in [1, 2] {
        let answer = client.sign(share.sign_request(1)).await.unwrap().into_inner();
        assert_eq!((answer.record_version, &*answer.account_address), (version, ""));
        assert!(accepted(&share, &share.payload(1), &answer.signature.unwrap()));
        let expecting = proto::SignRequest {
            expected_address: AccountAddress::of(&share.public_key).unwrap().to_string(),
            ..share.sign_request(1)
        };
        let status = client.sign(expecting).await.unwrap_err();
        assert_refused(&status, Code::FailedPrecondition, "ADDRESS_MISMATCH");
        let shown = proto::GetShareRequest { share_id: share.id.clone() };
        let shown = custody.get_share(shown).await.unwrap().into_inner().share.unwrap();
        assert_eq!(shown.public_key.unwrap().account_address, "");
        let anew =
            proto::ReencryptShareRequest { share_id: share.id.clone(), ..Default::default() };
        custody.reencrypt_share(anew).await.unwrap();
    }
}

type Row = Vec<(String, rusqlite::types::Value)>;

fn row(enclave: &Enclave, share: &str) -> Row {
    let id: uuid::Uuid = share.parse().unwrap();
    let database = enclave.database();
    let mut query =
        database.prepare("SELECT * FROM server_wallet_key_shares WHERE id = ?1").unwrap();
    let names: Vec<String> = query.column_names().iter().map(ToString::to_string).collect();
    query
        .query_row([id.as_bytes()], |row| {
            (0..).zip(&names).map(|(index, name)| Ok((name.clone(), row.get(index)?))).collect()
        })
        .unwrap()
}

fn put_back(enclave: &Enclave, row: &Row) {
    let names: Vec<_> = row.iter().map(|(name, _)| name.as_str()).collect();
    let places: Vec<_> = (1..=row.len()).map(|n| format!("?{n}")).collect();
    let sql = format!(
        "INSERT OR REPLACE INTO server_wallet_key_shares ({}) VALUES ({})",
        names.join(", "),
        places.join(", ")
    );
    let values = row.iter().map(|(_, value)| value);
    enclave.database().execute(&sql, rusqlite::params_from_iter(values)).unwrap();
}
