//! What keeps an instance busy while it is looked into.

use std::{
    future::Future,
    mem,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use countersign::{
    client,
    key::Algorithm,
    proto::{use_share_request, use_share_response::Frame},
};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::instance::{Instance, generate};
use crate::support::{enclave::Share, imported::import};

/// Tasks that go on until they are told to stop.
pub struct Load {
    state: Arc<State>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the tasks and their owner share.
#[derive(Default)]
pub struct State {
    stop: AtomicBool,
    done: AtomicU64,
    /// The ids of shares, in the order in which they were asked for.
    pub made: Mutex<Vec<String>>,
}

/// Frames that are sent before the first answer is awaited.
const AHEAD: u64 = 8;

impl Load {
    /// `Sign`, one after the other per share; of those that fail, only that they
    /// did not succeed is noted.
    pub fn signing(instance: &Instance, shares: &[Share]) -> Self {
        Self::start(shares, |state, share| {
            let socket = instance.path("enclave.sock");
            async move {
                let mut client = client::enclave(&socket).await.unwrap();
                for number in state.numbers() {
                    let signed = client.sign(share.sign_request(number)).await;
                    state.count(signed.is_ok());
                }
            }
        })
    }

    /// A `UseShare` stream per share, held open and signing; a new one whenever
    /// the limits end it.
    pub fn streaming(instance: &Instance, shares: &[Share]) -> Self {
        Self::start(shares, |state, share| {
            let socket = instance.path("enclave.sock");
            async move {
                while !state.stop.load(Ordering::SeqCst) {
                    stream(&state, &socket, &share).await;
                }
            }
        })
    }

    /// `Sign`, given up by the client after up to two milliseconds, whatever it is
    /// doing then.
    pub fn cancelling(instance: &Instance, shares: &[Share]) -> Self {
        Self::start(shares, |state, share| {
            let socket = instance.path("enclave.sock");
            async move {
                let mut client = client::enclave(&socket).await.unwrap();
                for number in state.numbers() {
                    let patience = Duration::from_micros(getrandom::u64().unwrap() % 2000);
                    let signing = client.sign(share.sign_request(number));
                    state.count(timeout(patience, signing).await.is_err());
                }
            }
        })
    }

    /// `GenerateShare` of every algorithm.
    pub fn generating(instance: &Instance) -> Self {
        Self::start(&Algorithm::ALL, |state, algorithm| {
            let socket = instance.path("custody.sock");
            async move {
                let mut custody = client::custody(&socket).await.unwrap();
                for _ in state.numbers() {
                    let request = generate(algorithm);
                    let id = request.share_id.clone();
                    state.made.lock().unwrap().push(id);
                    custody.generate_share(request).await.unwrap();
                    state.count(true);
                }
            }
        })
    }

    /// `ImportShare` of what each of these shares is, under ids of their own.
    pub fn importing(instance: &Instance, shares: &[Share]) -> Self {
        Self::start(shares, |state, share| {
            let socket = instance.path("custody.sock");
            async move {
                for _ in state.numbers() {
                    import(&socket, share.algorithm).await;
                    state.count(true);
                }
            }
        })
    }

    fn start<T: Clone, F: Future<Output = ()> + Send + 'static>(
        items: &[T],
        task: impl Fn(Arc<State>, T) -> F,
    ) -> Self {
        let state = Arc::new(State::default());
        let tasks = items.iter().map(|item| tokio::spawn(task(Arc::clone(&state), item.clone())));
        Self { tasks: tasks.collect(), state }
    }

    /// Waits until `more` operations more are done.
    pub async fn runs(&self, more: u64) {
        let enough = self.state.done.load(Ordering::SeqCst) + more;
        let give_up = Instant::now() + Duration::from_secs(60);
        while self.state.done.load(Ordering::SeqCst) < enough {
            assert!(Instant::now() < give_up, "the instance answers nothing");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the tasks note.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Stops, and waits until all streams are closed.
    pub async fn stop(mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        for task in mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
    }
}

/// Of a test that failed: a client whose server is gone fails without ever waiting, and
/// would keep the runtime from ending.
impl Drop for Load {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn numbers(&self) -> impl Iterator<Item = u64> {
        (0..).take_while(|_| !self.stop.load(Ordering::SeqCst))
    }

    fn count(&self, done: bool) {
        self.done.fetch_add(done.into(), Ordering::SeqCst);
    }
}

async fn stream(state: &State, socket: &Path, share: &Share) {
    let mut client = client::enclave(socket).await.unwrap();
    let (frames, received) = mpsc::channel(AHEAD as usize + 1);
    let frames_in = ReceiverStream::new(received);
    let mut answers = client.use_share(frames_in).await.unwrap().into_inner();
    let opening = share.open();
    assert!(matches!(opening.frame, Some(use_share_request::Frame::Open(_))));
    frames.send(opening).await.unwrap();
    for number in 0..AHEAD {
        frames.send(share.frame(number)).await.unwrap();
    }
    for number in state.numbers() {
        match answers.message().await {
            Ok(Some(answer)) => {
                state.count(matches!(answer.frame, Some(Frame::Signed(_))));
                let _ = frames.send(share.frame(AHEAD + number)).await;
            }
            _ => return,
        }
    }
    drop(frames);
    while let Ok(Some(_)) = answers.message().await {}
}
