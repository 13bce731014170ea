//! Every algorithm end to end over gRPC, checked with libraries that the signer
//! does not use: ring for Ed25519 and P-256, libsecp256k1 for secp256k1.

use countersign::{
    key::Algorithm,
    proto::{self, use_share_response::Frame},
};
use ring::signature as ring_signature;
use secp256k1::ecdsa::Signature;

use crate::support::{
    accepted::accepted,
    enclave::{Enclave, message},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_signs_and_other_libraries_agree() {
    let enclave = Enclave::start().await;
    let mut client = enclave.client().await;
    for algorithm in Algorithm::ALL {
        let share = enclave.share(algorithm).await;
        let request = proto::GetPublicKeyRequest {
            share_id: share.id.clone(),
            wallet_id: share.wallet.clone(),
        };
        let public = client.get_public_key(request).await.unwrap().into_inner();
        let public = public.public_key.unwrap();
        assert_eq!(public.key, share.public_key.as_bytes());
        assert_eq!(public.state(), proto::ShareState::Enabled);
        assert_eq!(public.record_version, 1);

        let request = share.sign_request(1);
        let payload = request.payload.clone().unwrap();
        let answer = client.sign(request).await.unwrap().into_inner();
        let signature = answer.signature.clone().unwrap();
        assert!(accepted(&share, &payload, &signature), "{algorithm}");
        assert!(!accepted(&share, &share.payload(2), &signature), "{algorithm}");
        assert_eq!(signature.value.len(), 64);
        assert_eq!(signature.encoding(), proto::SignatureEncoding::Raw);
        assert_eq!(signature.recovery_id.is_some(), algorithm == Algorithm::EcdsaSecp256k1);
        assert_eq!(answer.record_version, 1);
        assert_eq!(answer.algorithm, i32::from(algorithm.number()));

        let again = client.sign(share.sign_request(1)).await.unwrap().into_inner();
        let deterministic = algorithm != Algorithm::SchnorrSecp256k1;
        assert_eq!(again.signature == answer.signature, deterministic, "{algorithm}");
        assert_ne!(again.receipt.unwrap().sequence, answer.receipt.unwrap().sequence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_pipelined_frames_in_order() {
    const FRAMES: u64 = 1000;
    let enclave = Enclave::start().await;
    let mut client = enclave.client().await;
    for algorithm in Algorithm::ALL {
        let share = enclave.share(algorithm).await;
        let unwrapped = enclave.counts.uses()[1];
        // Ids need not be ordered or unique; answers keep the order of frames.
        let ids: Vec<u64> = (0..FRAMES).map(|n| n.wrapping_mul(7919) % 500).collect();
        let mut frames = vec![share.open()];
        frames.extend(ids.iter().map(|id| share.frame(*id)));
        let answers = client.use_share(tokio_stream::iter(frames)).await.unwrap();
        let mut answers = answers.into_inner();
        let opened = answers.message().await.unwrap().unwrap().frame.unwrap();
        let Frame::Opened(opened) = opened else { panic!("opened comes first") };
        let public = opened.public_key.unwrap();
        assert_eq!(public.key, share.public_key.as_bytes());
        assert_eq!(opened.idle_timeout_ms, 10_000);
        assert_eq!(opened.lifetime_ms, 300_000);
        assert_eq!(opened.max_operations, 100_000);
        for id in ids {
            let answer = answers.message().await.unwrap().unwrap();
            let Some(Frame::Signed(signed)) = answer.frame else {
                panic!("only signatures follow")
            };
            assert_eq!(signed.id, id);
            assert!(accepted(&share, &share.payload(id), &signed.signature.unwrap()));
        }
        assert!(answers.message().await.unwrap().is_none(), "OK at half-close");
        assert_eq!(enclave.counts.uses()[1] - unwrapped, 1, "one unwrap a stream");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn der_is_the_same_pair_in_asn1() {
    let enclave = Enclave::start().await;
    let mut client = enclave.client().await;
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256] {
        let share = enclave.share(algorithm).await;
        let raw = client.sign(share.sign_request(3)).await.unwrap().into_inner();
        let mut request = share.sign_request(3);
        request.set_encoding(proto::SignatureEncoding::Der);
        let der = client.sign(request).await.unwrap().into_inner();
        let (raw, der) = (raw.signature.unwrap(), der.signature.unwrap());
        assert_eq!(der.encoding(), proto::SignatureEncoding::Der);
        assert_eq!(der.recovery_id, raw.recovery_id);
        let parsed = Signature::from_der(&der.value);
        match algorithm {
            Algorithm::EcdsaSecp256k1 => {
                assert_eq!(parsed.unwrap().serialize_compact()[..], raw.value[..]);
            }
            _ => {
                let uncompressed = p256::PublicKey::from_sec1_bytes(share.public_key.as_bytes());
                let uncompressed = p256::elliptic_curve::sec1::ToSec1Point::to_sec1_point(
                    &uncompressed.unwrap(),
                    false,
                );
                let Some(proto::payload::Kind::Message(message)) = share.payload(3).kind else {
                    panic!("P-256 signs messages here")
                };
                ring_signature::UnparsedPublicKey::new(
                    &ring_signature::ECDSA_P256_SHA256_ASN1,
                    uncompressed.as_bytes(),
                )
                .verify(&message, &der.value)
                .unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_and_the_shortest_message_are_signed() {
    let enclave = Enclave::start().await;
    let mut client = enclave.client().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    for length in [1, 65_536] {
        let mut request = share.sign_request(0);
        request.payload = message(&vec![0x5a; length]);
        let payload = request.payload.clone().unwrap();
        let answer = client.sign(request).await.unwrap().into_inner();
        assert!(accepted(&share, &payload, &answer.signature.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_versions_that_match_are_accepted() {
    let enclave = Enclave::start().await;
    let mut client = enclave.client().await;
    let share = enclave.share(Algorithm::EcdsaSecp256k1).await;
    assert!(share.address.starts_with("0x") && share.address.len() == 42);
    let mut request = share.sign_request(0);
    request.expected_address = share.address.clone();
    request.min_record_version = 1;
    client.sign(request).await.unwrap();
}

/// 64 clients at once: every answer belongs to its question, and afterwards
/// every slot is free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_do_not_mix() {
    let enclave = Enclave::start().await;
    let free = enclave.signing.enclave.pool().free();
    let shares =
        [enclave.share(Algorithm::Ed25519).await, enclave.share(Algorithm::SchnorrSecp256k1).await];
    let client = enclave.client().await;
    let tasks = (0..64).map(|n| {
        let (mut client, share) = (client.clone(), shares[n as usize % 2].clone());
        tokio::spawn(async move {
            for round in 0..10 {
                let request = share.sign_request(n * 100 + round);
                let payload = request.payload.clone().unwrap();
                let answer = client.sign(request).await.unwrap().into_inner();
                assert!(accepted(&share, &payload, &answer.signature.unwrap()));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(enclave.signing.enclave.pool().free(), free);
}
