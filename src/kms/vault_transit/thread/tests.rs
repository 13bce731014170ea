use std::{fs, future::pending, sync::atomic::AtomicUsize, time::Instant as Clock};

use futures_util::FutureExt;
use tokio::time::sleep;

use super::*;

/// What a thread owns in these tests: how often it was asked, and who waits.
#[derive(Default)]
struct Owned {
    asked: AtomicUsize,
}

/// Says when it is dropped.
struct Canary(Arc<AtomicUsize>);

impl Drop for Canary {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn start(name: &str, room: &Room) -> Thread<Owned> {
    Thread::start(name, &[room], Owned::default).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn until(holds: impl Fn() -> bool) {
    let give_up = Clock::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Clock::now() < give_up, "this takes too long");
        sleep(Duration::from_millis(5)).await;
    }
}

/// How many threads of this process have this name.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|found| found.trim_end() == name).count()
}

async fn ask(thread: &Thread<Owned>, room: &Room) -> Result<usize, KmsError> {
    let work = |owned: Arc<Owned>| async move { Ok(owned.asked.fetch_add(1, Ordering::SeqCst)) };
    thread.run(room, soon(), work).await
}

/// Occupies a place until it is dropped.
async fn occupy(thread: &Thread<Owned>, room: &Room, canary: Canary) -> Result<(), KmsError> {
    let work = |owned: Arc<Owned>| async move {
        owned.asked.fetch_add(1, Ordering::SeqCst);
        let _canary = canary;
        pending().await
    };
    thread.run(room, soon() + Duration::from_secs(60), work).await
}

#[tokio::test]
async fn it_runs_elsewhere_and_ends_when_dropped() {
    let room = Room::for_jobs(2);
    let thread = start("ends-by-drop", &room);
    assert_eq!(threads("ends-by-drop"), 1);
    let work = |_| async { Ok(std::thread::current().name().map(ToOwned::to_owned)) };
    let name = thread.run(&room, soon(), work).await.unwrap();
    assert_eq!(name.as_deref(), Some("ends-by-drop"));
    drop(thread);
    until(|| threads("ends-by-drop") == 0).await;
}

