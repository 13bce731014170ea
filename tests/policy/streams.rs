//! Streams, when the policies change under them.

use std::fs;

use countersign::{key::Algorithm, policy::Reload};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::support::{
    enclave::{Enclave, PERMISSIVE, Share},
    refused::assert_refused,
};
use countersign::proto::{UseShareRequest, UseShareResponse};

type Answers = Streaming<UseShareResponse>;

/// A stream that has answered one frame.
async fn open(enclave: &Enclave, share: &Share) -> (mpsc::Sender<UseShareRequest>, Answers) {
    let (frames, received) = mpsc::channel(8);
    frames.send(share.open()).await.unwrap();
    frames.send(share.frame(1)).await.unwrap();
    let mut client = enclave.client().await;
    let mut answers = client.use_share(ReceiverStream::new(received)).await.unwrap().into_inner();
    for _ in ["opened", "signed"] {
        answers.message().await.unwrap().unwrap();
    }
    (frames, answers)
}

fn replace(enclave: &Enclave, policy: &str) {
    fs::write(enclave.dir.path().join("policies/test.cedar"), policy).unwrap();
    assert_eq!(enclave.signing.policy.reload(|_, _| ()), Reload::Loaded);
}

async fn end(answers: &mut Answers) -> Status {
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended with OK"),
            Err(status) => return status,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_frame_is_decided_by_the_policies_in_force_then() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = open(&enclave, &share).await;
    replace(&enclave, &PERMISSIVE.replace("Action::\"Sign\", ", ""));
    frames.send(share.frame(2)).await.unwrap();
    let status = end(&mut answers).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    assert!(status.message().starts_with("frame 2: "), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_it_is_no_longer_permitted() {
    let enclave = Enclave::start().await;
    let share = enclave.share(Algorithm::Ed25519).await;
    let (frames, mut answers) = open(&enclave, &share).await;
    replace(&enclave, &PERMISSIVE.replace("Action::\"UseShare\", ", ""));
    // Without a frame: it is asked again by itself.
    let status = end(&mut answers).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    assert!(!status.message().starts_with("frame"), "{}", status.message());
    drop(frames);
}
