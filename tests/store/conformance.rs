//! What every store does, whatever keeps its rows.

use std::time::Duration;

use countersign::{
    key::{Algorithm, Binding, PublicKey, Revision, ShareId, ShareState},
    record::ShareRecord,
    store::{ShareStore, StoreErrorKind},
};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{
    kind,
    records::{environment, oversize, record, successor},
};
use crate::support::permits;

/// Runs on an empty store, and leaves it full.
pub async fn conformance(store: &dyn ShareStore) {
    conformance_of(store, store).await;
}

/// The same on a store whose records another writes.
pub async fn conformance_of(store: &dyn ShareStore, writer: &dyn ShareStore) {
    store.status().await.unwrap();
    let environment = environment();
    assert!(store.list(&environment, None, None, 1000).await.unwrap().is_empty());
    unknown_shares_are_none(store).await;
    every_field_comes_back(store, writer).await;
    if store.capabilities().writes {
        unknown_shares_are_not_written(store).await;
        an_id_is_taken_once(store).await;
        replacing_compares_and_swaps(store).await;
        what_is_there_now_outlives_what_was(store).await;
        states_change_by_revision(store).await;
        destruction_is_scheduled_by_revision(store).await;
        what_is_removed_is_gone(store).await;
        one_of_many_writers_wins(store).await;
        oversize_envelopes_are_refused(store).await;
    } else {
        what_writes_is_lacking(store, writer).await;
    }
    match store.capabilities().counts {
        true => counting_moves_a_cursor(store).await,
        false => what_counts_is_lacking(store).await,
    }
    pages_are_ordered_and_complete(store, writer).await;
    store.status().await.unwrap();
}

async fn unknown_shares_are_none(store: &dyn ShareStore) {
    let unknown = record("wallet", Algorithm::Ed25519);
    assert_eq!(store.describe(id(&unknown)).await, Ok(None));
    assert_eq!(fetch(store, &unknown).await, None);
}

/// A store without a capability says so of every call that needs it, whatever is asked,
/// and changes nothing.
async fn what_writes_is_lacking(store: &dyn ShareStore, writer: &dyn ShareStore) {
    let row = record("lacking", Algorithm::Ed25519);
    writer.put(&row, None).await.unwrap();
    let new = record("lacking", Algorithm::EcdsaP256);
    let lacking = Err(StoreErrorKind::Lacking);
    assert_eq!(kind(store.put(&new, None).await), lacking);
    assert_eq!(kind(store.put(&row, None).await), lacking);
    let next = successor(&row);
    for revision in [Revision::FIRST, Revision::from(7)] {
        assert_eq!(kind(store.put(&next, Some(revision)).await), lacking);
        for share in [id(&row), id(&new)] {
            let state = store.set_state(share, ShareState::Disabled, revision).await;
            assert_eq!(kind(state), lacking);
            assert_eq!(kind(store.schedule(share, None, revision).await), lacking);
            let removed = store.remove(share, revision).await;
            assert_eq!(kind(removed), Err(StoreErrorKind::Lacking));
        }
    }
    assert_eq!(fetch(store, &row).await, Some(row));
    assert_eq!(store.describe(id(&new)).await, Ok(None));
}

async fn what_counts_is_lacking(store: &dyn ShareStore) {
    let (log, lacking) = (Uuid::new_v4(), StoreErrorKind::Lacking);
    assert_eq!(kind(store.counted(log).await), Err(lacking));
    assert_eq!(kind(store.count(log, 0, 1, &[]).await), Err(lacking));
    assert_eq!(kind(store.forget(log, 1).await), Err(lacking));
}

async fn counting_moves_a_cursor(store: &dyn ShareStore) {
    let log = Uuid::new_v4();
    assert_eq!(store.counted(log).await, Ok(0));
    assert_eq!(store.count(log, 0, 1, &[]).await, Ok(true));
    assert_eq!(store.counted(log).await, Ok(1));
    assert_eq!(store.forget(log, 1).await, Ok(true));
}

