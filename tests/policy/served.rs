//! A part of the matrix by the socket: what the rules deny leaves store and KMS alone,
//! and what they permit is a signature of the right bytes.

use std::{sync::Arc, time::SystemTime};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, TxKind, U256};
use bytes::Bytes;
use countersign::{
    caller::Caller,
    client,
    key::Algorithm,
    payload::{Payload, PayloadKind},
    policy::{DeniedReason, ShareSubject},
    proto::{self, use_share_request::Frame, use_share_response::Frame as Answer},
};
use tonic::{Code, Status};

use super::{
    matrix::{Action, Case, LIMIT, TOKEN, expected, facts, rules, source},
    share,
};
use crate::support::{
    accepted::accepted,
    enclave::{Enclave, Setup, Share, app_caller, frame},
    refused::{assert_refused, assert_unfit},
};

/// All rules but that of office hours, which would make the outcome one of the clock;
/// those that permit; and a spread.
const SETS: [u32; 3] = [0b11_1101_1111, 0b10_0001_1111, 0b01_1101_0101];
const GROUPS: [&[&str]; 3] = [&[], &["signers"], &["signers", "guests"]];
const WALLETS: [&str; 3] = ["w1", "w2", "w3"];

/// Fetched, unwrapped, wrapped, written.
const UNTOUCHED: [usize; 4] = [0; 4];
const OPENED: [usize; 4] = [1, 1, 0, 0];

/// What came of the calls.
#[derive(Default)]
struct Tally {
    signed: u32,
    opened: u32,
    denied: u32,
    failed: u32,
    unfit: u32,
}

fn transaction(to: TxKind, chain_id: u64, nonce: u64, amount: u64) -> (PayloadKind, Bytes) {
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend(Address::repeat_byte(0x22).into_word());
    input.extend(U256::from(amount).to_be_bytes::<32>());
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 90_000,
        max_fee_per_gas: 2,
        max_priority_fee_per_gas: 1,
        to,
        input: input.into(),
        ..TxEip1559::default()
    };
    (PayloadKind::EvmTransaction, transaction.encoded_for_signing().into())
}

fn payloads() -> [(PayloadKind, Bytes); 8] {
    let token = TxKind::Call(TOKEN);
    [
        (PayloadKind::Message, Bytes::from_static(b"short")),
        (PayloadKind::Message, Bytes::from_static(b"a message of thirty-two bytes...")),
        (PayloadKind::Digest, Bytes::from_static(&[2; 32])),
        transaction(token, 1, 0, LIMIT),
        transaction(token, 1, 0, LIMIT + 1),
        transaction(token, 10, 0, 1),
        transaction(token, 1, 7, 1),
        transaction(TxKind::Create, 1, 0, 1),
    ]
}

/// One enclave, whose caller is in some groups and whose policies are one set of rules.
struct Served {
    enclave: Enclave,
    caller: Arc<Caller>,
    set: u32,
}

