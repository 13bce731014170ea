//! Twelve connections, however many calls and addresses; who waits, and who gives
//! up.

use std::{
    collections::HashSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use countersign::kms::{Kms, KmsErrorKind};
use futures_util::future::join_all;
use tokio::{
    select,
    time::{Instant, sleep},
};

use super::{
    Record, Tenant, VaultServer,
    network::{error, pki, start, unwrapped},
    ready, scripted, soon,
};
use crate::support::{custody::Custody, https::HttpsServer};

const CONNECTIONS: usize = 12;

/// Counts this process's own ends of connections to some ports.
struct Counted {
    most: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Counted {
    fn to(ports: Vec<u16>) -> Self {
        let most = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (Arc::clone(&most), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                seen.fetch_max(open(&ports), Ordering::Relaxed);
            }
        });
        Self { most, stop, thread: Some(thread) }
    }

    fn most(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.most.load(Ordering::Relaxed)
    }
}

/// Connections that are being made, are made, or were ended by the server only.
fn open(ports: &[u16]) -> usize {
    in_states(&["01", "02", "08"], ports)
}

/// How many sockets whose far end is one of the ports are in one of the states.
fn in_states(states: &[&str], ports: &[u16]) -> usize {
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    // A table that changes while it is read may list a socket twice.
    let mut near = HashSet::new();
    for line in table.lines().skip(1) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let port = fields[2].split_once(':').unwrap().1;
        let port = u16::from_str_radix(port, 16).unwrap();
        if states.contains(&fields[3]) && ports.contains(&port) {
            near.insert(fields[1]);
        }
    }
    near.len()
}

#[tokio::test]
async fn a_crowd_shares_twelve() {
    let pki = pki();
    let server =
        HttpsServer::start(pki.path(), |seen| unwrapped(seen).after(Duration::from_millis(10)));
    let kms = start(scripted(pki.path(), &[server.url()]));
    ready(&kms).await;
    let record = Record::canned_with_slots(257);
    let counted = Counted::to(vec![server.port()]);
    let call = || record.custody.unwrap(&kms, &record.sealed, &record.wrapped, soon());
    for result in join_all((0..256).map(|_| call())).await {
        result.unwrap();
    }
    assert_eq!(counted.most(), CONNECTIONS);
    assert_eq!(server.seen().len(), 257);
    kms.close().await;
    assert_eq!(open(&[server.port()]), 0);
}

/// Idle connections to a node that gave way make room.
#[tokio::test]
async fn three_addresses_share_twelve() {
    let pki = pki();
    let serving = Arc::new(AtomicUsize::new(0));
    let servers: Vec<_> = (0..3)
        .map(|number| {
            let serving = Arc::clone(&serving);
            HttpsServer::start(pki.path(), move |seen| {
                if serving.load(Ordering::SeqCst) != number {
                    return error(503, "Vault is sealed");
                }
                unwrapped(seen).after(Duration::from_millis(5))
            })
        })
        .collect();
    let urls: Vec<_> = servers.iter().map(HttpsServer::url).collect();
    let kms = start(scripted(pki.path(), &urls));
    ready(&kms).await;
    let record = Record::canned_with_slots(65);
    let ports: Vec<_> = servers.iter().map(HttpsServer::port).collect();
    let call = || record.custody.unwrap(&kms, &record.sealed, &record.wrapped, soon());
    for number in [0, 1, 2, 0, 2] {
        serving.store(number, Ordering::SeqCst);
        for result in join_all((0..64).map(|_| call())).await {
            result.unwrap();
        }
        // In a quiet moment: a table that is read while connections come and go
        // lists both.
        assert_eq!(open(&ports), CONNECTIONS);
    }
}