async fn unknown_shares_are_not_written(store: &dyn ShareStore) {
    let unknown = record("wallet", Algorithm::Ed25519);
    let state = store.set_state(id(&unknown), ShareState::Disabled, Revision::FIRST);
    assert_eq!(kind(state.await), Err(StoreErrorKind::Conflict));
    let put = store.put(&unknown, Some(Revision::FIRST)).await;
    assert_eq!(kind(put), Err(StoreErrorKind::Conflict));
}

async fn every_field_comes_back(store: &dyn ShareStore, writer: &dyn ShareStore) {
    for algorithm in Algorithm::ALL {
        let mut record = record("fields:A_z.0-9", algorithm);
        if algorithm == Algorithm::EcdsaP256 {
            record.description.state = ShareState::Disabled;
        }
        assert_eq!(writer.put(&record, None).await, Ok(Revision::FIRST));
        let description = store.describe(id(&record)).await.unwrap();
        assert_eq!(description.as_ref(), Some(&record.description));
        assert_eq!(fetch(store, &record).await, Some(record));
    }
    // An opaque share of which only the address is known.
    let mut opaque = record("fields:opaque", Algorithm::EcdsaSecp256k1);
    opaque.description.identity.binding = Binding::Declared;
    opaque.description.public_key = PublicKey::unknown(Algorithm::EcdsaSecp256k1);
    writer.put(&opaque, None).await.unwrap();
    assert_eq!(fetch(store, &opaque).await, Some(opaque));
    let mut exact = record("fields:exact", Algorithm::Ed25519);
    exact.description.created_at += Duration::from_nanos(1);
    writer.put(&exact, None).await.unwrap();
    exact.description.created_at -= Duration::from_nanos(1);
    assert_eq!(fetch(store, &exact).await, Some(exact));
}

async fn an_id_is_taken_once(store: &dyn ShareStore) {
    let first = record("exists", Algorithm::Ed25519);
    store.put(&first, None).await.unwrap();
    let mut second = record("another", Algorithm::EcdsaP256);
    second.description.identity.share = id(&first);
    let error = store.put(&second, None).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Exists);
    assert!(!error.detail.contains(&id(&first).to_string()));
    assert_eq!(fetch(store, &first).await, Some(first));
}

async fn replacing_compares_and_swaps(store: &dyn ShareStore) {
    let first = record("replace", Algorithm::EcdsaSecp256k1);
    store.put(&first, None).await.unwrap();
    let mut second = successor(&first);
    second.description.state = ShareState::Disabled;
    let revision = store.put(&second, Some(Revision::FIRST)).await.unwrap();
    assert_eq!(revision.get(), 2);
    second.description.revision = revision;
    assert_eq!(fetch(store, &second).await, Some(second.clone()));

    for stale in [Revision::from(0), Revision::FIRST, Revision::from(u64::MAX)] {
        let put = store.put(&successor(&second), Some(stale)).await;
        assert_eq!(kind(put), Err(StoreErrorKind::Conflict));
    }
    assert_eq!(fetch(store, &second).await, Some(second));
}

/// Whatever a store keeps of what was written over: destroying that leaves the row, also where
/// the row is older than what is asked for, and there is nothing to do for a share that is
/// not there.
async fn what_is_there_now_outlives_what_was(store: &dyn ShareStore) {
    let first = record("former", Algorithm::Ed25519);
    assert_eq!(store.destroy_former(id(&first), Revision::from(7)).await, Ok(()));
    store.put(&first, None).await.unwrap();
    let mut second = successor(&first);
    second.description.revision = store.put(&second, Some(Revision::FIRST)).await.unwrap();
    for current in [1, 2, 2, 7].map(Revision::from) {
        assert_eq!(store.destroy_former(id(&first), current).await, Ok(()));
        assert_eq!(fetch(store, &second).await.as_ref(), Some(&second));
    }
    let third = successor(&second);
    assert_eq!(store.put(&third, Some(second.description.revision)).await.unwrap().get(), 3);
}

