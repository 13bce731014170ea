//! What each call refuses.

use countersign::{key::ShareId, proto};
use prost::Message;
use tonic::Code;

use super::{
    Answer::{self, Field, Reason},
    Case, DENIED, Stage,
};

/// Calls about one share, whose requests have the same three fields.
const OF_A_SHARE: [&str; 5] =
    ["DisableShare", "EnableShare", "ReencryptShare", "ScheduleDestruction", "DestroyShare"];

const TAKEN: Answer = Reason(Code::AlreadyExists, "SHARE_ID_TAKEN");
const ENABLED: Answer = Reason(Code::FailedPrecondition, "SHARE_ENABLED");

/// A request of one of [`OF_A_SHARE`], and of `GetShare` where only the share is given.
pub fn of_a_share(share: &str, expected_revision: u64, reason: &str) -> Vec<u8> {
    let (share_id, reason) = (share.to_owned(), reason.to_owned());
    proto::DestroyShareRequest { share_id, expected_revision, reason }.encode_to_vec()
}

pub fn generate(change: impl FnOnce(&mut proto::GenerateShareRequest)) -> Vec<u8> {
    let mut request = proto::GenerateShareRequest {
        share_id: ShareId::random().to_string(),
        wallet_id: "wallet-1".to_owned(),
        algorithm: 1,
    };
    change(&mut request);
    request.encode_to_vec()
}

fn list(change: impl FnOnce(&mut proto::ListSharesRequest)) -> Vec<u8> {
    let mut request = proto::ListSharesRequest::default();
    change(&mut request);
    request.encode_to_vec()
}

/// Every call: what is no message of its, what is too long, and what has a field that it
/// does not know, in front, behind, and in each of the forms that a field has.
pub fn of_every_call(stage: &Stage) -> Vec<Case> {
    let mut cases = Vec::new();
    let unknown: [(&str, &[u8]); 4] = [
        ("an unknown number", &[0x78, 1]),
        ("an unknown text", &[0x7a, 3, b'n', b'e', b'w']),
        ("an unknown fixed number", &[0x7d, 0, 0, 0, 0]),
        ("an unknown group", &[0x7b, 0x7c]),
    ];
    for (call, body) in stage.good() {
        for (what, field) in unknown {
            for body in [[&*body, field].concat(), [field, &*body].concat()] {
                cases.push(Case { call, what, body, answer: Field("message") });
            }
        }
        let cut = [&*body, &[0x0a, 0xff]].concat();
        let long = [&*body, &[0x7a, 0x80, 0x80, 0x10], &*vec![b'a'; 0x4_0000]].concat();
        for (what, body) in [("cut off", cut), ("256 KiB", long)] {
            cases.push(Case { call, what, body, answer: Field("message") });
        }
        // Field 1 as a group, which it is in no request.
        let other = vec![0x0b, 0x0c];
        cases.push(Case { call, what: "another type", body: other, answer: Field("message") });
    }
    cases
}

/// What no call takes for the id of a share.
fn no_share_ids(good: &str) -> Vec<(&'static str, String)> {
    vec![
        ("no share id", String::new()),
        ("a share id that is none", "share".to_owned()),
        ("a share id in capitals", good.to_uppercase()),
        ("a share id without hyphens", good.replace('-', "")),
        ("the nil share id", "00000000-0000-0000-0000-000000000000".to_owned()),
        ("a share id that is too long", format!("{good}0")),
    ]
}

fn no_wallet_ids() -> [(&'static str, String); 4] {
    [
        ("a wallet id with a space", "a b".to_owned()),
        ("a wallet id that is too long", "w".repeat(129)),
        ("a wallet id in other letters", "böse".to_owned()),
        ("a wallet id with a slash", "a/b".to_owned()),
    ]
}

pub fn of_generate(stage: &Stage) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add =
        |what, body, answer| cases.push(Case { call: "GenerateShare", what, body, answer });
    for (what, id) in no_share_ids(&stage.enabled) {
        add(what, generate(|request| request.share_id = id), Field("share_id"));
    }
    add("no wallet id", generate(|request| request.wallet_id.clear()), Field("wallet_id"));
    for (what, id) in no_wallet_ids() {
        add(what, generate(|request| request.wallet_id = id), Field("wallet_id"));
    }
    for algorithm in [0, -1, 5, 257] {
        let body = generate(|request| request.algorithm = algorithm);
        add("an algorithm that there is not", body, Field("algorithm"));
    }
    let instances = |request: &mut proto::GenerateShareRequest| {
        request.wallet_id = "countersign:instance".to_owned();
    };
    add("the instance's own wallet", generate(instances), DENIED);
    let of = |share: &String| {
        let share_id = share.clone();
        move |request: &mut proto::GenerateShareRequest| request.share_id = share_id
    };
    let exists = Reason(Code::AlreadyExists, "SHARE_EXISTS");
    add("a share that is there", generate(of(&stage.enabled)), exists);
    add("an id of another environment's share", generate(of(&stage.elsewhere)), TAKEN);
    let others = |request: &mut proto::GenerateShareRequest| {
        of(&stage.enabled)(request);
        request.wallet_id = "wallet-2".to_owned();
    };
    add("an id of another wallet's share", generate(others), TAKEN);
    let another = |request: &mut proto::GenerateShareRequest| {
        of(&stage.enabled)(request);
        request.algorithm = 2;
    };
    add("an id of another algorithm's share", generate(another), TAKEN);
    cases
}

