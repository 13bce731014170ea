//! Servers that say too much: what they send has a bound, wherever they send it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread::JoinHandle,
    time::Duration,
};

use countersign::kms::{Kms, KmsErrorKind};
use serde_json::json;
use tokio::time::Instant;

use super::{
    Record,
    network::{approle, login, pki, start, unwrapped},
    scripted, soon,
};
use crate::support::https::{HttpsServer, Reply};

type Script = Box<dyn Fn() -> Reply + Send + Sync>;

/// Heads and bodies that are too long end in one attempt, and the next call is
/// none the worse.
#[tokio::test]
async fn answers_beyond_measure() {
    let pki = pki();
    let long = |length| "a".repeat(length);
    let many = || {
        let mut reply = Reply::json(200, "{}");
        reply.headers = (0..90).map(|_| ("x-more", "1".to_owned())).collect();
        reply
    };
    let replies: [(&str, Script); 5] = [
        ("head", Box::new(move || Reply::json(200, "{}").with("x-long", long(9_000)))),
        ("endless head", Box::new(move || Reply::json(200, "{}").with("x-long", long(400_000)))),
        ("headers", Box::new(many)),
        ("body", Box::new(move || Reply::json(200, long(4_097)))),
        ("endless body", Box::new(move || Reply::json(200, long(4_000_000)))),
    ];
    for (what, reply) in replies {
        let server = HttpsServer::start(pki.path(), move |_| reply());
        let kms = start(scripted(pki.path(), &[server.url()]));
        for _ in 0..3 {
            let error = Record::canned().fail(&kms).await;
            assert_eq!(error.kind, KmsErrorKind::Protocol, "{what}: {error}");
            assert!(error.detail.len() < 400, "{what}");
        }
    }
}

/// A page of whatever stands in front of Vault is not read, and its status means
/// what it means.
#[tokio::test]
async fn pages_of_a_gateway() {
    let pki = pki();
    for (status, kind, attempts) in
        [(502, KmsErrorKind::Unavailable, 3), (403, KmsErrorKind::Denied, 1)]
    {
        let server =
            HttpsServer::start(pki.path(), move |_| Reply::json(status, "a".repeat(9_000)));
        let kms = start(scripted(pki.path(), &[server.url()]));
        let error = Record::canned().fail(&kms).await;
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(server.seen().len(), attempts);
    }
}

/// The longest that is allowed is still read.
#[tokio::test]
async fn answers_within_measure() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), |seen| {
        let mut reply = unwrapped(seen).with("x-long", "a".repeat(7_000));
        let padding = " ".repeat(4 * 1024 - reply.body.len());
        reply.body += &padding;
        reply
    });
    let kms = start(scripted(pki.path(), &[server.url()]));
    let record = Record::canned();
    for _ in 0..30 {
        record.unwrap_by(&kms, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn logins_beyond_measure() {
    let pki = pki();
    let policies: Vec<_> = (0..300).map(|number| format!("policy-{number}")).collect();
    let mut much = login("hvs.given", 3600);
    much["auth"]["policies"] = json!(policies);
    let mut too_much = much.clone();
    too_much["auth"]["token_policies"] = json!(vec!["a-policy-of-no-use"; 1_000]);
    for (answer, problem) in [
        (much, None),
        (too_much, Some("too long")),
        (login(&"t".repeat(5_000), 3600), Some("at most 4 KiB")),
    ] {
        let server = HttpsServer::start(pki.path(), move |seen| match seen.uri().path() {
            "/v1/auth/approle/login" => Reply::json(200, &answer),
            _ => unwrapped(seen),
        });
        let mut settings = scripted(pki.path(), &[server.url()]);
        settings.signer = Some(approle(pki.path()));
        let kms = start(settings);
        let status = kms.status(soon()).await;
        match problem {
            None => status.unwrap(),
            Some(problem) => {
                let error = status.unwrap_err();
                assert!(error.detail.contains(problem), "{error}");
            }
        }
    }
}

/// A credential that is too long, or is a pipe that nobody writes to.
#[tokio::test]
async fn credentials_beyond_measure() {
    let pki = pki();
    let server = HttpsServer::start(pki.path(), unwrapped);
    let path = pki.path().join("secret-id");
    for problem in ["longer than 16 KiB", "is not a file"] {
        let mut settings = scripted(pki.path(), &[server.url()]);
        settings.signer = Some(approle(pki.path()));
        if problem.starts_with("longer") {
            std::fs::write(&path, "a".repeat(20_000)).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        }
        let kms = start(settings);
        let error = Record::canned().fail(&kms).await;
        assert_eq!(error.kind, KmsErrorKind::Login, "{error}");
        assert!(error.detail.contains(problem), "{error}");
    }
}

/// A peer that never comes to the end of its handshake: records of a handshake
/// message of 64 KiB, as large as rustls would buffer.
#[tokio::test]
async fn a_handshake_beyond_measure() {
    let (url, talking) = talker();
    let pki = pki();
    let kms = start(scripted(pki.path(), &[url]));
    let begun = Instant::now();
    let error = Record::canned().fail(&kms).await;
    assert!(error.detail.contains("too much at a time"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(kms);
    talking.join().unwrap();
}

/// A server whose answer to the first message is a server hello that goes on.
fn talker() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let talk = |mut stream: TcpStream| {
        let _ = stream.read(&mut [0; 4096]);
        // handshake record: type 22, TLS 1.2 as TLS 1.3 writes it, 16 KiB
        let mut record = vec![22, 3, 3, 0x40, 0];
        // server hello of 65,000 bytes
        record.extend([2, 0, 0xfd, 0xe8]);
        record.resize(5 + 0x4000, 0);
        for _ in 0..4 {
            if stream.write_all(&record).is_err() {
                return;
            }
            record[5..9].fill(0);
        }
        let _ = stream.read(&mut [0; 1]);
    };
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        talk(stream);
    });
    (url, thread)
}