async fn states_change_by_revision(store: &dyn ShareStore) {
    let mut row = record("state", Algorithm::Ed25519);
    store.put(&row, None).await.unwrap();
    for (state, revision) in
        [(ShareState::Disabled, 2), (ShareState::Disabled, 3), (ShareState::Enabled, 4)]
    {
        let before = row.description.revision;
        let after = store.set_state(id(&row), state, before).await.unwrap();
        assert_eq!(after.get(), revision);
        let stale = store.set_state(id(&row), state, before).await;
        assert_eq!(kind(stale), Err(StoreErrorKind::Conflict));
        row.description.state = state;
        row.description.revision = after;
        assert_eq!(fetch(store, &row).await.as_ref(), Some(&row));
    }
}

async fn destruction_is_scheduled_by_revision(store: &dyn ShareStore) {
    let mut row = record("schedule", Algorithm::Ed25519);
    store.put(&row, None).await.unwrap();
    let soon = row.description.created_at + Duration::from_secs(7 * 24 * 3600);
    for (after, revision) in [(Some(soon), 2), (None, 3), (Some(soon), 4)] {
        let before = row.description.revision;
        let now = store.schedule(id(&row), after, before).await.unwrap();
        assert_eq!(now.get(), revision);
        let stale = store.schedule(id(&row), after, before).await;
        assert_eq!(kind(stale), Err(StoreErrorKind::Conflict));
        row.description.destroy_after = after;
        row.description.revision = now;
        assert_eq!(fetch(store, &row).await.as_ref(), Some(&row));
    }
    // Another state takes it back.
    let revision = store.set_state(id(&row), ShareState::Enabled, row.description.revision).await;
    row.description.revision = revision.unwrap();
    row.description.destroy_after = None;
    assert_eq!(store.describe(id(&row)).await, Ok(Some(row.description)));
    let unknown = record("schedule", Algorithm::Ed25519);
    let unknown = store.schedule(id(&unknown), Some(soon), Revision::FIRST).await;
    assert_eq!(kind(unknown), Err(StoreErrorKind::Conflict));
}

async fn what_is_removed_is_gone(store: &dyn ShareStore) {
    let row = record("remove", Algorithm::Ed25519);
    store.put(&row, None).await.unwrap();
    let stale = store.remove(id(&row), Revision::from(2)).await;
    assert_eq!(kind(stale), Err(StoreErrorKind::Conflict));
    assert_eq!(fetch(store, &row).await.as_ref(), Some(&row));
    store.remove(id(&row), Revision::FIRST).await.unwrap();
    assert_eq!(store.describe(id(&row)).await, Ok(None));
    assert_eq!(fetch(store, &row).await, None);
    let again = store.remove(id(&row), Revision::FIRST).await;
    assert_eq!(kind(again), Err(StoreErrorKind::Conflict));
    // The id is free.
    store.put(&row, None).await.unwrap();
}

/// Eight writers add one each, ten times; every addition counts once.
async fn one_of_many_writers_wins(store: &dyn ShareStore) {
    let row = record("writers", Algorithm::Ed25519);
    store.put(&row, None).await.unwrap();
    let mut revision = Revision::FIRST;
    for _ in 0..10 {
        let successor = successor(&row);
        let states = (0..4).map(|_| store.set_state(id(&row), ShareState::Enabled, revision));
        let puts = (0..4).map(|_| store.put(&successor, Some(revision)));
        let (states, puts) = tokio::join!(join_all(states), join_all(puts));
        let (won, lost): (Vec<_>, Vec<_>) = states.into_iter().chain(puts).partition(Result::is_ok);
        assert_eq!(won, [Ok(revision.next())]);
        for loser in lost {
            assert_eq!(kind(loser), Err(StoreErrorKind::Conflict));
        }
        revision = revision.next();
    }
    let description = store.describe(id(&row)).await.unwrap().unwrap();
    assert_eq!(description.revision, revision);

    let same: Vec<_> = vec![record("writers", Algorithm::Ed25519); 8];
    let inserts = join_all(same.iter().map(|row| store.put(row, None))).await;
    let (won, lost): (Vec<_>, Vec<_>) = inserts.into_iter().partition(Result::is_ok);
    assert_eq!(won, [Ok(Revision::FIRST)]);
    for loser in lost {
        assert_eq!(kind(loser), Err(StoreErrorKind::Exists));
    }
}

