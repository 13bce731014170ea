//! Custody: bad input is refused at no cost, shares are made once and listed whole.

pub mod refused;

use std::collections::BTreeSet;

use countersign::{
    envelope::Envelope,
    key::{Algorithm, ShareId},
    proto,
};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    refusals::refused,
    support::{
        enclave::Enclave,
        refused::{assert_invalid, assert_refused},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn custody_refuses_bad_input() {
    let enclave = Enclave::start().await;
    let mut custody = enclave.custody().await;
    let good = proto::GenerateShareRequest {
        share_id: ShareId::random().to_string(),
        wallet_id: "wallet".to_owned(),
        algorithm: 1,
    };
    for algorithm in [0, -1, 5, 255, 257] {
        let request = proto::GenerateShareRequest { algorithm, ..good.clone() };
        let status = refused(&enclave, custody.generate_share(request)).await;
        assert_invalid(&status, "algorithm");
    }
    let request = proto::GenerateShareRequest { share_id: "x".to_owned(), ..good.clone() };
    let status = refused(&enclave, custody.generate_share(request)).await;
    assert_invalid(&status, "share_id");
    let request = proto::GenerateShareRequest { wallet_id: "a b".to_owned(), ..good };
    let status = refused(&enclave, custody.generate_share(request)).await;
    assert_invalid(&status, "wallet_id");

    let page = |page_size, page_token: &str, wallet_id: &str| proto::ListSharesRequest {
        page_size,
        page_token: page_token.to_owned(),
        wallet_id: wallet_id.to_owned(),
    };
    let status = refused(&enclave, custody.list_shares(page(1001, "", ""))).await;
    assert_invalid(&status, "page_size");
    let status = refused(&enclave, custody.list_shares(page(1, "next", ""))).await;
    assert_invalid(&status, "page_token");
    let status = refused(&enclave, custody.list_shares(page(1, "", "a b"))).await;
    assert_invalid(&status, "wallet_id");

    let request = proto::GetShareRequest { share_id: ShareId::random().to_string() };
    let status = refused(&enclave, custody.get_share(request)).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn generating_twice_makes_one_share() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let mut custody = enclave.custody().await;
    let again = proto::GenerateShareRequest {
        share_id: share.id.clone(),
        wallet_id: share.wallet.clone(),
        algorithm: 1,
    };
    let status = refused(&enclave, custody.generate_share(again.clone())).await;
    assert_refused(&status, Code::AlreadyExists, "SHARE_EXISTS");
    let details = status.get_error_details();
    let metadata = &details.error_info().unwrap().metadata;
    assert_eq!(metadata["public_key"], hex::encode(share.public_key.as_bytes()));

    for other in [
        proto::GenerateShareRequest { algorithm: 2, ..again.clone() },
        proto::GenerateShareRequest { wallet_id: "wallet-2".to_owned(), ..again },
    ] {
        let status = refused(&enclave, custody.generate_share(other)).await;
        assert_refused(&status, Code::AlreadyExists, "SHARE_ID_TAKEN");
        let details = status.get_error_details();
        assert!(details.error_info().unwrap().metadata.is_empty());
    }
}

/// Twenty clients generate one id at once: one share, and nineteen times its
/// public key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn generating_at_once_makes_one_share() {
    let enclave = Enclave::start().await;
    let custody = enclave.custody().await;
    let request = proto::GenerateShareRequest {
        share_id: ShareId::random().to_string(),
        wallet_id: "wallet".to_owned(),
        algorithm: 3,
    };
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (mut custody, request) = (custody.clone(), request.clone());
            tokio::spawn(async move { custody.generate_share(request).await })
        })
        .collect();
    let (mut made, mut told) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            Ok(answer) => {
                let share = answer.into_inner().share.unwrap();
                made.push(hex::encode(&share.public_key.unwrap().key));
            }
            Err(status) => {
                assert_refused(&status, Code::AlreadyExists, "SHARE_EXISTS");
                let details = status.get_error_details();
                told.push(details.error_info().unwrap().metadata["public_key"].clone());
            }
        }
    }
    assert_eq!((made.len(), told.len()), (1, 19));
    assert!(told.iter().all(|key| *key == made[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_listed_in_pages() {
    let enclave = Enclave::start().await;
    let mut made = Vec::new();
    for wallet in ["wallet-1", "wallet-2"] {
        for _ in 0..5 {
            made.push(enclave.share_of(wallet, Algorithm::Ed25519).await.id);
        }
    }
    made.sort();
    let mut custody = enclave.custody().await;
    let (mut listed, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request =
            proto::ListSharesRequest { page_size: 3, page_token: token, wallet_id: String::new() };
        let page = custody.list_shares(request).await.unwrap().into_inner();
        let keys = page.shares.into_iter().map(|share| share.public_key.unwrap().share_id);
        listed.extend(keys);
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((listed, pages), (made, 4));
    let request =
        proto::ListSharesRequest { wallet_id: "wallet-2".to_owned(), ..Default::default() };
    let page = custody.list_shares(request).await.unwrap().into_inner();
    assert_eq!((page.shares.len(), &*page.next_page_token), (5, ""));
    assert!(page.shares.iter().all(|share| share.environment == "test"));
}

/// The longest page has 1,000 shares, and more may follow.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_page_is_not_the_last() {
    let enclave = Enclave::start().await;
    enclave.share(Algorithm::Ed25519).await;
    let copy = "CREATE TEMP TABLE copy AS SELECT * FROM server_wallet_key_shares LIMIT 1;";
    let another = "UPDATE copy SET id = randomblob(16);
        INSERT INTO server_wallet_key_shares SELECT * FROM copy;";
    let all = format!("{copy} BEGIN; {} COMMIT;", another.repeat(1000));
    enclave.database().execute_batch(&all).unwrap();
    let mut custody = enclave.custody().await;
    let mut list = async |page_token| {
        let request =
            proto::ListSharesRequest { page_size: 1000, page_token, ..Default::default() };
        custody.list_shares(request).await.unwrap().into_inner()
    };
    let first = list(String::new()).await;
    assert_eq!(first.shares.len(), 1000);
    let second = list(first.next_page_token).await;
    assert_eq!((second.shares.len(), &*second.next_page_token), (1, ""));
}

/// Each was sealed under a DEK and a nonce that no other has, also of one wallet, and in
/// another process's place.
#[tokio::test(flavor = "multi_thread")]
async fn every_record_has_a_key_and_a_nonce_of_its_own() {
    let (mut keys, mut nonces, mut wrapped) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut records = 0;
    for _ in 0..2 {
        let enclave = Enclave::start().await;
        for algorithm in Algorithm::ALL {
            for wallet in ["wallet-1", "wallet-1", "wallet-2"] {
                enclave.share_of(wallet, algorithm).await;
            }
        }
        let database = enclave.database();
        let query = "SELECT encrypted_key_shares FROM server_wallet_key_shares";
        let mut select = database.prepare(query).unwrap();
        for row in select.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap() {
            let envelope = Envelope::decode(&row.unwrap()).unwrap();
            // Only one DEK gives a commitment, and it gives no other.
            keys.insert(envelope.header().commitment.0);
            nonces.insert(envelope.header().nonce.0);
            wrapped.insert(envelope.wrapped_dek().as_bytes().to_vec());
            records += 1;
        }
    }
    assert_eq!(records, 24);
    assert_eq!(keys.len(), records, "DEKs");
    assert_eq!(nonces.len(), records, "nonces");
    assert_eq!(wrapped.len(), records, "wrapped DEKs");
}