/// Also outside of a runtime, and without a job.
#[test]
fn it_needs_no_runtime() {
    let room = Room::for_jobs(1);
    drop(start("no-runtime", &room));
    let give_up = Clock::now() + Duration::from_secs(10);
    while threads("no-runtime") > 0 {
        assert!(Clock::now() < give_up);
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn who_waits_too_long_has_sent_nothing() {
    let room = Room::for_jobs(1);
    let thread = start("waits", &room);
    let dropped = Arc::new(AtomicUsize::new(0));
    let occupied = occupy(&thread, &room, Canary(Arc::clone(&dropped)));
    let waiting = async {
        until(|| room.permits.available_permits() == 0).await;
        let begun = Instant::now();
        let canary = Canary(Arc::clone(&dropped));
        let work = |owned: Arc<Owned>| async move {
            let _canary = canary;
            Ok(owned.asked.fetch_add(1, Ordering::SeqCst))
        };
        let by = begun + Duration::from_millis(50);
        let error = thread.run(&room, by, work).await.unwrap_err();
        assert_eq!(error.kind, KmsErrorKind::Timeout);
        assert!(error.detail.contains("waited for a connection"), "{error}");
        assert!(error.detail.contains("nothing was sent"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    };
    select! {
        _ = occupied => unreachable!("it waits for ever"),
        () = waiting => {}
    }
    assert_eq!(ask(&thread, &room).await.unwrap(), 1, "the occupant only");
}

#[tokio::test]
async fn a_crowd_waits_in_turn() {
    let room = Room::for_jobs(3);
    let thread = start("crowd", &room);
    let most = Arc::new(AtomicUsize::new(0));
    let now = Arc::new(AtomicUsize::new(0));
    let calls = (0..64).map(|_| {
        let (most, now) = (Arc::clone(&most), Arc::clone(&now));
        thread.run(&room, soon(), |_| async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(2)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        })
    });
    let results = futures_util::future::join_all(calls).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

/// At every point where a caller can give up: before its turn, before the thread
/// has looked at its job, and while that runs.
#[tokio::test]
async fn a_job_ends_with_its_caller() {
    let room = Room::for_jobs(1);
    let thread = start("cancel", &room);
    let dropped = Arc::new(AtomicUsize::new(0));
    let canary = || Canary(Arc::clone(&dropped));

    let mut running = Box::pin(occupy(&thread, &room, canary()));
    assert!((&mut running).now_or_never().is_none());
    let mut queued = Box::pin(occupy(&thread, &room, canary()));
    assert!((&mut queued).now_or_never().is_none());
    drop(queued);
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "at once");
    drop(running);
    until(|| dropped.load(Ordering::SeqCst) == 2).await;
    until(|| room.permits.available_permits() == 1).await;

    let begun = Arc::new(AtomicUsize::new(0));
    let (begins, canary) = (Arc::clone(&begun), canary());
    let work = |_| async move {
        let _canary = canary;
        begins.fetch_add(1, Ordering::SeqCst);
        pending::<Result<(), _>>().await
    };
    let mut running = Box::pin(thread.run(&room, soon(), work));
    assert!((&mut running).now_or_never().is_none());
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    drop(running);
    until(|| dropped.load(Ordering::SeqCst) == 3).await;
    until(|| room.permits.available_permits() == 1).await;
    ask(&thread, &room).await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_one_job() {
    let room = Room::for_jobs(2);
    let thread = start("panics", &room);
    let work = |_| async { panic!("a fault") };
    let error = thread.run::<(), _>(&room, soon(), work).await.unwrap_err();
    assert_eq!(error.kind, KmsErrorKind::Unavailable);
    assert!(error.detail.contains("panicked"), "{error}");
    assert_eq!(ask(&thread, &room).await.unwrap(), 0);
    until(|| room.permits.available_permits() == 2).await;
}

/// Whoever waits is told at once, and whoever comes later.
#[tokio::test]
async fn a_thread_that_ends_is_said_to_have() {
    let room = Room::for_jobs(2);
    let dead = Thread::<Owned>::start("dies", &[&room], || panic!("a fault")).unwrap();
    for _ in 0..2 {
        let error = ask(&dead, &room).await.unwrap_err();
        assert_eq!(error.kind, KmsErrorKind::Unavailable);
        assert!(error.detail.contains("has ended"), "{error}");
    }

    let thread = start("closed", &room);
    let dropped = Arc::new(AtomicUsize::new(0));
    let waiting = occupy(&thread, &room, Canary(Arc::clone(&dropped)));
    let closing = async {
        ask(&thread, &room).await.unwrap();
        thread.end().await;
    };
    let (waited, ()) = tokio::join!(waiting, closing);
    assert!(waited.unwrap_err().detail.contains("closed"));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let error = ask(&thread, &room).await.unwrap_err();
    assert!(error.detail.contains("closed"), "{error}");
    until(|| threads("closed") == 0).await;
}

/// What is logged on the thread has the caller's span around it.
#[tokio::test]
async fn the_span_crosses() {
    let room = Room::for_jobs(1);
    let thread = start("span", &room);

    let guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    let span = tracing::info_span!("request");
    let id = span.id();
    let work = |_| async { Ok(Span::current().id()) };
    let inside = thread.run(&room, soon(), work).instrument(span).await;
    drop(guard);
    // The thread was started under another subscriber, which knows of no span …
    assert_eq!(inside.unwrap(), None);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    let thread = start("span", &room);
    let span = tracing::info_span!("request");
    let here = span.id();
    let inside = thread.run(&room, soon(), work).instrument(span).await;
    // … and under this one it is the same.
    assert_eq!(inside.unwrap(), here);
    assert!(here.is_some() && id.is_some());
}
