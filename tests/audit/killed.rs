//! SIGKILL at any moment, under load: whatever signature a client holds is recorded.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign::{audit::record::Outcome, client, proto};
use sha2::{Digest, Sha256};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Log, counted};
use crate::support::served::{Home, Share};

/// How often the server is killed; `KILLS` is another number.
const KILLS: u64 = 100;
const CLIENTS: u64 = 4;

/// A signature that left the process.
struct Held {
    request_id: String,
    message: Vec<u8>,
    signature: Vec<u8>,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_holds_is_recorded() {
    let kills = env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut home = Home::embedded();
    let (mut share, mut held) = (None, Vec::new());
    for round in 0..kills {
        let command = home.serve();
        let served = home.start(command).await;
        let share = match &share {
            Some(share) => Arc::clone(share),
            None => {
                let made = Arc::new(served.generate().await);
                share = Some(Arc::clone(&made));
                made
            }
        };
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (socket, share) = (served.socket(), Arc::clone(&share));
            let name = format!("{round}-{client}");
            clients.spawn(async move {
                let channel = client::enclave(&socket).await.unwrap();
                if client == 0 {
                    stream(channel, &share, &name).await
                } else {
                    calls(channel, &share, &name).await
                }
            });
        }
        // Anywhere between the first request and well into the load.
        sleep(Duration::from_micros(5_000 + round * 7_919 % 120_000)).await;
        home = served.kill();
        // One that is not told of the end would wait for ever.
        let ended = timeout(Duration::from_secs(20), clients.join_all()).await.unwrap();
        held.extend(ended.into_iter().flatten());
    }
    let command = home.serve();
    let served = home.start(command).await;
    let log = served.home.path("audit");
    let database = served.home.path("db/shares.db");
    // Everything that was open is closed by the start, and nothing is added.
    let uses = Log::uses(&log);
    served.until("every use is counted", |_| counted(&database) >= uses).await;
    let home = served.stop_keeping();
    assert_eq!(counted(&database), uses);
    assert!(held.len() as u64 > kills, "{} signatures", held.len());

    let log = Log::read(&log);
    let mut by_signature = std::collections::HashMap::new();
    for (request, ended) in log.requests.values() {
        by_signature
            .entry((&*request.request_id, request.payload_digest.clone()))
            .or_insert_with(Vec::new)
            .push(ended);
    }
    let hex = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes)).into();
    for Held { request_id, message, signature } in &held {
        let digest = Some(hex(message));
        let records = by_signature.get(&(&**request_id, digest));
        let [ended] = &**records.unwrap_or_else(|| panic!("{request_id} is not recorded")) else {
            panic!("{request_id} is recorded twice");
        };
        match ended.outcome {
            Outcome::Signed => assert_eq!(ended.signature, Some(hex(signature)), "{request_id}"),
            // Killed between the signature and the word that it was made.
            Outcome::Indeterminate => {}
            outcome => panic!("{request_id}: {outcome:?}"),
        }
    }
    drop(home);
}

/// Signs until the server is gone.
async fn calls(
    mut channel: proto::signing_enclave_client::SigningEnclaveClient<tonic::transport::Channel>,
    share: &Share,
    name: &str,
) -> Vec<Held> {
    let mut held = Vec::new();
    for number in 0_u64.. {
        let request_id = format!("{name}-{number}");
        let message = request_id.clone().into_bytes();
        let mut request = tonic::Request::new(share.sign_request(&message));
        request.metadata_mut().insert("x-request-id", request_id.parse().unwrap());
        let Ok(answer) = channel.sign(request).await else { break };
        let answer = answer.into_inner();
        share.verify(&message, &answer);
        let signature = answer.signature.unwrap().value.to_vec();
        held.push(Held { request_id, message, signature });
    }
    held
}

/// Signs in one stream, many frames at once, until the server is gone.
async fn stream(
    mut channel: proto::signing_enclave_client::SigningEnclaveClient<tonic::transport::Channel>,
    share: &Share,
    name: &str,
) -> Vec<Held> {
    let message = |id: u64| format!("{name} frame {id}").into_bytes();
    let next = Arc::new(AtomicU64::new(0));
    let (sender, frames) = tokio::sync::mpsc::channel(64);
    sender.send(share.frames(0).remove(0)).await.unwrap();
    let signing = async {
        loop {
            let id = next.fetch_add(1, Ordering::Relaxed);
            let payload = share.sign_request(&message(id)).payload;
            let sign = proto::SignFrame { id, payload, ..Default::default() };
            let frame = Some(proto::use_share_request::Frame::Sign(sign));
            if sender.send(proto::UseShareRequest { frame }).await.is_err() {
                break;
            }
        }
    };
    let mut request = tonic::Request::new(tokio_stream::wrappers::ReceiverStream::new(frames));
    request.metadata_mut().insert("x-request-id", name.parse().unwrap());
    let answers = async {
        let mut held = Vec::new();
        let Ok(answers) = channel.use_share(request).await else { return held };
        let mut answers = answers.into_inner();
        while let Ok(Some(answer)) = answers.message().await {
            if let Some(proto::use_share_response::Frame::Signed(frame)) = answer.frame {
                let signature = frame.signature.unwrap().value.to_vec();
                let (request_id, message) = (name.to_owned(), message(frame.id));
                held.push(Held { request_id, message, signature });
            }
        }
        held
    };
    tokio::select! {
        held = answers => held,
        () = signing => Vec::new(),
    }
}
