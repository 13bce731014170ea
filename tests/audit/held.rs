//! Signatures that left the process, and those who hold them.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign::{
    audit::record::Outcome,
    client,
    proto::{self, signing_enclave_client::SigningEnclaveClient},
};
use sha2::{Digest, Sha256};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};

use super::Log;
use crate::support::{refused::assert_refused, served::Share};

/// A signature that left the process.
pub struct Held {
    request_id: String,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Held {
    /// Whether a single call was answered with it.
    pub fn is_of_a_call(&self) -> bool {
        self.message == self.request_id.as_bytes()
    }

    /// Fails unless each has its one record, which says so, or that its process was killed
    /// before it could.
    #[track_caller]
    pub fn are_recorded(held: &[Self], log: &Log) {
        let mut records = HashMap::new();
        for (request, ended) in log.requests.values() {
            let of = (&*request.request_id, request.payload_digest.clone());
            records.entry(of).or_insert_with(Vec::new).push(ended);
        }
        let hex = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes)).into();
        for Self { request_id, message, signature } in held {
            let records = records.get(&(&**request_id, Some(hex(message))));
            let [ended] = &**records.unwrap_or_else(|| panic!("{request_id} is not recorded"))
            else {
                panic!("{request_id} is recorded twice");
            };
            match ended.outcome {
                Outcome::Signed => {
                    assert_eq!(ended.signature, Some(hex(signature)), "{request_id}");
                }
                // Killed between the signature and the word that it was made.
                Outcome::Indeterminate => {}
                outcome => panic!("{request_id}: {outcome:?}"),
            }
        }
    }
}

/// A client, and what it holds.
pub struct Client {
    channel: SigningEnclaveClient<Channel>,
    share: Arc<Share>,
    name: String,
    calls: u64,
    held: Arc<Mutex<Vec<Held>>>,
}

impl Client {
    pub async fn connect(socket: &Path, share: &Arc<Share>, name: String) -> Self {
        let channel = client::enclave(socket).await.unwrap();
        Self { channel, share: Arc::clone(share), name, calls: 0, held: Arc::default() }
    }

    /// What it holds by now.
    pub fn into_held(self) -> Vec<Held> {
        std::mem::take(&mut self.held.lock().unwrap())
    }

    /// Signs once.
    pub async fn call(&mut self) -> Result<(), Status> {
        let request_id = self.next_id();
        let message = request_id.clone().into_bytes();
        let mut request = tonic::Request::new(self.share.sign_request(&message));
        request.metadata_mut().insert("x-request-id", request_id.parse().unwrap());
        // Longer than any disk hangs here.
        request.set_timeout(Duration::from_secs(30));
        let answer = self.channel.sign(request).await?.into_inner();
        self.share.verify(&message, &answer);
        let signature = answer.signature.unwrap().value.to_vec();
        self.held.lock().unwrap().push(Held { request_id, message, signature });
        Ok(())
    }

    /// Signs in one stream, many frames at once, until that ends, or no more frames are
    /// sent because it `is_over`.
    pub async fn stream(&mut self, is_over: impl Fn() -> bool) -> Result<(), Status> {
        let request_id = self.next_id();
        let message = |id: u64| format!("{request_id} frame {id}").into_bytes();
        let (sender, frames) = mpsc::channel(64);
        sender.send(self.share.frames(0).remove(0)).await.unwrap();
        let share = &self.share;
        let signing = async move {
            for id in 0.. {
                let payload = share.sign_request(&message(id)).payload;
                let sign = proto::SignFrame { id, payload, ..Default::default() };
                let frame = Some(proto::use_share_request::Frame::Sign(sign));
                if is_over() || sender.send(proto::UseShareRequest { frame }).await.is_err() {
                    break;
                }
            }
        };
        let mut request = tonic::Request::new(ReceiverStream::new(frames));
        request.metadata_mut().insert("x-request-id", request_id.parse().unwrap());
        let answers = async {
            let mut answers = self.channel.use_share(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                if let Some(proto::use_share_response::Frame::Signed(frame)) = answer.frame {
                    let signature = frame.signature.unwrap().value.to_vec();
                    let (request_id, message) = (request_id.clone(), message(frame.id));
                    self.held.lock().unwrap().push(Held { request_id, message, signature });
                }
            }
            Ok(())
        };
        tokio::pin!(answers);
        tokio::select! {
            ended = &mut answers => ended,
            // What was sent is answered still.
            () = signing => answers.await,
        }
    }

    fn next_id(&mut self) -> String {
        self.calls += 1;
        format!("{}-{}", self.name, self.calls)
    }
}

/// Clients that sign without pause. Refused because nothing can be recorded they go on;
/// for another reason they fail.
pub struct Clients {
    at_work: JoinSet<Vec<Held>>,
    over: Arc<AtomicBool>,
    resting: Arc<AtomicBool>,
    each: Vec<Progress>,
}

/// Of one client.
#[derive(Clone, Default)]
struct Progress {
    held: Arc<Mutex<Vec<Held>>>,
    refused: Arc<AtomicU64>,
}

impl Clients {
    /// So many with single calls, and so many with streams.
    pub async fn start(socket: &Path, share: &Arc<Share>, calls: usize, streams: usize) -> Self {
        let mut clients = Self {
            at_work: JoinSet::new(),
            over: Arc::default(),
            resting: Arc::default(),
            each: Vec::new(),
        };
        for number in 0..calls + streams {
            let streams = number >= calls;
            let name = if streams { "stream" } else { "call" };
            let mut client = Client::connect(socket, share, format!("{name}-{number}")).await;
            let held = Arc::clone(&client.held);
            let progress = Progress { held, ..Progress::default() };
            clients.each.push(progress.clone());
            let (over, resting) = (Arc::clone(&clients.over), Arc::clone(&clients.resting));
            clients.at_work.spawn(async move {
                let is_over = || over.load(Ordering::Relaxed);
                let is_resting = || resting.load(Ordering::Relaxed);
                while !is_over() {
                    if is_resting() {
                        sleep(Duration::from_millis(5)).await;
                        continue;
                    }
                    let ended = if streams {
                        client.stream(|| is_over() || is_resting()).await
                    } else {
                        client.call().await
                    };
                    if let Err(refused) = ended {
                        assert_refused(&refused, Code::Internal, "AUDIT_FAILED");
                        progress.refused.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_millis(5)).await;
                    }
                }
                client.into_held()
            });
        }
        clients
    }

    /// How many signatures they hold.
    pub fn held(&self) -> usize {
        let held = |one: &Progress| one.held.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.each.iter().map(held).sum()
    }

    /// How often each was refused.
    pub fn refused(&self) -> Vec<u64> {
        self.each.iter().map(|one| one.refused.load(Ordering::Relaxed)).collect()
    }

    /// Whether they ask for nothing for now, beyond what they have begun.
    pub fn rest(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Lets them end what they have begun; what they hold then.
    pub async fn stop(self) -> Vec<Held> {
        self.over.store(true, Ordering::Relaxed);
        let ended = timeout(Duration::from_secs(30), self.at_work.join_all()).await.unwrap();
        ended.into_iter().flatten().collect()
    }
}