async fn oversize_envelopes_are_refused(store: &dyn ShareStore) {
    let mut row = oversize();
    let put = store.put(&row, None).await;
    assert_eq!(kind(put), Err(StoreErrorKind::Corrupt));
    assert_eq!(store.describe(id(&row)).await, Ok(None));

    row.envelope.pop();
    store.put(&row, None).await.unwrap();
    assert_eq!(fetch(store, &row).await.as_ref(), Some(&row));
    row.envelope.push(0);
    let put = store.put(&row, Some(Revision::FIRST)).await;
    assert_eq!(kind(put), Err(StoreErrorKind::Corrupt));
}

async fn pages_are_ordered_and_complete(store: &dyn ShareStore, writer: &dyn ShareStore) {
    let (ours, theirs) = ("pages-1".parse().unwrap(), "pages-2".parse().unwrap());
    let mut expected = Vec::new();
    for _ in 0..7 {
        let row = record("pages-1", Algorithm::Ed25519);
        writer.put(&row, None).await.unwrap();
        expected.push(row.description);
        let other = record("pages-2", Algorithm::EcdsaP256);
        writer.put(&other, None).await.unwrap();
    }
    expected.sort_by_key(|description| description.identity.share);
    let share = |index: usize| Some(expected[index].identity.share);

    let environment = environment();
    let list =
        async |after, limit| store.list(&environment, Some(&ours), after, limit).await.unwrap();
    assert_eq!(list(None, 1000).await, expected);
    assert_eq!(list(None, 7).await, expected);
    assert_eq!(list(None, 3).await, expected[..3]);
    assert_eq!(list(share(2), 3).await, expected[3..6]);
    assert_eq!(list(share(5), 3).await, expected[6..]);
    assert_eq!(list(share(6), 1).await, []);
    assert_eq!(store.list(&environment, Some(&theirs), None, 100).await.unwrap().len(), 7);
    let unknown = "pages-3".parse().unwrap();
    assert_eq!(store.list(&environment, Some(&unknown), None, 100).await, Ok(Vec::new()));

    let some: Vec<_> = (0..3).filter_map(share).chain([ShareId::random()]).collect();
    let mut described = store.describe_all(&some).await.unwrap();
    described.sort_by_key(|description| description.identity.share);
    assert_eq!(described, expected[..3]);

    let elsewhere = "elsewhere".parse().unwrap();
    assert_eq!(store.list(&elsewhere, None, None, 100).await, Ok(Vec::new()));
    let all = store.list(&environment, None, None, 1000).await.unwrap();
    assert!(all.is_sorted_by_key(|description| description.identity.share));
    let mut paged = Vec::new();
    while let page = store.list(&environment, None, paged.last().copied(), 5).await.unwrap()
        && !page.is_empty()
    {
        assert!(page.len() <= 5);
        paged.extend(page.iter().map(|description| description.identity.share));
    }
    let ids = all.iter().map(|description| description.identity.share);
    assert!(ids.eq(paged));
}

/// The row, with a permit of exactly what it says.
async fn fetch(store: &dyn ShareStore, record: &ShareRecord) -> Option<ShareRecord> {
    let permit = permits::to_open(&record.description);
    store.fetch(permit.opening()).await.unwrap()
}

fn id(record: &ShareRecord) -> ShareId {
    record.description.identity.share
}