/// On a real Vault: every one of them, each with its own DEK.
#[tokio::test]
async fn two_hundred_and_fifty_six_at_once() {
    let Some(vault) = VaultServer::dedicated().await else {
        return;
    };
    let tenant = Tenant::new(&vault).await;
    let kms = tenant.kms();
    ready(&kms).await;
    let custody = Custody::with_slots(tenant.environment(), 2 * 256 + 1);
    let mut records = Vec::new();
    for _ in 0..256 {
        let sealed = custody.seal(kms.kek());
        let wrapped = sealed.wrap(&kms, soon()).await.unwrap();
        records.push((sealed, wrapped));
    }
    let counted = Counted::to(vec![vault.port()]);
    let calls = records.iter().map(async |(sealed, wrapped)| {
        let unwrapped = custody.unwrap(&kms, sealed, wrapped, soon()).await.unwrap();
        assert!(sealed.is_dek(&unwrapped));
    });
    join_all(calls).await;
    assert!(counted.most() <= CONNECTIONS);
    assert_eq!(tenant.count("decrypt"), 256);
}

/// Twelve calls that are not answered keep the thirteenth waiting, for as long as
/// it likes. Given up, they make room at once, and their slots come back.
#[tokio::test]
async fn who_waits_and_who_gives_up() {
    let pki = pki();
    let mute = Arc::new(AtomicBool::new(true));
    let is_mute = Arc::clone(&mute);
    let server = HttpsServer::start(pki.path(), move |seen| {
        let decrypt = seen.uri().path().contains("decrypt");
        let delay = if decrypt && is_mute.load(Ordering::SeqCst) {
            Duration::from_secs(60)
        } else {
            Duration::ZERO
        };
        unwrapped(seen).after(delay)
    });
    let mut settings = scripted(pki.path(), &[server.url()]);
    settings.timeouts.request = Duration::from_secs(60);
    let kms = start(settings);
    ready(&kms).await;
    let record = Record::canned_with_slots(32);
    let free = record.custody.free();
    let decrypts = || {
        let seen = server.seen();
        let decrypts = seen.iter().filter(|seen| seen.uri().path().contains("decrypt"));
        decrypts.count()
    };
    let late = Instant::now() + Duration::from_secs(60);
    let call = |by| record.custody.unwrap(&kms, &record.sealed, &record.wrapped, by);
    let stuck = join_all((0..CONNECTIONS + 4).map(|_| call(late)));
    let others = async {
        until(|| decrypts() == CONNECTIONS).await;
        let begun = Instant::now();
        let waited = call(begun + Duration::from_millis(100)).await.err().unwrap();
        assert_eq!(waited.kind, KmsErrorKind::Timeout);
        assert!(waited.detail.contains("waited for a connection"), "{waited}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        // Readiness says so, in time.
        let by = Instant::now() + Duration::from_millis(100);
        let status = kms.status(by).await.unwrap_err();
        assert_eq!(status.kind, KmsErrorKind::Timeout, "{status}");
        assert!(status.detail.contains("waited for a connection"), "{status}");
    };
    select! {
        _ = stuck => unreachable!("nobody answers them"),
        () = others => {}
    }
    until(|| record.custody.free() == free).await;
    until(|| open(&[server.port()]) == 0).await;
    assert_eq!(decrypts(), CONNECTIONS, "nothing was sent for who waited");
    mute.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    call(soon()).await.unwrap();
    kms.status(soon()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// A connection that the server ends is not used again, and nobody notices.
#[tokio::test]
async fn connections_that_the_server_ends() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), |seen| unwrapped(seen).with("connection", "close"));
    let kms = start(scripted(pki.path(), &[server.url()]));
    let record = Record::canned();
    for _ in 0..20 {
        record.unwrap_by(&kms, soon()).await.unwrap();
    }
    assert_eq!(server.seen().len(), 20, "none was repeated");
}

/// One that idles is ended by the server in its own time.
#[tokio::test]
async fn connections_that_idled_too_long() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), unwrapped);
    let kms = start(scripted(pki.path(), &[server.url()]));
    let record = Record::canned();
    record.unwrap_by(&kms, soon()).await.unwrap();
    for round in 2..6 {
        server.disconnect();
        until(|| in_states(&["01"], &[server.port()]) == 0).await;
        record.unwrap_by(&kms, soon()).await.unwrap();
        assert_eq!(server.seen().len(), round, "none was repeated");
    }
    // Nothing of the client outlives it, although nobody closed it.
    assert_eq!(open(&[server.port()]), 1);
    drop(kms);
    until(|| open(&[server.port()]) == 0).await;
}

async fn until(holds: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < give_up, "this takes too long");
        sleep(Duration::from_millis(5)).await;
    }
}
