//! A disk that fails in every way that one can, under a real and confined server's log:
//! nothing is released that is not recorded, and nothing while it fails; it recovers by
//! itself, and the log is intact.

use countersign::audit::segment::SegmentFile;

use super::{
    disk::{Disk, Fault},
    serving::{Load, Serving},
};
use crate::support::served::{Home, Served};

const LOAD: Load = Load { calls: 4, streams: 1 };
/// A stream is looked at once a second, and would end: these wait, whatever comes.
const CALLS: Load = Load { calls: 4, streams: 0 };

/// Shipped at the end alone, so that a fault that happens once befalls a record.
const SELDOM: &str = "checkpoints = \"1h\"";

/// None, said loudly, where there can be no such disk.
async fn start(load: Load, audit: &str) -> Option<(Serving, Disk)> {
    let home = Home::embedded();
    home.add_to_audit(audit);
    let disk = Disk::of(&home)?;
    let serve = disk.below(&home.serve());
    let (audit, served) = (home.path("audit"), home.start(serve).await);
    Some((Serving::start(served, audit, load).await, disk))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails() {
    let Some((serving, disk)) = start(LOAD, SELDOM).await else { return };
    for _ in 0..2 {
        disk.ails(Fault::WriteFails);
        serving.releases_nothing().await;
        assert!(disk.injected() > 1);
        disk.heals();
        serving.recovers().await;
        serving.goes_on().await;
    }
    let (_home, log) = serving.end().await;
    assert_eq!(log.gaps(), ["Input/output error (os error 5)"; 2]);
    assert!(log.refused("AUDIT_FAILED") > 0);
}

/// What is left of the file is not known, and a later flush of it can succeed without
/// what this one was to keep.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_flush_failed_is_never_written_again() {
    // Removed when it is compressed, and its number given to another file.
    let audit = format!("{SELDOM}\ncompress = false");
    let Some((serving, disk)) = start(LOAD, &audit).await else { return };
    disk.ails(Fault::FlushFails);
    serving.releases_nothing().await;
    assert!(disk.injected() > 1);
    disk.heals();
    serving.recovers().await;
    serving.goes_on().await;
    let lost = disk.lost();
    assert!(lost.rewritten == 0 && lost.cut > 0 && lost.reread >= lost.kept, "{lost:?}");
    // Once alone, which nobody need notice but those who are refused.
    disk.ails_times(Fault::FlushFails, 1);
    let read_again = |_: &Served| {
        let again = disk.lost();
        again.reread >= lost.reread + again.kept
    };
    serving.served.until("it fails and is read again", read_again).await;
    serving.goes_on().await;
    let again = disk.lost();
    assert!(again.rewritten == 0 && again.cut > lost.cut, "{again:?}");
    assert_eq!(disk.injected(), 1);
    let (home, log) = serving.end().await;
    assert_eq!(log.gaps(), ["Input/output error (os error 5)"; 2]);
    let files = SegmentFile::all(&home.path("audit")).unwrap();
    assert_eq!(files.len(), 3);
    // Its end is what had been flushed.
    let lengths = files.iter().map(|file| file.path.metadata().unwrap().len());
    assert_eq!(lengths.take(2).collect::<Vec<_>>(), [lost.kept, again.kept]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_write_is_completed() {
    let Some((serving, disk)) = start(LOAD, SELDOM).await else { return };
    disk.ails_times(Fault::WriteIsShort, 50);
    let all = |_: &Served| disk.injected() == 50;
    serving.served.until("all were short", all).await;
    serving.goes_on().await;
    assert_eq!(serving.clients.refused().iter().sum::<u64>(), 0);
    let (_home, log) = serving.end().await;
    assert!(log.gaps().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_write_before_there_is_no_room() {
    let Some((serving, disk)) = start(LOAD, SELDOM).await else { return };
    disk.ails(Fault::WriteIsShortThenFull);
    serving.releases_nothing().await;
    assert!(disk.injected() > 1);
    disk.heals();
    serving.recovers().await;
    serving.goes_on().await;
    let (_home, log) = serving.end().await;
    assert_eq!(log.gaps(), ["No space left on device (os error 28)"]);
}

/// Many wait for one flush.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_is_shared() {
    let Some((serving, disk)) = start(Load { calls: 16, streams: 0 }, SELDOM).await else {
        return;
    };
    disk.ails(Fault::FlushIsSlow);
    let (flushes, held) = (disk.flushes(), serving.clients.held() as u64);
    let many = |_: &Served| serving.clients.held() as u64 >= held + 400;
    serving.served.until("400 signatures", many).await;
    let (flushes, held) = (disk.flushes() - flushes, serving.clients.held() as u64 - held);
    assert!(disk.injected() > 1);
    assert!(flushes * 4 <= held, "{flushes} flushes of {held} signatures");
    disk.heals();
    assert_eq!(serving.clients.refused().iter().sum::<u64>(), 0);
    let (_home, log) = serving.end().await;
    assert!(log.gaps().is_empty());
}

/// Whoever waits for the disk has an answer when it does; nobody else waits for it.
async fn hangs(fault: Fault, audit: &str) {
    let Some((serving, disk)) = start(CALLS, audit).await else { return };
    let Serving { served, clients, .. } = &serving;
    disk.ails(fault);
    served.until("readiness is off", |served| served.metric("ready") == Some(0)).await;
    assert_eq!(disk.injected(), 1);
    let held = clients.held();
    for _ in 0..3 {
        serving.is_refused().await;
    }
    assert_eq!(served.metric("audit_writable"), Some(0));
    assert_eq!((clients.held(), disk.injected()), (held, 1));
    disk.heals();
    serving.recovers().await;
    serving.goes_on().await;
    assert_eq!(serving.clients.refused(), [0; CALLS.calls]);
    let (_home, log) = serving.end().await;
    // Nothing failed, and what was refused is counted.
    assert!(log.gaps().is_empty());
    assert_eq!(log.refused("AUDIT_FAILED"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_hangs() {
    hangs(Fault::FlushHangs, SELDOM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_hangs() {
    hangs(Fault::WriteHangs, SELDOM).await;
}

/// The thread that ships the head is the one that everybody waits for.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_hangs() {
    hangs(Fault::SyncHangs, "checkpoints = \"1s\"").await;
}
