//! A request that is given up at any of its await points leaves nothing in secret
//! memory: what it had is dropped there, or comes back when the KMS's thread drops
//! it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use countersign::{
    caller::Call,
    config::{KmsConfig, Limits},
    custody::Custody,
    enclave::LEAKS,
    key::{Algorithm, RequestId, ShareId},
    payload::Payload,
    session::{EXTRA_ANSWERS, Frame},
    sign::{Encoding, Target},
};
use futures_util::{StreamExt, stream};
use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{Instant, sleep, timeout},
};

use crate::support::{
    enclave::{Enclave, Setup, Share, app_caller},
    vault::{Tenant, VaultServer},
};

/// Beyond this many polls something goes round in circles.
const POLLS: usize = 10_000;

/// When a future is dropped that has been polled so often.
#[derive(Clone, Copy, Debug)]
enum Drops {
    /// At once, while what it awaits is under way.
    Waiting(usize),
    /// When it would be polled next: what it awaits is there.
    Woken(usize),
}

/// A future that is polled only so often; its output, if it came to that.
struct Impatient<F> {
    inner: Pin<Box<F>>,
    drops: Drops,
    polls: usize,
}

impl<F: Future> Future for Impatient<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Drops::Woken(polls) = self.drops
            && self.polls == polls
        {
            return Poll::Ready(None);
        }
        self.polls += 1;
        match (self.inner.as_mut().poll(context), self.drops) {
            (Poll::Ready(output), _) => Poll::Ready(Some(output)),
            (Poll::Pending, Drops::Waiting(polls)) if self.polls == polls => Poll::Ready(None),
            (Poll::Pending, _) => Poll::Pending,
        }
    }
}

/// What futures that were given up had in secret memory then.
#[derive(Default)]
struct Seen {
    /// Dropped with a slot taken.
    with_a_slot: usize,
    /// Dropped after the unwrap: with the DEK in the slot, or the open share.
    unwrapped: usize,
    /// Not dropped: it came to its end.
    ended: usize,
}

/// Drops what `begin` begins after one poll, after two, and so on, until it ends by
/// itself; after each all slots are free.
async fn give_up<F: Future>(
    enclave: &Enclave,
    begin: impl Fn() -> F,
    is_fine: impl Fn(F::Output) -> bool,
) -> Seen {
    let pool = enclave.signing.enclave.pool();
    let held = || enclave.counts.held.load(Ordering::SeqCst);
    let mut seen = Seen::default();
    for drops in [Drops::Waiting, Drops::Woken] {
        for polls in 1..POLLS {
            let before = held();
            let inner = Box::pin(begin());
            let mut impatient = Impatient { inner, drops: drops(polls), polls: 0 };
            let output = timeout(Duration::from_secs(20), &mut impatient).await.expect("it moves");
            let has_slot = pool.free() < enclave.slots;
            drop(impatient);
            all_slots_free(enclave).await;
            assert_eq!(LEAKS.load(Ordering::SeqCst), 0);
            if let Some(output) = output {
                assert!(is_fine(output), "after {polls} polls");
                seen.ended += 1;
                break;
            }
            seen.with_a_slot += usize::from(has_slot);
            seen.unwrapped += usize::from(has_slot && held() > before);
        }
    }
    assert_eq!(seen.ended, 2, "it never ends");
    seen
}

async fn all_slots_free(enclave: &Enclave) {
    let pool = enclave.signing.enclave.pool();
    let give_up = Instant::now() + Duration::from_secs(5);
    while pool.free() < enclave.slots {
        assert!(Instant::now() < give_up, "{} of {} are free", pool.free(), enclave.slots);
        sleep(Duration::from_millis(1)).await;
    }
}

fn call() -> Call {
    let now = Instant::now();
    Call::new(Arc::new(app_caller()), RequestId::random(), now, now + Duration::from_secs(20))
}

fn target(share: &Share) -> Target {
    Target {
        share: share.id.parse().unwrap(),
        wallet: share.wallet.parse().unwrap(),
        expected_address: None,
        min_version: 0,
    }
}

fn message() -> Payload {
    Payload::Message("given up".into())
}

/// `Sign`, a whole `UseShare` and `GenerateShare`, each at each of its polls.
async fn each_is_given_up(enclave: &Enclave) {
    let share = enclave.share(Algorithm::Ed25519).await;
    let (signing, target) = (&enclave.signing, &target(&share));
    // An unwrap takes its time, and so does the way from there to the section.
    enclave.counts.slow_unwrap_ms.store(2, Ordering::SeqCst);
    enclave.counts.hold_unwrapped_ms.store(2, Ordering::SeqCst);

    let sign = || async move { signing.sign(&call(), target, message(), Encoding::Raw).await };
    let seen = give_up(enclave, sign, |signed| signed.is_ok()).await;
    assert!(seen.with_a_slot > seen.unwrapped, "in an unwrap");
    assert!(seen.unwrapped > 0, "between the unwrap and the section");

    let limits = Limits::default().session;
    let stream = || async move {
        let open = std::iter::once(Frame::Open(target.clone()));
        let sign = |id| Frame::Sign { id, payload: message(), encoding: Encoding::Raw };
        let frames = stream::iter(open.chain((1..=8).map(sign))).then(async |frame| {
            yield_now().await;
            Ok(frame)
        });
        let (answers, mut received) = mpsc::channel(limits.in_flight as usize + EXTRA_ANSWERS);
        let never = std::future::pending();
        signing.clone().use_share(call(), limits, frames, answers, never).await;
        let mut signed = Vec::new();
        while let Ok(answer) = received.try_recv() {
            signed.push(answer.is_ok());
        }
        signed
    };
    let seen = give_up(enclave, stream, |signed| signed == [true; 9]).await;
    assert!(seen.with_a_slot > seen.unwrapped && seen.unwrapped > 0);

    let custody = &Custody::new(signing.clone(), Duration::ZERO);
    let generate = || async move {
        let wallet = "wallet-1".parse().unwrap();
        custody.generate(&call(), ShareId::random(), wallet, Algorithm::Ed25519).await
    };
    give_up(enclave, generate, |made| made.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_local_kek() {
    let enclave = Enclave::start().await;
    each_is_given_up(&enclave).await;
}

/// The DEK comes from another thread.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_vault() {
    let Some(vault) = VaultServer::shared().await else {
        return;
    };
    let tenant = Tenant::new(vault).await;
    let enclave = Enclave::with(Setup {
        environment: tenant.environment().clone(),
        kms: Some(KmsConfig::VaultTransit(Box::new(tenant.settings()))),
        ..Setup::default()
    })
    .await;
    let give_up = Instant::now() + Duration::from_secs(20);
    while enclave.signing.kms.status(Instant::now() + Duration::from_secs(2)).await.is_err() {
        assert!(Instant::now() < give_up, "Vault does not answer");
        sleep(Duration::from_millis(20)).await;
    }
    each_is_given_up(&enclave).await;
}