/// Weak keys and other keys than declared, which only opening shows, are refused in
/// `tests/import/refused.rs`, as is what was altered.
pub fn of_import(stage: &Stage) -> Vec<Case> {
    let mut cases = Vec::new();
    type Change<'c> = &'c dyn Fn(&mut proto::ImportShareRequest);
    let mut add = |what, answer, change: Change<'_>| {
        let mut request = stage.import.clone();
        change(&mut request);
        cases.push(Case { call: "ImportShare", what, body: request.encode_to_vec(), answer });
    };
    for (what, id) in no_share_ids(&stage.enabled) {
        add(what, Field("share_id"), &|request| request.share_id = id.clone());
    }
    add("no wallet id", Field("wallet_id"), &|request| request.wallet_id.clear());
    for (what, id) in no_wallet_ids() {
        add(what, Field("wallet_id"), &|request| request.wallet_id = id.clone());
    }
    add("no environment", Field("environment"), &|request| request.environment.clear());
    add("no name of an environment", Field("environment"), &|request| {
        request.environment = "Test".to_owned();
    });
    add("another environment", Field("environment"), &|request| {
        request.environment = "elsewhere".to_owned();
    });
    for number in [0, 5, -1] {
        add("an algorithm that there is not", Field("algorithm"), &|request| {
            request.algorithm = number;
        });
    }
    add("a binding that there is not", Field("binding"), &|request| request.binding = 3);
    for length in [0, 31, 33] {
        add("an import key of another length", Field("import_key"), &|request| {
            request.import_key = vec![1; length].into();
        });
    }
    add("nothing declared", Field("public_key"), &|request| request.public_key.clear());
    add("a public key of another type", Field("public_key"), &|request| request.algorithm = 1);
    add("no point of the curve", Field("public_key"), &|request| {
        request.public_key = vec![0; 33].into();
    });
    add("another key's address", Field("account_address"), &|request| {
        request.account_address = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf".to_owned();
    });
    for length in [0, 48, 65_585] {
        add("a sealed share of another length", Field("sealed_share"), &|request| {
            request.sealed_share = vec![1; length].into();
        });
    }
    add("the instance's own wallet", DENIED, &|request| {
        request.wallet_id = "countersign:instance".to_owned();
    });
    let unusable = Reason(Code::FailedPrecondition, "IMPORT_KEY_UNUSABLE");
    add("a key that nobody gave", unusable, &|request| request.import_key = vec![7; 32].into());
    for (what, share) in [
        ("an id of another share", &stage.enabled),
        ("an id of another environment's share", &stage.elsewhere),
    ] {
        add(what, TAKEN, &|request| request.share_id = share.clone());
    }
    cases
}

pub fn of_reading(stage: &Stage) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |call, what, body, answer| cases.push(Case { call, what, body, answer });
    let page = |change: fn(&mut proto::ListSharesRequest)| list(change);
    let long = page(|request| request.page_size = 1001);
    add("ListShares", "a page that is too long", long, Field("page_size"));
    let token = page(|request| request.page_token = "next".to_owned());
    add("ListShares", "a token that nobody gave", token, Field("page_token"));
    for (what, id) in no_wallet_ids() {
        add("ListShares", what, list(|request| request.wallet_id = id), Field("wallet_id"));
    }
    for (what, id) in no_share_ids(&stage.enabled) {
        add("GetShare", what, of_a_share(&id, 0, ""), Field("share_id"));
    }
    let unknown = ShareId::random().to_string();
    for (what, id) in
        [("a share that there is not", &unknown), ("another environment's", &stage.elsewhere)]
    {
        add("GetShare", what, of_a_share(id, 0, ""), DENIED);
    }
    cases
}

pub fn of_changing(stage: &Stage) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |call, what, body, answer| cases.push(Case { call, what, body, answer });
    let unknown = ShareId::random().to_string();
    let mismatch = Reason(Code::Aborted, "REVISION_MISMATCH");
    for call in OF_A_SHARE {
        for (what, id) in no_share_ids(&stage.enabled) {
            add(call, what, of_a_share(&id, 0, "because"), Field("share_id"));
        }
        for (what, id) in
            [("a share that there is not", &unknown), ("another environment's", &stage.elsewhere)]
        {
            add(call, what, of_a_share(id, 0, "because"), DENIED);
        }
        for (what, reason) in [
            ("a reason of two lines", "two\nlines"),
            ("a reason with a control character", "\u{7}"),
            ("a reason that is too long", &*"a".repeat(201)),
        ] {
            add(call, what, of_a_share(&stage.waiting, 0, reason), Field("reason"));
        }
        // Also where there would be nothing to change.
        for share in [&stage.enabled, &stage.waiting] {
            for revision in [9, u64::MAX] {
                add(call, "another revision", of_a_share(share, revision, "because"), mismatch);
            }
        }
    }
    for call in ["ScheduleDestruction", "DestroyShare"] {
        add(call, "no reason", of_a_share(&stage.waiting, 0, ""), Field("reason"));
        add(call, "a share in use", of_a_share(&stage.enabled, 0, "because"), ENABLED);
    }
    let due = Reason(Code::FailedPrecondition, "DESTRUCTION_NOT_DUE");
    add("DestroyShare", "one that does not wait", of_a_share(&stage.idle, 0, "because"), due);
    cases
}
