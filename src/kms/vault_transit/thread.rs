//! A thread of its own for what holds secrets, and the queue that leads there.
//!
//! ```text
//!     any thread                                  the thread: its stack and heap are secret
//!  run(work) ─▶ room ─────────▶ job ────────────▶ work(owned) ─▶ …
//!               waits under     work, span,                        │
//!               the deadline    room, reply ◀── result ────────────┘
//! ```
//! - Who waits for room waits here, in memory of the caller's: on the thread there
//!   are never more jobs than its fixed heap was measured for. A caller that gives
//!   up in the queue has left nothing there.
//! - A job ends with its caller: when nobody waits for the result any more, it is
//!   dropped, and what it owns with it.
//! - A panic ends the job that panicked. The thread ends with the [`Thread`].
//! - What comes back is one pointer to the result on the thread's heap, of which the
//!   caller takes the fields that it needs. A result that was moved would take along
//!   what lay in the unused part of an enum: bytes of a secret stack.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    time::Duration,
};

use tokio::{
    runtime::Builder,
    select,
    sync::{Notify, Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tracing::{
    Dispatch, Instrument, Span,
    dispatcher::{get_default, with_default},
    subscriber::NoSubscriber,
};

use super::{KmsError, KmsErrorKind, SettingsError};
use crate::enclave::{clear_registers, secret_thread};

/// Threads that look up names, in ordinary memory. A name server that hangs keeps
/// one for longer than anybody waits for it, and must not keep them all.
const RESOLVERS: usize = 32;
/// How much later than the deadline an answer may come before the thread is taken
/// for stuck. It keeps deadlines itself.
const STUCK: Duration = Duration::from_millis(250);

/// Something that lives on a thread of its own. Dropping this ends both.
pub(super) struct Thread<T> {
    jobs: mpsc::Sender<Job<T>>,
    end: Arc<Notify>,
    is_closed: AtomicBool,
}

/// The most jobs of a kind that are on the thread at a time.
pub(super) struct Room {
    permits: Arc<Semaphore>,
    size: usize,
}

type Job<T> = Box<dyn FnOnce(Arc<T>) -> Running + Send>;
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Room {
    pub(super) fn for_jobs(size: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(size)), size }
    }
}

impl<T: Send + Sync + 'static> Thread<T> {
    /// Starts the thread, and on it what `own` makes, inside a Tokio runtime.
    /// `rooms` are all the rooms of the jobs that there will be.
    ///
    /// # Errors
    /// [`SettingsError::Thread`] or [`SettingsError::Runtime`].
    pub(super) fn start(
        name: &str,
        rooms: &[&Room],
        own: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Self, SettingsError> {
        let (jobs, queue) = mpsc::channel(rooms.iter().map(|room| room.size).sum());
        let end = Arc::new(Notify::new());
        let (starting, started) = sync_channel(1);
        // What is logged there goes where it goes here.
        let log = get_default(|log| (!log.is::<NoSubscriber>()).then(|| log.clone()));
        let ending = Arc::clone(&end);
        // Nobody joins it: it ends with the queue.
        drop(secret_thread(name, move || {
            // Made here, so that it is on the heap of this thread, too.
            let runtime = Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(RESOLVERS)
                // While it waits its registers hold nothing, nor do those of a
                // resolver, which begins with a copy of them.
                .on_thread_park(clear_registers)
                .on_thread_start(clear_registers)
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = starting.send(Err(error));
                    return;
                }
            };
            let _ = starting.send(Ok(()));
            logging(log.as_ref(), || {
                runtime.block_on(serve(queue, &ending, own));
                // Nobody waits for a name server any more.
                runtime.shutdown_background();
            });
        })?);
        match started.recv() {
            Ok(Ok(())) => Ok(Self { jobs, end, is_closed: AtomicBool::new(false) }),
            Ok(Err(error)) => Err(SettingsError::Runtime(error)),
            Err(_) => {
                Err(SettingsError::Runtime(std::io::Error::other("the thread ended at once")))
            }
        }
    }

    /// Runs `work` on the thread, as soon as there is room. It gets what the
    /// thread owns. `R` has no padding and is no enum.
    ///
    /// # Errors
    /// Those of `work`; [`KmsErrorKind::Timeout`] when there was no room in time;
    /// [`KmsErrorKind::Unavailable`] when the thread has ended or `work` panicked.
    pub(super) async fn run<R: Send + 'static, F>(
        &self,
        room: &Room,
        deadline: Instant,
        work: impl FnOnce(Arc<T>) -> F + Send + 'static,
    ) -> Result<R, KmsError>
    where
        F: Future<Output = Result<R, KmsError>> + Send,
    {
        let permit = Arc::clone(&room.permits).acquire_owned();
        let Ok(Ok(permit)) = timeout_at(deadline, permit).await else {
            let detail = format!(
                "waited for a connection, nothing was sent: {} calls are under way",
                room.size
            );
            return Err(KmsError::new(KmsErrorKind::Timeout, detail));
        };
        let (mut reply, result) = oneshot::channel();
        let span = Span::current();
        let job: Job<T> = Box::new(move |owned| {
            let running = async move {
                // Everything that was moved here is dropped before the room is
                // given to the next.
                let _permit = permit;
                select! {
                    biased;
                    () = reply.closed() => {}
                    result = async { work(owned).await } => {
                        let _ = reply.send(Box::new(result));
                    }
                }
            };
            Box::pin(running.instrument(span))
        });
        // There is a place in the queue for every permit.
        self.jobs.try_send(job).map_err(|_| self.ended())?;
        match timeout_at(deadline + STUCK, result).await {
            Ok(Ok(result)) => match *result {
                Ok(result) => Ok(result),
                Err(ref error) => Err(here(error)),
            },
            Ok(Err(_)) if self.jobs.is_closed() => Err(self.ended()),
            Ok(Err(_)) => {
                let detail = "the call panicked inside the client, which is a bug";
                Err(KmsError::new(KmsErrorKind::Unavailable, detail))
            }
            Err(_) => Err(KmsError::new(KmsErrorKind::Timeout, "the client's thread is stuck")),
        }
    }

    /// Ends the thread. What runs on it is dropped.
    pub(super) async fn end(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.end.notify_one();
        self.jobs.closed().await;
    }

    fn ended(&self) -> KmsError {
        if self.is_closed.load(Ordering::Acquire) {
            return KmsError::new(KmsErrorKind::Login, "the client is closed and logged out");
        }
        let detail = "the client's thread has ended, which is a bug: restart the process";
        KmsError::new(KmsErrorKind::Unavailable, detail)
    }
}

async fn serve<T: Send + Sync + 'static>(
    mut queue: mpsc::Receiver<Job<T>>,
    end: &Notify,
    own: impl FnOnce() -> T,
) {
    let owned = Arc::new(own());
    loop {
        let job = select! {
            biased;
            () = end.notified() => None,
            job = queue.recv() => job,
        };
        match job {
            Some(job) => drop(tokio::spawn(job(Arc::clone(&owned)))),
            None => return,
        }
    }
}

/// Without a subscriber here there may be one later, for the whole process.
fn logging(log: Option<&Dispatch>, run: impl FnOnce()) {
    match log {
        Some(log) => with_default(log, run),
        None => run(),
    }
}

/// The same error in memory of this thread, field by field: one that is moved
/// takes along what lay in its padding there, and its text would stay on the
/// thread's heap, which is small.
fn here(error: &KmsError) -> KmsError {
    KmsError {
        kind: error.kind,
        retry_after: error.retry_after.map(|it| Duration::new(it.as_secs(), it.subsec_nanos())),
        detail: error.detail.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
