//! The list of refusals of every call of `ShareCustody`, as bytes on the wire: each with its
//! reason, and after each nothing was fetched, unwrapped, wrapped or written, every row is as
//! it was, and secret memory holds no more than before.

mod list;
pub mod wire;

use std::collections::BTreeSet;

use countersign::{client, key::Algorithm, proto};
use prost::Message;
use prost_types::FileDescriptorSet;
use rusqlite::types::Value;
use tonic::{Code, Request, Status, client::Grpc};

use self::{
    Answer::{Field, Reason},
    list::{of_a_share, of_changing, of_every_call, of_generate, of_import, of_reading},
    wire::Raw,
};
use crate::{
    import::{Foreign, statement},
    support::{
        enclave::{Enclave, Setup},
        refused::{assert_invalid, assert_refused},
    },
};

/// What is expected of a request.
#[derive(Clone, Copy)]
enum Answer {
    /// `INVALID_REQUEST`, of this field.
    Field(&'static str),
    Reason(Code, &'static str),
}

const DENIED: Answer = Reason(Code::PermissionDenied, "POLICY_DENIED");

struct Case {
    call: &'static str,
    what: &'static str,
    body: Vec<u8>,
    answer: Answer,
}

/// An enclave, shares in every state, and a good request of every call.
struct Stage {
    enclave: Enclave,
    /// One that may be disabled or sealed anew, one that may be enabled, one whose
    /// destruction may be asked for, one that may be destroyed.
    enabled: String,
    disabled: String,
    idle: String,
    waiting: String,
    /// The same of another environment: what a writer to the database can make of a row.
    elsewhere: String,
    import: proto::ImportShareRequest,
}

impl Stage {
    async fn set(policy: Option<&'static str>) -> Self {
        let mut setup = Setup::default();
        if let Some(policy) = policy {
            setup.policy = policy;
        }
        let enclave = Enclave::with(setup).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(enclave.share(Algorithm::Ed25519).await.id);
        }
        let [enabled, disabled, idle, waiting, elsewhere] = <[String; 5]>::try_from(ids).unwrap();
        let mut custody = enclave.custody().await;
        for share_id in [&disabled, &idle, &waiting] {
            let share_id = share_id.clone();
            let request = proto::DisableShareRequest { share_id, ..Default::default() };
            custody.disable_share(request).await.unwrap();
        }
        let request = proto::ScheduleDestructionRequest {
            share_id: waiting.clone(),
            expected_revision: 0,
            reason: "because".to_owned(),
        };
        custody.schedule_destruction(request).await.unwrap();
        let update = "UPDATE server_wallet_key_shares SET environment = 'elsewhere' WHERE id = ?1";
        let id: uuid::Uuid = elsewhere.parse().unwrap();
        assert_eq!(enclave.database().execute(update, [id.as_bytes()]).unwrap(), 1);
        let foreign = Foreign::new(Algorithm::EcdsaSecp256k1);
        let import = foreign.request(&statement(&enclave).await);
        Self { enclave, enabled, disabled, idle, waiting, elsewhere, import }
    }

    /// What each call does, when asked like this.
    fn good(&self) -> Vec<(&'static str, Vec<u8>)> {
        let of = |share: &String, reason: &str| of_a_share(share, 0, reason);
        vec![
            ("GenerateShare", list::generate(|_| {})),
            ("GetImportKey", Vec::new()),
            ("ImportShare", self.import.encode_to_vec()),
            ("ListShares", Vec::new()),
            ("GetShare", of(&self.enabled, "")),
            ("ReencryptShare", of(&self.enabled, "")),
            ("DisableShare", of(&self.enabled, "")),
            ("EnableShare", of(&self.disabled, "")),
            ("ScheduleDestruction", of(&self.idle, "because")),
            ("DestroyShare", of(&self.waiting, "because")),
        ]
    }

    /// Sends bytes as a request.
    async fn call(&self, call: &str, body: Vec<u8>) -> Result<(), Status> {
        let channel = client::connect(&self.enclave.dir.path().join("custody.sock")).await;
        let mut client = Grpc::new(channel.unwrap());
        client.ready().await.unwrap();
        let path = format!("/countersign.v1.ShareCustody/{call}").parse().unwrap();
        client.unary(Request::new(body), path, Raw).await.map(drop)
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        let database = self.enclave.database();
        let mut query =
            database.prepare("SELECT * FROM server_wallet_key_shares ORDER BY id").unwrap();
        let columns = query.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        query.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    /// Sends what must be refused, and proves that it cost nothing.
    async fn refused(&self, Case { call, what, body, answer }: Case) {
        let free = || self.enclave.signing.enclave.pool().free();
        let before = (self.enclave.counts.uses(), free(), self.rows());
        let status = self.call(call, body).await.expect_err(&format!("{call}: {what}"));
        let after = (self.enclave.counts.uses(), free(), self.rows());
        assert!(before == after, "{call}: {what}: something was done");
        println!("{call}: {what}: {}", status.message());
        match answer {
            Field(field) => assert_invalid(&status, field),
            Reason(code, reason) => assert_refused(&status, code, reason),
        }
    }
}

/// Every call of the contract is in the list.
fn assert_all_calls<'c>(calls: impl Iterator<Item = &'c str>) {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let custody = services.filter(|service| service.name() == "ShareCustody");
    let all: BTreeSet<_> = custody.flat_map(|service| &service.method).map(|m| m.name()).collect();
    assert_eq!(calls.collect::<BTreeSet<_>>(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_has_its_list_of_refusals() {
    let stage = Stage::set(None).await;
    let cases = [
        of_every_call(&stage),
        of_generate(&stage),
        of_import(&stage),
        of_reading(&stage),
        of_changing(&stage),
    ];
    let cases: Vec<_> = cases.into_iter().flatten().collect();
    assert_all_calls(cases.iter().map(|case| case.call));
    assert!(cases.len() > 200, "{}", cases.len());
    for case in cases {
        stage.refused(case).await;
    }
    // And what they were bent from is done.
    for (call, body) in stage.good() {
        stage.call(call, body).await.unwrap_or_else(|status| panic!("{call}: {status:?}"));
    }
}

/// Whoever may do nothing more than set the stage is refused each call, which does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_takes_a_permission() {
    let setting = r#"
        @id("the stage") permit (principal, action in [Action::"GenerateShare",
            Action::"DisableShare", Action::"ScheduleDestruction", Action::"GetImportKey"],
            resource);
    "#;
    let stage = Stage::set(Some(setting)).await;
    let allowed = ["GenerateShare", "DisableShare", "ScheduleDestruction", "GetImportKey"];
    for (call, body) in stage.good() {
        if !allowed.contains(&call) {
            stage.refused(Case { call, what: "denied", body, answer: DENIED }).await;
        }
    }
    let rest = r#"
        @id("none") permit (principal, action == Action::"Sign", resource);
    "#;
    let enclave = Enclave::with(Setup { policy: rest, ..Setup::default() }).await;
    let nobodys = Stage { enclave, ..stage };
    assert!(nobodys.rows().is_empty());
    assert_all_calls(nobodys.good().iter().map(|(call, _)| *call));
    for (call, body) in nobodys.good() {
        nobodys.refused(Case { call, what: "denied", body, answer: DENIED }).await;
    }
}