impl Served {
    async fn start(set: u32, groups: &[&str]) -> Self {
        let custody = r#"@id("custody") permit (principal, action == Action::"GenerateShare",
            resource);"#;
        let caller =
            Caller { groups: groups.iter().map(|group| (*group).into()).collect(), ..app_caller() };
        let facts = facts();
        let enclave = Enclave::with(Setup {
            policy: format!("{custody}\n{}", source(&rules(set))).leak(),
            callers: [caller.clone()].into_iter().collect(),
            amounts: facts.limits,
            tags: facts.tags,
            ..Setup::default()
        });
        Self { enclave: enclave.await, caller: Arc::new(caller), set }
    }

    /// What the rules say of it.
    fn expected(
        &self,
        share: &ShareSubject,
        action: Action,
        payload: &Payload,
    ) -> Result<(), DeniedReason> {
        let time = SystemTime::now();
        expected(&rules(self.set), &Case { caller: &self.caller, share, action, payload, time })
    }

    /// What a call made of store and KMS.
    async fn uses<T>(&self, call: impl Future<Output = T>) -> (T, [usize; 4]) {
        let before = self.enclave.counts.uses();
        let outcome = call.await;
        let after = self.enclave.counts.uses();
        (outcome, std::array::from_fn(|index| after[index] - before[index]))
    }

    async fn signs(&self, made: &Share, kind: PayloadKind, bytes: &Bytes, tally: &mut Tally) {
        let subject = share(&made.wallet, made.algorithm);
        let payload = Payload::decode(kind, bytes.clone()).unwrap();
        let action = match kind {
            PayloadKind::Digest => Action::SignDigest,
            _ => Action::Sign,
        };
        let expected = self.expected(&subject, action, &payload);
        let handed = client::payload(kind, bytes.clone());
        let fits = payload.fits(made.algorithm).is_ok();

        let request = proto::SignRequest { payload: handed.clone(), ..made.sign_request(0) };
        let mut client = self.enclave.client().await;
        let (answer, uses) = self.uses(client.sign(request)).await;
        let answer = answer.map(|answer| answer.into_inner().signature.unwrap());
        let what = format!("{} of {}: {payload:?}", made.algorithm, made.wallet);
        match (expected, answer) {
            (Ok(()), Ok(signature)) if fits => {
                assert!(accepted(made, &signed(kind, &payload), &signature), "{what}");
                assert_eq!(uses, OPENED, "{what}");
                tally.signed += 1;
            }
            (Ok(()), Err(status)) if !fits => {
                assert_unfit(&status, "payload");
                assert_eq!(uses, UNTOUCHED, "{what}");
                tally.unfit += 1;
            }
            (Err(reason), Err(status)) => {
                tally.denies(reason, &status);
                assert_eq!(uses, UNTOUCHED, "{what}");
            }
            (expected, answer) => panic!("{expected:?}, not {answer:?}: {what}"),
        }

        let may_open = self.expected(&subject, Action::UseShare, &payload);
        let sign = proto::SignFrame { id: 1, payload: handed, ..Default::default() };
        let frames = [made.open(), frame(Frame::Sign(sign))];
        let (answers, uses) = self.uses(self.stream(frames)).await;
        match (may_open, expected, answers) {
            (Ok(()), Ok(()), (Some(_), Ok(Some(signature)))) if fits => {
                assert!(accepted(made, &signed(kind, &payload), &signature), "{what}");
                assert_eq!(uses, OPENED, "{what}");
                tally.signed += 1;
            }
            (Ok(()), Ok(()), (Some(_), Err(status))) if !fits => {
                assert_unfit(&status, "payload");
                tally.unfit += 1;
            }
            (Ok(()), Err(reason), (Some(_), Err(status))) => tally.denies(reason, &status),
            (Err(reason), _, (None, Err(status))) => {
                tally.denies(reason, &status);
                assert_eq!(uses, UNTOUCHED, "{what}");
            }
            (open, expected, answers) => panic!("{open:?}, {expected:?}, not {answers:?}: {what}"),
        }
    }

    /// Whether the share was opened; then the signature, if one was given, or the end.
    async fn stream(
        &self,
        frames: [proto::UseShareRequest; 2],
    ) -> (Option<()>, Result<Option<proto::Signature>, Status>) {
        let mut client = self.enclave.client().await;
        let answers = client.use_share(tokio_stream::iter(frames)).await;
        let mut answers = match answers {
            Ok(answers) => answers.into_inner(),
            Err(status) => return (None, Err(status)),
        };
        let (mut opened, mut signature) = (None, None);
        loop {
            match answers.message().await {
                Ok(Some(answer)) => match answer.frame.unwrap() {
                    Answer::Opened(_) => opened = Some(()),
                    Answer::Signed(signed) => signature = signed.signature,
                },
                Ok(None) => return (opened, Ok(signature)),
                Err(status) => return (opened, Err(status)),
            }
        }
    }

    async fn gives_public_key(&self, made: &Share, tally: &mut Tally) {
        let subject = share(&made.wallet, made.algorithm);
        let payload = Payload::Digest([2; 32]);
        let request = proto::GetPublicKeyRequest {
            share_id: made.id.clone(),
            wallet_id: made.wallet.clone(),
        };
        let mut client = self.enclave.client().await;
        let (answer, uses) = self.uses(client.get_public_key(request)).await;
        assert_eq!(uses, UNTOUCHED);
        match (self.expected(&subject, Action::GetPublicKey, &payload), answer) {
            (Ok(()), Ok(answer)) => {
                let key = answer.into_inner().public_key.unwrap().key;
                assert_eq!(key, made.public_key.as_bytes());
                tally.opened += 1;
            }
            (Err(reason), Err(status)) => tally.denies(reason, &status),
            (expected, answer) => panic!("{expected:?}, not {answer:?}"),
        }
    }
}

/// What the libraries of `accepted` verify: the message, or the digest of what is hashed.
fn signed(kind: PayloadKind, payload: &Payload) -> proto::Payload {
    let bytes = Bytes::copy_from_slice(payload.signed_bytes());
    let kind = match kind {
        PayloadKind::Message => PayloadKind::Message,
        _ => PayloadKind::Digest,
    };
    client::payload(kind, bytes).unwrap()
}

impl Tally {
    #[track_caller]
    fn denies(&mut self, reason: DeniedReason, status: &Status) {
        match reason {
            DeniedReason::NotPermitted => {
                assert_refused(status, Code::PermissionDenied, "POLICY_DENIED");
                self.denied += 1;
            }
            DeniedReason::Evaluation => {
                assert_refused(status, Code::PermissionDenied, "POLICY_FAILED");
                self.failed += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_gives_what_the_rules_permit_and_nothing_else() {
    let mut tally = Tally::default();
    for set in SETS {
        for groups in GROUPS {
            let served = Served::start(set, groups).await;
            for wallet in WALLETS {
                for algorithm in Algorithm::ALL {
                    let made = served.enclave.share_of(wallet, algorithm).await;
                    served.gives_public_key(&made, &mut tally).await;
                    for (kind, bytes) in payloads() {
                        served.signs(&made, kind, &bytes, &mut tally).await;
                    }
                }
            }
        }
    }
    let Tally { signed, opened, denied, failed, unfit } = tally;
    let all = [signed, opened, denied, failed, unfit];
    assert!(all.iter().all(|count| *count > 20), "each was tried: {all:?}");
    assert_eq!(all.iter().sum::<u32>(), 9 * 12 * (1 + 2 * 8));
}
