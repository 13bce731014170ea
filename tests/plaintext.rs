//! Where no share in plaintext may be: the log at its most verbose, files, the rows of a
//! database, answers. Shares that were made here come in sealed, are used in every way, and
//! are looked for afterwards. `residue` looks for them in memory.

use std::{
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use countersign::{client, key::Algorithm, proto};
use prost::Message;
use tonic::{Response, Status};

use crate::support::{
    enclave::Share,
    imported::{import, secret},
    postgres::PostgresServer,
    served::{Home, LOCAL, Served, postgres},
};

/// A server's life with a share of each algorithm, and what it left.
struct Lived {
    home: Home,
    shares: Vec<Share>,
    answers: Vec<u8>,
    /// While it ran, and after that.
    files: Vec<u8>,
}

impl Lived {
    async fn at(home: Home) -> Self {
        let serve = home.serve();
        let served = home.start(serve).await;
        let (mut shares, mut answers) = (Vec::new(), Answers::default());
        for algorithm in Algorithm::ALL {
            let share = import(&custody(&served), algorithm).await;
            answers.of_signing(&served, &share).await;
            answers.of_custody(&served, &share).await;
            shares.push(share);
        }
        let mut files = Vec::new();
        read(&served.home.path(""), &mut files);
        let home = served.stop_keeping();
        read(&home.path(""), &mut files);
        Self { home, shares, answers: answers.0, files }
    }

    /// Fails where a part of a share is in there, in whatever form.
    #[track_caller]
    fn assert_none_in(&self, place: &str, bytes: &[u8]) {
        for share in &self.shares {
            for (form, needle) in forms(&secret(share.algorithm)) {
                let algorithm = share.algorithm;
                assert!(!is_in(bytes, &needle), "{place} has a share of {algorithm}, {form}");
            }
        }
    }
}

/// What clients are told, as bytes and as text.
#[derive(Default)]
struct Answers(Vec<u8>);

impl Answers {
    fn take<T: Message + Debug>(&mut self, answer: Result<Response<T>, Status>) {
        match answer {
            Ok(answer) => {
                let (metadata, answer, _) = answer.into_parts();
                self.0.extend(format!("{metadata:?} {answer:?}").into_bytes());
                self.0.extend(answer.encode_to_vec());
            }
            Err(status) => {
                self.0.extend(format!("{status:?}").into_bytes());
                self.0.extend(status.details());
            }
        }
    }

    async fn of_signing(&mut self, served: &Served, share: &Share) {
        let mut client = client::enclave(&served.socket()).await.unwrap();
        let signed = client.sign(share.sign_request(1)).await;
        assert!(signed.is_ok(), "{signed:?}");
        self.take(signed);
        let newer = proto::SignRequest { min_record_version: 99, ..share.sign_request(1) };
        self.take(client.sign(newer).await);
        let (share_id, wallet_id) = (share.id.clone(), share.wallet.clone());
        self.take(client.get_public_key(proto::GetPublicKeyRequest { share_id, wallet_id }).await);
        // The second `open` ends the stream with a refusal.
        let frames = tokio_stream::iter([share.open(), share.frame(1), share.open()]);
        let mut answers = client.use_share(frames).await.unwrap().into_inner();
        loop {
            match answers.message().await {
                Ok(Some(answer)) => self.take(Ok(Response::new(answer))),
                Ok(None) => break,
                Err(status) => break self.take::<proto::UseShareResponse>(Err(status)),
            }
        }
    }

    async fn of_custody(&mut self, served: &Served, share: &Share) {
        let mut client = client::custody(&custody(served)).await.unwrap();
        let share_id = || share.id.clone();
        self.take(client.get_share(proto::GetShareRequest { share_id: share_id() }).await);
        self.take(client.list_shares(proto::ListSharesRequest::default()).await);
        let reencrypt = proto::ReencryptShareRequest {
            share_id: share_id(),
            reason: "an exercise".to_owned(),
            ..Default::default()
        };
        self.take(client.reencrypt_share(reencrypt).await);
        let disable = proto::DisableShareRequest { share_id: share_id(), ..Default::default() };
        self.take(client.disable_share(disable).await);
        let mut signing = client::enclave(&served.socket()).await.unwrap();
        self.take(signing.sign(share.sign_request(2)).await);
        let enable = proto::EnableShareRequest { share_id: share_id(), ..Default::default() };
        self.take(client.enable_share(enable).await);
    }
}

fn custody(served: &Served) -> PathBuf {
    served.home.path("run/custody.sock")
}

/// Every file below a directory.
fn read(directory: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            read(&entry.path(), into);
        } else if kind.is_file() {
            into.extend(fs::read(entry.path()).unwrap());
        }
    }
}

