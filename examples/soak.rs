//! Signs for long, and says what grew: `cargo run --release --example soak -- 1000000`.
//!
//! Starts a server on what `countersign demo` leaves in a directory of its own, signs with
//! some clients at once, by `Sign` and in streams, and compares the server's memory,
//! descriptors and threads after the first tenth with those at the end, and the free slots
//! of its secret memory before the first signature with those after the last. Then the audit log is verified, and
//! its signatures are counted against those that were received. Exit code 1 where something
//! does not add up.

use std::{
    error::Error,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use countersign::{
    audit::{
        reader::{Found, Reader},
        record::{Event, Outcome},
        verify::verify,
    },
    client,
    key::Algorithm,
    proto::{self, use_share_request::Frame},
};
use tokio::{task::JoinSet, time::sleep};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Clients that call `Sign`; as many hold streams.
const CLIENTS: u64 = 8;
/// Frames of one stream.
const FRAMES: u64 = 500;

/// What a process has.
#[derive(Clone, Copy)]
struct Taken {
    rss_kib: u64,
    descriptors: usize,
    threads: u64,
}

/// Signs until enough is signed.
#[derive(Clone)]
struct Client {
    socket: PathBuf,
    share: proto::PublicKey,
    signed: Arc<AtomicU64>,
    wanted: u64,
}

/// The server; ends with the value.
struct Server(Child);

impl Taken {
    fn of(process: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let number = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let digits = line.and_then(|line| line.split_whitespace().next());
            Ok(digits.ok_or("no such line in /proc")?.parse()?)
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"))?.count();
        Ok(Self { rss_kib: number("VmRSS:")?, descriptors, threads: number("Threads:")? })
    }
}

impl Client {
    fn is_done(&self) -> bool {
        self.signed.load(Ordering::Relaxed) >= self.wanted
    }

    fn payload() -> Option<proto::Payload> {
        let kind = proto::payload::Kind::Message(b"soaked".to_vec().into());
        Some(proto::Payload { kind: Some(kind) })
    }

    async fn calls(self) -> Result<()> {
        let mut enclave = client::enclave(&self.socket).await?;
        while !self.is_done() {
            let request = proto::SignRequest {
                share_id: self.share.share_id.clone(),
                wallet_id: self.share.wallet_id.clone(),
                payload: Self::payload(),
                ..Default::default()
            };
            enclave.sign(request).await?;
            self.signed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn streams(self) -> Result<()> {
        let mut enclave = client::enclave(&self.socket).await?;
        while !self.is_done() {
            let open = Frame::Open(proto::OpenFrame {
                share_id: self.share.share_id.clone(),
                wallet_id: self.share.wallet_id.clone(),
                ..Default::default()
            });
            let sign = (0..FRAMES).map(|id| {
                Frame::Sign(proto::SignFrame { id, payload: Self::payload(), ..Default::default() })
            });
            let frames: Vec<_> = [open]
                .into_iter()
                .chain(sign)
                .map(|frame| proto::UseShareRequest { frame: Some(frame) })
                .collect();
            let mut answers = enclave.use_share(tokio_stream::iter(frames)).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                if matches!(answer.frame, Some(proto::use_share_response::Frame::Signed(_))) {
                    self.signed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).map_or(Ok(1_000_000), |number| number.parse());
    let soaked = match wanted {
        Ok(wanted) => soak(wanted).await,
        Err(_) => Err("the one argument is a number of signatures".into()),
    };
    match soaked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(wanted: u64) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("soak").tempdir()?;
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).ok_or("there is no target directory")?;
    let binary = target.join("countersign");
    let mut demo = Command::new(&binary);
    demo.args(["demo", "--json", "--dir"]).arg(directory.path()).stdout(Stdio::null());
    let made = demo.status().map_err(|error| format!("build the binary as well: {error}"))?;
    if !made.success() {
        return Err("the demo failed".into());
    }
    let config = directory.path().join("countersign.toml");
    let metrics = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let document = fs::read_to_string(&config)?;
    fs::write(&config, format!("{document}\n[metrics]\nlisten = \"{metrics}\"\n"))?;
    let mut serve = Command::new(&binary);
    let server = Server(serve.args(["serve", "--config"]).arg(&config).spawn()?);
    let process = server.0.id();
    let share = share(directory.path()).await?;
    let audit = directory.path().join("audit");
    let of_the_demo = signatures(&audit)?;

    let signed = Arc::<AtomicU64>::default();
    let socket = directory.path().join("enclave.sock");
    let client = Client { socket, share, signed: Arc::clone(&signed), wanted };
    let free = free_slots(metrics)?;
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client.clone().calls());
        clients.spawn(client.clone().streams());
    }
    while signed.load(Ordering::Relaxed) < wanted / 10 && !clients.is_empty() {
        sleep(Duration::from_millis(50)).await;
    }
    let early = Taken::of(process)?;
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let signed = signed.load(Ordering::Relaxed);
    let rate = signed as f64 / begun.elapsed().as_secs_f64();
    // What the last ones had is given back.
    sleep(Duration::from_secs(2)).await;
    let late = Taken::of(process)?;
    println!("{signed} signatures, {rate:.0} a second");
    let line = |what: &str, early: u64, late: u64| println!("{what:12} {early:>8} {late:>8}");
    println!("{:12} {:>8} {:>8}", "", "A TENTH", "THE END");
    line("memory, KiB", early.rss_kib, late.rss_kib);
    line("descriptors", early.descriptors as u64, late.descriptors as u64);
    line("threads", early.threads, late.threads);
    let freed = free_slots(metrics)?;
    println!("free slots   {free} before, {freed} after");

    let begun = Instant::now();
    let report = verify(&audit, &[], |_| ())?;
    let verified = begun.elapsed().as_secs_f64();
    let recorded = signatures(&audit)? - of_the_demo;
    println!("audit log    {} records, {recorded} signatures, {} open", report.size, report.open);
    println!("verified in  {verified:.1} s, {:.0} records a second", report.size as f64 / verified);
    if !report.is_intact() || recorded != signed {
        return Err("the audit log does not have what was signed".into());
    }
    // A tenth of what is taken is noise of the allocator.
    let grew = late.rss_kib > early.rss_kib + early.rss_kib / 10;
    if grew || late.descriptors > early.descriptors || freed != free {
        return Err("something grew".into());
    }
    Ok(())
}

/// An Ed25519 share of the demo, when it serves.
async fn share(directory: &Path) -> Result<proto::PublicKey> {
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        let listed = async {
            let mut custody = client::custody(&directory.join("custody.sock")).await?;
            let listed = custody.list_shares(proto::ListSharesRequest::default()).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(listed.into_inner().shares)
        };
        // The demo made one of each algorithm.
        match listed.await {
            Ok(shares) if shares.len() >= Algorithm::ALL.len() => {
                let keys = shares.into_iter().filter_map(|share| share.public_key);
                let mut keys = keys.filter(|key| key.algorithm() == proto::Algorithm::Ed25519);
                return Ok(keys.next().ok_or("the demo has no Ed25519 share")?);
            }
            _ if Instant::now() > give_up => return Err("the server does not serve".into()),
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What the metrics say, when that is up to date again.
fn free_slots(metrics: SocketAddr) -> Result<u64> {
    let mut answer = String::new();
    let mut stream = TcpStream::connect(metrics)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    stream.read_to_string(&mut answer)?;
    let name = "countersign_secret_slots_free ";
    let value = answer.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.ok_or("there is no such metric")?.parse()?)
}

/// How many signatures a log has.
fn signatures(audit: &Path) -> Result<u64> {
    let mut reader = Reader::new(audit);
    let mut signatures = 0;
    while let Some(found) = reader.advance()? {
        let Found::Record(record) = found else { return Err("a line is no record".into()) };
        let outcome = match &record.event {
            Event::Request(request) => request.ended.as_ref().map(|ended| ended.outcome),
            Event::Outcome { ended, .. } => Some(ended.outcome),
            _ => None,
        };
        signatures += u64::from(outcome == Some(Outcome::Signed));
    }
    Ok(signatures)
}
