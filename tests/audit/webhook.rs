//! Checkpoints, delivered by a confined server to a real HTTPS server, which refuses some.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use countersign::audit::{
    note::Name,
    reader::{Found, Reader},
    record::Event,
    verify::verify,
};

use crate::support::{
    https::{HttpsServer, Reply},
    pki::Authority,
    served::Home,
};

fn collector(home: &Home, authority: &Authority, refuse: usize) -> HttpsServer {
    authority.write_certificate(&home.path("config"));
    authority.write_server_certificate(&home.path("config"));
    let asked = AtomicUsize::new(0);
    HttpsServer::start(&home.path("config"), move |_| {
        let status = if asked.fetch_add(1, Ordering::SeqCst) < refuse { 503 } else { 204 };
        Reply::json(status, "")
    })
}

fn configure(home: &Home, url: &str) {
    home.add(&format!(
        "[audit.webhook]\nurl = \"{url}/checkpoints?of=me\"\nca_file = {:?}\ntoken_file = {:?}",
        home.path("config/ca.pem"),
        home.path("config/token"),
    ));
    home.add_to_audit("checkpoints = \"1s\"");
    fs::write(home.path("config/token"), "a-token\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_delivered() {
    let home = Home::embedded();
    let server = collector(&home, &Authority::new(), 1);
    configure(&home, &server.url());
    let serve = home.serve();
    let served = home.start(serve).await;
    let share = served.generate().await;
    let delivered = "audit_checkpoint_delivered_timestamp_seconds";
    served.until("one is delivered", |served| served.metric(delivered) > Some(0)).await;
    // Refused once, and tried again.
    assert!(served.home.log().contains("A checkpoint is not delivered"));
    assert!(!served.home.log().contains("of=me") && !served.home.log().contains("a-token"));
    served.sign(&share).await.unwrap();
    let home = served.stop_keeping();

    let audit = home.path("audit");
    let mut reader = Reader::new(&audit);
    let mut key = None;
    let mut signed = 0;
    while let Some(Found::Record(record)) = reader.advance().unwrap() {
        match record.event {
            Event::Identity { key: name, .. } => key = Some(Name::parse(&name).unwrap()),
            Event::Request(request) if request.action == "Sign" => signed = record.seq,
            _ => {}
        }
    }
    let key = key.unwrap();
    let seen = server.seen();
    let heads: Vec<_> = seen
        .iter()
        .map(|request| {
            assert_eq!(request.method(), "POST");
            assert_eq!(request.uri().path(), "/checkpoints");
            assert_eq!(request.headers()["authorization"], "Bearer a-token");
            key.open(std::str::from_utf8(request.body()).unwrap()).unwrap()
        })
        .collect();
    // Every one is of this log, and the last has the last request.
    assert!(verify(&audit, &heads, |_| ()).unwrap().findings.is_empty());
    assert!(heads.last().unwrap().size > signed, "{heads:?}");
}

/// Of an authority that is not the configured one.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_nothing() {
    let home = Home::embedded();
    let server = collector(&home, &Authority::new(), 0);
    Authority::new().write_certificate(&home.path("config"));
    configure(&home, &server.url());
    let serve = home.serve();
    let served = home.start(serve).await;
    let said = |home: &Home| home.log().contains("A checkpoint is not delivered");
    served.until("it is refused", |served| said(&served.home)).await;
    // What cannot be delivered keeps nothing from being signed.
    let share = served.generate().await;
    served.sign(&share).await.unwrap();
    served.stop();
    assert!(server.seen().is_empty());
}