fn is_in(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Either half of a share as it is, and as it might be written.
fn forms(secret: &[u8; 32]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("base58", bs58::encode(secret).into_vec())];
    // Without the brackets.
    let inner = |text: String| text[1..text.len() - 1].to_owned().into_bytes();
    for half in secret.chunks(16) {
        forms.push(("raw", half.to_vec()));
        forms.push(("reversed", half.iter().rev().copied().collect()));
        forms.push(("hex", hex::encode(half).into_bytes()));
        forms.push(("HEX", hex::encode_upper(half).into_bytes()));
        forms.push(("a list", inner(format!("{half:?}"))));
        forms.push(("a list in hex", inner(format!("{half:02x?}"))));
        // Wherever it begins: of what lies between two borders.
        for start in 0..3 {
            let end = start + (half.len() - start) / 3 * 3;
            forms.push(("base64", STANDARD.encode(&half[start..end]).into_bytes()));
            forms.push(("base64url", URL_SAFE.encode(&half[start..end]).into_bytes()));
        }
    }
    forms
}

/// That each would be found.
#[test]
fn every_form_is_looked_for() {
    let secret = secret(Algorithm::Ed25519);
    let listed = format!("share={secret:?}");
    let told = format!("{:02x?}", &secret[..20]);
    let prefixed = [b"key: ".as_slice(), &secret].concat();
    let url = URL_SAFE.encode(&prefixed[1..]);
    let written = [
        ("raw", prefixed.clone()),
        ("hex", hex::encode(&prefixed).into_bytes()),
        ("HEX", hex::encode_upper(&prefixed).into_bytes()),
        ("a list", listed.into_bytes()),
        ("a list in hex", told.into_bytes()),
        ("base58", bs58::encode(secret).into_vec()),
        ("base64", STANDARD.encode(&prefixed).into_bytes()),
        ("base64", STANDARD.encode(&prefixed[2..]).into_bytes()),
        ("base64url", url.into_bytes()),
        ("reversed", secret.iter().rev().copied().collect()),
    ];
    for (form, text) in written {
        let found = forms(&secret);
        let mut found = found.iter().filter(|(_, needle)| is_in(&text, needle));
        assert!(found.any(|(name, _)| *name == form), "{form}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_shows_a_share() {
    let home = Home::embedded();
    home.add("[log]\nlevel = \"trace\"");
    let lived = Lived::at(home).await;
    let log = lived.home.log();
    for share in &lived.shares {
        assert!(log.contains(&share.id), "{log}");
    }
    lived.assert_none_in("the log", log.as_bytes());
}

/// Of those that a server writes and reads: the database, the audit log, its log, the KEK.
#[tokio::test(flavor = "multi_thread")]
async fn no_file_holds_a_share() {
    let lived = Lived::at(Home::embedded()).await;
    for share in &lived.shares {
        assert!(is_in(&lived.files, share.public_key.as_bytes()), "the database is not read");
        assert!(is_in(&lived.files, share.id.as_bytes()), "the logs are not read");
    }
    lived.assert_none_in("a file", &lived.files);
}

/// As whoever may read the tables sees them, whatever encrypts the disk below.
#[tokio::test(flavor = "multi_thread")]
async fn no_row_holds_a_share() {
    let Some(server) = PostgresServer::shared() else {
        return;
    };
    let database = server.database().await;
    let lived = Lived::at(Home::new("test", LOCAL, &postgres(&database.settings()))).await;
    let admin = database.admin().await;
    let tables = "SELECT table_name::text FROM information_schema.tables
                  WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
    let mut rows = String::new();
    for table in admin.query(tables, &[]).await.unwrap() {
        let rows_of = format!("SELECT t::text FROM \"{}\" t", table.get::<_, &str>(0));
        for row in admin.query(&rows_of, &[]).await.unwrap() {
            rows += row.get::<_, &str>(0);
        }
    }
    for share in &lived.shares {
        let key = hex::encode(share.public_key.as_bytes());
        assert!(rows.contains(&key), "the rows are not read");
    }
    lived.assert_none_in("a row", rows.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_carries_a_share() {
    let lived = Lived::at(Home::embedded()).await;
    for share in &lived.shares {
        assert!(is_in(&lived.answers, share.public_key.as_bytes()), "the answers are not read");
    }
    lived.assert_none_in("an answer", &lived.answers);
}
