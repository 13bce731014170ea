//! What the demo does, as a client over the sockets.

use std::{path::Path, time::Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tonic::{Status, transport::Channel};

use super::{
    report::{AuditReport, KeyReport, RefusalReport, Report},
    tamper,
};
use crate::{
    audit,
    cli::failure::{self, Failure},
    client,
    enclave::level,
    grpc::status::code_name,
    key::{Algorithm, PublicKey, ShareId},
    payload::{Payload, PayloadKind},
    proto::{self, signing_enclave_client::SigningEnclaveClient},
    signature,
};

/// How many frames the demo's streams send.
const FRAMES: u64 = 16;

type Enclave = SigningEnclaveClient<Channel>;

/// A key that the demo made.
struct Key {
    algorithm: Algorithm,
    share_id: String,
    wallet_id: String,
}

pub(super) async fn run(dir: &Path, audit: &Path, key: Option<String>) -> Result<Report, Failure> {
    let started = Instant::now();
    let mut enclave = client::enclave(&dir.join("enclave.sock")).await?;
    let mut custody = client::custody(&dir.join("custody.sock")).await?;
    let mut keys = Vec::new();
    let mut reports = Vec::new();
    for algorithm in Algorithm::ALL {
        let generating = Instant::now();
        let key = Key {
            algorithm,
            share_id: ShareId::random().to_string(),
            wallet_id: format!("demo-{algorithm}"),
        };
        custody
            .generate_share(proto::GenerateShareRequest {
                share_id: key.share_id.clone(),
                wallet_id: key.wallet_id.clone(),
                algorithm: algorithm.number().into(),
            })
            .await?;
        let generate_ms = millis(generating);
        reports.push(exercise(&mut enclave, &key, generate_ms).await?);
        keys.push(key);
    }
    Ok(Report {
        protection: level().0.as_str(),
        refusals: refusals(dir, &mut enclave, &keys).await?,
        audit: verified(audit, key)?,
        keys: reports,
        total_ms: millis(started),
    })
}

/// The log as it is now: while it is written, its end may be half a record.
fn verified(directory: &Path, key: Option<String>) -> Result<AuditReport, Failure> {
    let report = audit::verify::verify(directory, &[], |_| ())?;
    Ok(AuditReport {
        directory: directory.to_owned(),
        records: report.size,
        root: report.root.map(hex::encode),
        key,
        intact: report.is_intact(),
    })
}

/// Signs with `Sign` and with `UseShare`, and verifies every signature against
/// the key from `GetPublicKey`.
async fn exercise(
    enclave: &mut Enclave,
    key: &Key,
    generate_ms: f64,
) -> Result<KeyReport, Failure> {
    let request = proto::GetPublicKeyRequest {
        share_id: key.share_id.clone(),
        wallet_id: key.wallet_id.clone(),
    };
    let public = enclave.get_public_key(request).await?.into_inner();
    let public = public.public_key.unwrap_or_default();
    let parsed = PublicKey::parse(key.algorithm, &public.key)
        .map_err(|error| Failure::new(error.to_string()))?;

    let payload = payload(key.algorithm, 0);
    let signing = Instant::now();
    let answer = enclave.sign(sign_request(key, &payload)).await?.into_inner();
    let sign_ms = millis(signing);
    let signature = answer.signature.unwrap_or_default();
    let mut verified = verify(&parsed, &payload, &signature);

    let streaming = Instant::now();
    let open = proto::use_share_request::Frame::Open(proto::OpenFrame {
        share_id: key.share_id.clone(),
        wallet_id: key.wallet_id.clone(),
        ..Default::default()
    });
    let sign = (1..=FRAMES).map(|id| {
        proto::use_share_request::Frame::Sign(proto::SignFrame {
            id,
            payload: message(&self::payload(key.algorithm, id)),
            ..Default::default()
        })
    });
    let frames: Vec<_> = std::iter::once(open)
        .chain(sign)
        .map(|frame| proto::UseShareRequest { frame: Some(frame) })
        .collect();
    let answers = enclave.use_share(tokio_stream::iter(frames)).await?;
    let mut answers = answers.into_inner();
    let mut signed = 0;
    while let Some(answer) = answers.message().await? {
        if let Some(proto::use_share_response::Frame::Signed(frame)) = answer.frame {
            signed += 1;
            let payload = self::payload(key.algorithm, frame.id);
            let signature = frame.signature.unwrap_or_default();
            verified &= frame.id == signed && verify(&parsed, &payload, &signature);
        }
    }
    Ok(KeyReport {
        algorithm: key.algorithm.as_str(),
        share_id: key.share_id.clone(),
        wallet_id: key.wallet_id.clone(),
        public_key: hex::encode(&public.key),
        account_address: public.account_address,
        payload_kind: payload.0.as_str(),
        payload: hex::encode(&payload.1),
        signature: hex::encode(&signature.value),
        recovery_id: signature.recovery_id,
        generate_ms,
        sign_ms,
        use_share_signatures: signed,
        use_share_ms: millis(streaming),
        verified: verified && signed == FRAMES,
    })
}

/// The three things that must be refused, tried in earnest.
async fn refusals(
    dir: &Path,
    enclave: &mut Enclave,
    keys: &[Key],
) -> Result<Vec<RefusalReport>, Failure> {
    let [one, other, ..] = keys else {
        return Err(Failure::new("the demo makes more keys than that"));
    };
    let database = dir.join("shares.db");
    let request = sign_request(one, &payload(one.algorithm, 0));

    let mut stranger = client::enclave(&dir.join("stranger.sock")).await?;
    let unknown = stranger.sign(request.clone()).await;
    let unknown = report("a caller that nobody knows", "CALLER_UNKNOWN", unknown);

    tamper::copy_envelope(&database, &other.share_id, &one.share_id).await?;
    let copied = enclave.sign(request.clone()).await;
    let copied = report("a share copied into another wallet's row", "ENVELOPE_MISMATCH", copied);

    tamper::restore(&database, &one.share_id).await?;
    tamper::flip_last_bit(&database, &one.share_id).await?;
    let flipped = enclave.sign(request.clone()).await;
    let flipped = report("a ciphertext with one bit changed", "ENVELOPE_UNOPENED", flipped);

    tamper::restore(&database, &one.share_id).await?;
    tamper::forget(&database).await?;
    enclave.sign(request).await?;
    Ok(vec![unknown, copied, flipped])
}

fn report<T>(
    attempt: &'static str,
    expected: &'static str,
    answer: Result<T, Status>,
) -> RefusalReport {
    match answer {
        Ok(_) => RefusalReport {
            attempt,
            refused: false,
            code: "OK",
            reason: String::new(),
            message: "answered, and must not have been".to_owned(),
        },
        Err(status) => {
            let reason = failure::reason(&status);
            RefusalReport {
                attempt,
                refused: reason == expected,
                code: code_name(status.code()),
                reason,
                message: status.message().to_owned(),
            }
        }
    }
}

fn sign_request(key: &Key, payload: &(PayloadKind, Bytes)) -> proto::SignRequest {
    proto::SignRequest {
        share_id: key.share_id.clone(),
        wallet_id: key.wallet_id.clone(),
        payload: message(payload),
        ..Default::default()
    }
}

/// A message for a person for ECDSA secp256k1, 32 bytes for BIP-340, text for the
/// others.
fn payload(algorithm: Algorithm, id: u64) -> (PayloadKind, Bytes) {
    let text = format!("countersign demo, payload {id}");
    match algorithm {
        Algorithm::Ed25519 | Algorithm::EcdsaP256 => (PayloadKind::Message, text.into()),
        Algorithm::EcdsaSecp256k1 => (PayloadKind::Eip191, text.into()),
        Algorithm::SchnorrSecp256k1 => {
            (PayloadKind::Message, Sha256::digest(&text).to_vec().into())
        }
    }
}

fn message((kind, bytes): &(PayloadKind, Bytes)) -> Option<proto::Payload> {
    client::payload(*kind, bytes.clone())
}

fn verify(
    key: &PublicKey,
    (kind, bytes): &(PayloadKind, Bytes),
    signature: &proto::Signature,
) -> bool {
    let Ok(payload) = Payload::decode(*kind, bytes.clone()) else { return false };
    let signature = signature.value.as_ref().try_into();
    signature.is_ok_and(|signature| signature::verify(key, &payload, signature).is_ok())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
